//! Packets that the node's firewall hands to this program, which says of each when it passes: netlink's packet queue.
//!
//! Linux: `linux/netfilter/nfnetlink.h` and `linux/netfilter/nfnetlink_queue.h`. A message is a header of 16 bytes
//! (length, type, flags, sequence, port), four bytes (family, version, number of the queue), then attributes: length,
//! type, value, padded to four bytes. Headers of messages and attributes are in the machine's byte order, the rest in
//! the network's.

use std::io;
use std::net::Ipv4Addr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::network::Host;

/// `AF_NETLINK`, and its family for netfilter.
const NETLINK: i32 = 16;
const NETFILTER: i32 = 12;
/// Number of the queue; a node has one.
pub(super) const QUEUE: u16 = 0;
/// The part of netfilter that queues, in the upper byte of a message's type.
const SUBSYSTEM: u16 = 3 << 8;
const PACKET: u16 = SUBSYSTEM;
const VERDICT: u16 = SUBSYSTEM | 1;
const CONFIG: u16 = SUBSYSTEM | 2;
/// A message that answers a request, with an error number or zero.
const ANSWER: u16 = 2;
const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
/// Attributes of `CONFIG`, and what they hold here: bind, and copy packets.
const COMMAND: u16 = 1;
const PARAMETERS: u16 = 2;
const LENGTH_MAX: u16 = 3;
const BIND: u8 = 1;
const COPY: u8 = 2;
/// Attributes of `PACKET` and `VERDICT`.
const PACKET_HEADER: u16 = 1;
const VERDICT_HEADER: u16 = 2;
const PAYLOAD: u16 = 10;
/// Verdicts.
const DROP: u32 = 0;
const ACCEPT: u32 = 1;

/// "No buffer space available".
const ENOBUFS: i32 = 105;
const HEADER: usize = 16;
const AFTER_HEADER: usize = HEADER + 4;
/// So much of a packet is copied: an IPv4 header with all options, and ports.
const COPIED: u32 = 64;
/// Packets that may wait at once; more are lost, as in any queue. And the bytes in which they are announced.
const WAITING_MAX: u32 = 16_384;
const ANNOUNCED_MAX: usize = 4 << 20;

/// A packet that waits for a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet {
    /// By which its verdict is given.
    pub(super) id: u32,
    /// From where and to where.
    pub(super) way: (Ipv4Addr, Ipv4Addr),
    /// Protocol and ports: what tells its flow from others of its way.
    pub(super) flow: (u8, u32),
    /// Bytes of it, with its IP header.
    pub(super) size: u32,
}

/// The node's queue.
#[derive(Debug)]
pub(super) struct Queue {
    /// A datagram socket, whatever its family: receiving and sending are the same calls.
    socket: UdpSocket,
}

impl Queue {
    /// The queue of `node`, to which nothing is sent before there is a rule that does. On the runtime that it is read on.
    ///
    /// Errs when this kernel has no such queue.
    pub(super) fn open(node: &Host) -> io::Result<Self> {
        let make = || Socket::new(Domain::from(NETLINK), Type::RAW.nonblocking(), Some(Protocol::from(NETFILTER)));
        let socket = node.namespace.within(make)?;
        // As far as the system allows it.
        let _ = socket.set_recv_buffer_size(ANNOUNCED_MAX);
        let socket = std::net::UdpSocket::from(socket);
        let mut copy = COPIED.to_be_bytes().to_vec();
        copy.push(COPY);
        let length = WAITING_MAX.to_be_bytes();
        for (kind, value) in [(COMMAND, &[BIND, 0, 0, 0][..]), (PARAMETERS, &copy), (LENGTH_MAX, &length)] {
            socket.send(&message(CONFIG, REQUEST | ACKNOWLEDGE, kind, value))?;
            let mut bytes = [0; 1024];
            // The kernel has answered when it has taken the request.
            let length = socket.recv(&mut bytes)?;
            acknowledged(&bytes[..length])?;
        }
        Ok(Self { socket: UdpSocket::from_std(socket)? })
    }

    /// The packets that have come, after waiting for one at least.
    ///
    /// Errs when the socket does.
    pub(super) async fn packets(&self) -> io::Result<Vec<Packet>> {
        let mut bytes = [0; 4096];
        loop {
            match self.socket.recv(&mut bytes).await {
                // More was announced than fits: what did not is lost.
                Err(error) if error.raw_os_error() == Some(ENOBUFS) => {}
                read => return Ok(packets(&bytes[..read?])),
            }
        }
    }

    /// Lets a packet pass, or loses it.
    pub(super) fn decide(&self, id: u32, passes: bool) {
        let mut value = if passes { ACCEPT } else { DROP }.to_be_bytes().to_vec();
        value.extend(id.to_be_bytes());
        // The kernel takes a verdict at once, or knows no such packet any more.
        let _ = self.socket.try_send(&message(VERDICT, REQUEST, VERDICT_HEADER, &value));
    }
}

