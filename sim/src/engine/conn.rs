//! Connections between pods, as the network follows them: which flow a packet belongs to, and how its
//! addresses are translated.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use turmoil_net::{Packet, TcpFlags, TcpSegment, Transport};

use super::flow::{Dir, Flow};
use super::link::LinkId;
use super::pod::PodId;
use super::slab::{Key, Slab};
use super::trace::{tcp, tcp_mut, v4};

/// A TCP connection between two pods, from its SYN until both ends have closed it.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) client: SocketAddr,
    /// What the client's kernel connected to: a pod's address.
    pub(super) dst: SocketAddr,
    /// The port in the server's kernel: that of the capture or of the listener.
    pub(super) real_port: u16,
    /// Redirected to the server's sidecar.
    pub(super) captured: bool,
    pub(super) client_pod: PodId,
    /// `None` when the address is nobody's.
    pub(super) server_pod: Option<PodId>,
    /// The links of the two directions; `None` leads nowhere.
    pub(super) links: Option<[LinkId; 2]>,
    pub(super) flows: [Flow; 2],
    /// By direction: the sequence number after everything sent; the last acknowledgement that reached the
    /// sender; whether a FIN was sent.
    pub(super) sent: [u32; 2],
    pub(super) acked: [Option<u32>; 2],
    pub(super) fin: [bool; 2],
    /// Sequence and acknowledgement number of the SYN-ACK.
    pub(super) syn_ack: Option<(u32, u32)>,
    /// The client has the SYN-ACK.
    pub(super) answered: bool,
    /// The server has the handshake's last ACK.
    pub(super) established: bool,
    /// The SYN has reached the server's kernel.
    pub(super) reached: bool,
    /// By sending end: its process has closed its socket.
    pub(super) closed: [bool; 2],
    /// By sending end: its kernel knows nothing of the connection any more.
    pub(super) gone: [bool; 2],
    /// By sending end: its socket.
    pub(super) sockets: [Option<Key>; 2],
}

impl Conn {
    /// The pod at the sending end of `dir`.
    pub(super) fn sender(&self, dir: Dir) -> Option<PodId> {
        match dir {
            Dir::Request => Some(self.client_pod),
            Dir::Response => self.server_pod,
        }
    }

    /// Local address and peer of the sending end of `dir`, as its kernel has them.
    pub(super) fn end(&self, dir: Dir) -> (SocketAddr, SocketAddr) {
        match dir {
            Dir::Request => (self.client, self.dst),
            Dir::Response => (SocketAddr::new(self.dst.ip(), self.real_port), self.client),
        }
    }

    /// Whether both ends have closed and know it.
    pub(super) fn is_finished(&self) -> bool {
        self.fin == [true; 2]
            && self.is_acked(Dir::Request)
            && self.is_acked(Dir::Response)
            && self.flows.iter().all(Flow::is_empty)
    }

    /// Whether the sender of `dir` knows that everything it sent has arrived.
    pub(super) fn is_acked(&self, dir: Dir) -> bool {
        self.acked[dir as usize] == Some(self.sent[dir as usize])
    }

    /// Notes what a segment handed over in `dir` says about the life of the connection.
    pub(super) fn note_delivered(&mut self, dir: Dir, segment: &TcpSegment) {
        if !segment.flags.ack || segment.flags.rst {
            return;
        }
        self.established |= dir == Dir::Request;
        self.answered |= dir == Dir::Response;
        self.acked[dir.back() as usize] = Some(segment.ack);
    }

    /// The client's SYN once more, with the connection as it was when that was first sent. The kernel sends
    /// it only once.
    pub(super) fn start_over(&mut self) -> Packet {
        self.reached = false;
        self.gone = [false; 2];
        self.closed[Dir::Response as usize] = false;
        self.syn_ack = None;
        self.flows = [Flow::default(), Flow::default()];
        let mut syn = forge(self.client, self.dst, Some((self.sent[Dir::Request as usize].wrapping_sub(1), 0)));
        if let Some(segment) = tcp_mut(&mut syn) {
            segment.flags = TcpFlags { syn: true, ..TcpFlags::default() };
        }
        syn
    }

