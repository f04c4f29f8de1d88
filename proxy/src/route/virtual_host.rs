//! Authority to virtual host. Envoy: `VirtualHost.domains`.

use std::borrow::Cow;

use crate::snapshot::RouteConfig;
use crate::snapshot::route::VirtualHost;

/// The virtual host that serves `authority`, compared without case.
///
/// The port is part of the authority unless the configuration ignores it: `a.test` does not serve
/// `a.test:8080`. An exact domain wins over `*suffix`, that over `prefix*`, that over `*`; a longer
/// wildcard over a shorter one.
pub fn select_virtual_host<'a>(routes: &'a RouteConfig, authority: &str) -> Option<&'a VirtualHost> {
    let host = if routes.ignore_port_in_host_matching { without_port(authority) } else { authority };
    let lower = if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    };
    let position = routes.domains().find(&lower)?;
    routes.virtual_hosts().get(usize::try_from(position).ok()?).map(|host| &**host)
}

/// `authority` without its port, if it has one: `a:80` → `a`, `[::1]:80` → `[::1]`.
pub fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            // The colons of a bare IPv6 address are no port.
            if host.contains(':') && !host.ends_with(']') { authority } else { host }
        }
        _ => authority,
    }
}

#[cfg(test)]
mod tests;