/// A message to the queue, with one attribute.
fn message(kind: u16, flags: u16, attribute: u16, value: &[u8]) -> Vec<u8> {
    let length = AFTER_HEADER + 4 + value.len();
    let mut bytes = Vec::with_capacity(length + 3);
    bytes.extend((length.next_multiple_of(4) as u32).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    // Sequence and port: the kernel fills in the port, and answers come in order.
    bytes.extend([0; 8]);
    bytes.extend([0, 0]);
    bytes.extend(QUEUE.to_be_bytes());
    bytes.extend((4 + value.len() as u16).to_ne_bytes());
    bytes.extend(attribute.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(length.next_multiple_of(4), 0);
    bytes
}

/// Whether what came is the answer that nothing is wrong.
///
/// Errs with what is, or that this is no answer.
fn acknowledged(bytes: &[u8]) -> io::Result<()> {
    let (kind, body) = messages(bytes).next().ok_or(io::ErrorKind::UnexpectedEof)?;
    let number = body.first_chunk().map(|number| i32::from_ne_bytes(*number));
    match number.filter(|_| kind == ANSWER) {
        Some(0) => Ok(()),
        Some(number) => Err(io::Error::from_raw_os_error(-number)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The packets of what came; what is not one, or is not IPv4, is left out.
fn packets(bytes: &[u8]) -> Vec<Packet> {
    let announced = messages(bytes).filter(|(kind, _)| *kind == PACKET);
    announced.filter_map(|(_, body)| packet(body.get(4..)?)).collect()
}

fn packet(attributes: &[u8]) -> Option<Packet> {
    let (mut id, mut payload) = (None, None);
    for (kind, value) in pieces(attributes, 4, |head| {
        let length = u16::from_ne_bytes([head[0], head[1]]);
        // Two bits of the type are not of its number.
        (usize::from(length), u16::from_ne_bytes([head[2], head[3]]) & 0x3fff)
    }) {
        match kind {
            PACKET_HEADER => id = value.first_chunk().map(|id| u32::from_be_bytes(*id)),
            PAYLOAD => payload = Some(value),
            _ => {}
        }
    }
    let (id, ip) = (id?, payload?);
    let header = ip.first_chunk::<20>().filter(|header| header[0] >> 4 == 4)?;
    let address = |at: usize| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]);
    // Fragments after the first have none.
    let ports = ip.get(usize::from(header[0] & 15) * 4..).and_then(|rest| rest.first_chunk());
    Some(Packet {
        id,
        way: (address(12), address(16)),
        flow: (header[9], ports.map_or(0, |ports| u32::from_be_bytes(*ports))),
        size: u16::from_be_bytes([header[2], header[3]]).into(),
    })
}

/// Messages, each with its type and what follows its header.
fn messages(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    pieces(bytes, HEADER, |head| {
        let length = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]);
        (length as usize, u16::from_ne_bytes([head[4], head[5]]))
    })
}

/// Pieces that say their own length and type in a head of `head` bytes, padded to four; ends at one that is cut short.
fn pieces(mut bytes: &[u8], head: usize, read: impl Fn(&[u8]) -> (usize, u16)) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (length, kind) = read(bytes.get(..head)?);
        let piece = bytes.get(head..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, piece))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An announcement as the kernel makes it: number 7, and a packet of 60 bytes of which the first 24 are copied.
    fn announced() -> Vec<u8> {
        let mut ip = vec![0x45, 0, 0, 60, 0, 0, 0, 0, 64, 6, 0, 0, 10, 244, 0, 3, 10, 244, 0, 4];
        ip.extend([0x1f, 0x90, 0, 80]);
        let mut bytes = message(PACKET, 0, PACKET_HEADER, &[0, 0, 0, 7, 8, 0, 2]);
        bytes.extend(28u16.to_ne_bytes());
        bytes.extend(PAYLOAD.to_ne_bytes());
        bytes.extend(ip);
        let length = (bytes.len() as u32).to_ne_bytes();
        bytes[..4].copy_from_slice(&length);
        bytes
    }

    #[test]
    fn a_packet_tells_its_way_its_flow_and_its_whole_size() {
        let way = (Ipv4Addr::new(10, 244, 0, 3), Ipv4Addr::new(10, 244, 0, 4));
        let wanted = Packet { id: 7, way, flow: (6, 8080 << 16 | 80), size: 60 };
        assert_eq!(packets(&announced()), [wanted]);
        assert_eq!(packets(&[announced(), announced()].concat()), [wanted, wanted]);
    }

    #[test]
    fn what_is_cut_short_is_no_packet() {
        let whole = announced();
        for length in 0..whole.len() - 4 {
            assert_eq!(packets(&whole[..length]), [], "{length} bytes");
        }
    }

    #[test]
    fn an_answer_is_an_error_or_none() {
        let answer = |number: i32| {
            let mut bytes = vec![20, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            bytes.extend(number.to_ne_bytes());
            bytes
        };
        assert!(acknowledged(&answer(0)).is_ok());
        assert_eq!(acknowledged(&answer(-1)).map_err(|error| error.raw_os_error()), Err(Some(1)));
        assert!(acknowledged(&announced()).is_err());
        assert!(acknowledged(&[]).is_err());
    }
}
