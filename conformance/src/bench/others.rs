//! The same service from nginx and haproxy, in their own words. They have no xDS; they join the rows whose
//! configuration they can say.

use std::net::SocketAddr;
use std::path::Path;

use super::world::Shape;

/// nginx's configuration; `None`: it cannot say this.
pub fn nginx(shape: Shape, listen: SocketAddr, origin: SocketAddr, folder: &Path) -> Option<String> {
    let folder = folder.display();
    let tls = match shape {
        Shape::Plain { http2_up: false } => String::new(),
        Shape::Secure => format!(
            "ssl_certificate {folder}/chain.pem; ssl_certificate_key {folder}/key.pem;
             ssl_client_certificate {folder}/roots.pem; ssl_verify_client on; ssl_protocols TLSv1.3;
             ssl_ecdh_curve X25519; ssl_session_tickets off; ssl_session_cache off;"
        ),
        _ => return None,
    };
    let secure = if tls.is_empty() { "" } else { "ssl" };
    Some(format!(
        "daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/log error;
events {{ worker_connections 16384; }}
http {{
    access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s; proxy_buffers 64 64k; proxy_buffer_size 64k;
    proxy_busy_buffers_size 128k; proxy_max_temp_file_size 0;
    proxy_temp_path {folder}/proxy; client_body_temp_path {folder}/body; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream origin {{ server {origin}; keepalive 1024; keepalive_requests 1000000000; }}
    server {{
        listen {listen} {secure} backlog=4096; {tls}
        location / {{ proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection \"\"; }}
    }}
}}
"
    ))
}

/// haproxy's configuration; `None`: it cannot say this.
pub fn haproxy(shape: Shape, listen: SocketAddr, origin: SocketAddr, folder: &Path) -> Option<String> {
    let folder = folder.display();
    let (mode, tls) = match shape {
        Shape::Plain { http2_up: false } => ("http", String::new()),
        Shape::Tcp => ("tcp", String::new()),
        Shape::Secure => (
            "http",
            format!(
                "ssl crt {folder}/both.pem ca-file {folder}/roots.pem verify required ssl-min-ver TLSv1.3 \
                 curves X25519 no-tls-tickets"
            ),
        ),
        _ => return None,
    };
    let reuse = if mode == "http" { "http-reuse always" } else { "" };
    Some(format!(
        "global
    nbthread 1
    maxconn 8000
    tune.ssl.cachesize 0
defaults
    mode {mode}
    timeout connect 5s
    timeout client 3600s
    timeout server 3600s
    {reuse}
frontend in
    bind {listen} backlog 4096 {tls}
    default_backend out
backend out
    server origin {origin} pool-max-conn 4096
"
    ))
}
