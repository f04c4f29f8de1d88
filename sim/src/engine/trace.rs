//! What passed over the network: counts, and a hash by which two runs are compared.

use sha2::{Digest, Sha256};
use turmoil_net::{Packet, TcpSegment, Transport};

use super::heap::Nanos;

/// What the network has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets given to a pod. Traffic inside a pod is not counted.
    pub packets: u64,
    /// Payload bytes of those packets.
    pub bytes: u64,
    /// Packets lost on a link, cut off by a partition or sent to a pod without power.
    pub lost: u64,
    /// Packets sent again.
    pub retransmitted: u64,
    /// Passes over all pods' sockets to collect what they send.
    pub passes: u64,
    /// Events made: arrivals and timers.
    pub events: u64,
    /// Connections between pods that the network still follows.
    pub connections: usize,
    /// Sockets of the pods' processes still open.
    pub sockets: usize,
}

/// SHA-256 over (time, addresses, ports, sequence numbers, flags, length) of each delivered packet.
#[derive(Debug, Clone)]
pub(super) struct PacketHash {
    hash: Sha256,
}

impl PacketHash {
    pub(super) fn new() -> Self {
        Self { hash: Sha256::new() }
    }

    pub(super) fn add(&mut self, at: Nanos, packet: &Packet, segment: &TcpSegment) {
        let flags = &segment.flags;
        let bits = [flags.syn, flags.ack, flags.fin, flags.rst, flags.psh, flags.urg];
        let bits = bits.iter().fold(0u8, |bits, bit| bits << 1 | u8::from(*bit));
        let mut line = [0; 33];
        line[..8].copy_from_slice(&at.to_le_bytes());
        line[8..12].copy_from_slice(&v4(packet.src).to_le_bytes());
        line[12..16].copy_from_slice(&v4(packet.dst).to_le_bytes());
        line[16..18].copy_from_slice(&segment.src_port.to_le_bytes());
        line[18..20].copy_from_slice(&segment.dst_port.to_le_bytes());
        line[20..24].copy_from_slice(&segment.seq.to_le_bytes());
        line[24..28].copy_from_slice(&segment.ack.to_le_bytes());
        line[28] = bits;
        line[29..33].copy_from_slice(&(segment.payload.len() as u32).to_le_bytes());
        self.hash.update(line);
    }

    pub(super) fn value(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }
}

/// The IPv4 address as a number; the tank has no other addresses.
pub(super) fn v4(ip: std::net::IpAddr) -> u32 {
    match ip {
        std::net::IpAddr::V4(ip) => ip.to_bits(),
        std::net::IpAddr::V6(_) => 0,
    }
}

/// The TCP segment of a packet; `None` for UDP, which the tank does not carry.
pub(super) fn tcp(packet: &Packet) -> Option<&TcpSegment> {
    match &packet.payload {
        Transport::Tcp(segment) => Some(segment),
        Transport::Udp(_) => None,
    }
}

/// As [`tcp`], to rewrite.
pub(super) fn tcp_mut(packet: &mut Packet) -> Option<&mut TcpSegment> {
    match &mut packet.payload {
        Transport::Tcp(segment) => Some(segment),
        Transport::Udp(_) => None,
    }
}