    /// Notes what a segment sent in `dir` says about the life of the connection.
    pub(super) fn note_sent(&mut self, dir: Dir, segment: &TcpSegment) {
        if segment.flags.rst {
            return;
        }
        let length = segment.payload.len() as u32 + u32::from(segment.flags.fin) + u32::from(segment.flags.syn);
        self.sent[dir as usize] = segment.seq.wrapping_add(length);
        self.fin[dir as usize] |= segment.flags.fin;
        if segment.flags.syn && segment.flags.ack {
            self.syn_ack = Some((segment.seq, segment.ack));
        }
    }
}

/// A packet's (source, destination), as one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tuple(u128);

impl Tuple {
    pub(super) fn new(src: SocketAddr, dst: SocketAddr) -> Self {
        Self::of(src.ip(), src.port(), dst.ip(), dst.port())
    }

    pub(super) fn of_packet(packet: &Packet) -> Option<Self> {
        let segment = tcp(packet)?;
        Some(Self::of(packet.src, segment.src_port, packet.dst, segment.dst_port))
    }

    fn of(src: IpAddr, src_port: u16, dst: IpAddr, dst_port: u16) -> Self {
        let ips = u128::from(v4(src)) << 32 | u128::from(v4(dst));
        Self(ips << 32 | u128::from(src_port) << 16 | u128::from(dst_port))
    }
}

/// Every connection the network follows.
#[derive(Debug)]
pub(super) struct Conns {
    conns: Slab<Conn>,
    by_tuple: BTreeMap<Tuple, (Key, Dir)>,
}

impl Conns {
    pub(super) fn new() -> Self {
        Self { conns: Slab::new(), by_tuple: BTreeMap::new() }
    }

    pub(super) fn find(&self, tuple: Tuple) -> Option<(Key, Dir)> {
        self.by_tuple.get(&tuple).copied()
    }

    pub(super) fn insert(&mut self, conn: Conn) -> Key {
        let tuple = Tuple::new(conn.client, conn.dst);
        let key = self.conns.insert(conn);
        self.by_tuple.insert(tuple, (key, Dir::Request));
        key
    }

    /// Says which port of its kernel the server answers from.
    pub(super) fn translate(&mut self, key: Key, real_port: u16, captured: bool) {
        if let Some(conn) = self.conns.get_mut(key) {
            conn.real_port = real_port;
            conn.captured = captured;
            conn.reached = true;
            let (local, peer) = conn.end(Dir::Response);
            self.by_tuple.insert(Tuple::new(local, peer), (key, Dir::Response));
        }
    }

    pub(super) fn get(&self, key: Key) -> Option<&Conn> {
        self.conns.get(key)
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Conn> {
        self.conns.get_mut(key)
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Conn> {
        let conn = self.conns.remove(key)?;
        for dir in [Dir::Request, Dir::Response] {
            let (local, peer) = conn.end(dir);
            let tuple = Tuple::new(local, peer);
            if self.by_tuple.get(&tuple).is_some_and(|(owner, _)| *owner == key) {
                self.by_tuple.remove(&tuple);
            }
        }
        Some(conn)
    }

    /// Every connection with an end on `pod`, with the directions in which that end sends.
    pub(super) fn ends_on(&self, pod: PodId) -> Vec<(Key, Dir)> {
        let ends = |(key, conn): (Key, &Conn)| {
            [Dir::Request, Dir::Response].map(|dir| (conn.sender(dir) == Some(pod)).then_some((key, dir)))
        };
        self.conns.iter().flat_map(ends).flatten().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.conns.len()
    }
}

/// A segment without bytes from `src` to `dst`: a RST, or with `seq_ack` an ACK.
pub(super) fn forge(src: SocketAddr, dst: SocketAddr, seq_ack: Option<(u32, u32)>) -> Packet {
    let (seq, ack) = seq_ack.unwrap_or_default();
    let flags = TcpFlags { rst: seq_ack.is_none(), ack: seq_ack.is_some(), ..TcpFlags::default() };
    let segment = TcpSegment {
        src_port: src.port(),
        dst_port: dst.port(),
        seq,
        ack,
        flags,
        window: u16::MAX,
        payload: Bytes::new(),
    };
    Packet { src: src.ip(), dst: dst.ip(), ttl: 64, payload: Transport::Tcp(segment) }
}
