//! Cluster DNS of a live run: Services' names lead to their addresses.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::str::FromStr;
use std::sync::Arc;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use wavetank_platform::{BoxFuture, Platform, Resolver};

use super::network::{Host, NODE};
use crate::world::cast::{Cast, INGRESS, OUTSIDE};

/// How long an answer may be kept, in seconds.
const TTL: u32 = 5;
/// A query's bytes at most.
const QUERY_MAX: usize = 1500;

/// The names that someone in a Kubernetes namespace knows; the one of callers outside knows `ingress` beside.
#[derive(Debug, Clone)]
pub(super) struct Names {
    cast: Arc<Cast>,
    namespace: String,
}

impl Names {
    pub(super) fn new(cast: Arc<Cast>, namespace: &str) -> Self {
        Self { cast, namespace: namespace.to_owned() }
    }

    fn address(&self, name: &str) -> Option<Ipv4Addr> {
        let ingress = || self.cast.services.iter().find(|service| service.name == INGRESS);
        let service = self.cast.service_named(name, &self.namespace);
        let service = service.or_else(|| ingress().filter(|_| name == "ingress" && self.namespace == OUTSIDE));
        service.map(|service| service.cluster_ip)
    }
}

impl Resolver for Names {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            if let Ok(ip) = name.parse() {
                return Ok(vec![ip]);
            }
            let address = self.address(name).map(|ip| vec![ip.into()]);
            address.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{name} has no address")))
        })
    }
}

/// Answers queries at the node's address for as long as `platform`'s process runs.
///
/// Errs when the port cannot be had.
pub(super) fn serve(platform: &Platform, node: &Host, cast: Arc<Cast>) -> io::Result<()> {
    let socket = node.namespace.within(|| {
        let socket = UdpSocket::bind(SocketAddr::new(NODE.into(), 53))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    })?;
    let socket = tokio::net::UdpSocket::from_std(socket)?;
    // Whoever asks has its own search list; what arrives is a full name.
    let names = Names::new(cast, OUTSIDE);
    platform.spawn.go(async move {
        let mut query = [0; QUERY_MAX];
        loop {
            let Ok((length, from)) = socket.recv_from(&mut query).await else { continue };
            if let Some(answer) = answer(&names, &query[..length]) {
                let _ = socket.send_to(&answer, from).await;
            }
        }
    });
    Ok(())
}

/// The answer to one query; `None` to what is none.
fn answer(names: &Names, query: &[u8]) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).ok()?;
    let question = query.queries.first()?;
    let mut answer = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
    answer.metadata.recursion_desired = query.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.add_query(question.clone());
    let name = question.name().to_string().trim_end_matches('.').to_ascii_lowercase();
    match names.address(&name) {
        Some(ip) if question.query_type() == RecordType::A => {
            let name = Name::from_str(&question.name().to_string()).ok()?;
            answer.add_answer(Record::from_rdata(name, TTL, RData::A(A(ip))));
        }
        Some(_) => {}
        None => {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
    }
    answer.to_vec().ok()
}
