//! A packet's way from one pod's kernel to another's: its connection, its link, its losses, its arrival.

use std::net::SocketAddr;

use turmoil_net::Packet;

use super::conn::{Conn, Tuple, forge};
use super::core::Core;
use super::flow::{Dir, Flow, Kind};
use super::heap::{Event, Nanos};
use super::link::{LinkId, Links};
use super::pod::PodId;
use super::slab::Key;
use super::trace::{tcp, tcp_mut};

impl Core {
    /// Puts a packet that a pod's kernel sent on its way.
    pub(super) fn send(&mut self, mut packet: Packet, now: Nanos) {
        let (Some(tuple), Some(segment)) = (Tuple::of_packet(&packet), tcp(&packet)) else {
            return;
        };
        let kind = Kind::of(segment);
        let Some(from) = self.pod_by_ip(packet.src) else {
            return;
        };
        if let Some(counter) = &self.pod(from).without_power {
            counter.touch();
            self.stats.lost += 1;
            return;
        }
        let (key, dir) = match (self.conns.find(tuple), kind) {
            (Some(found), Kind::SynAck | Kind::Data | Kind::Ack | Kind::Rst) => found,
            // The kernel sends a SYN once, so this one opens a new connection between the same ports.
            (Some((old, _)), Kind::Syn) => {
                self.forget(old);
                (self.open(from, &packet), Dir::Request)
            }
            (None, Kind::Syn) => (self.open(from, &packet), Dir::Request),
            (None, _) => return self.send_stray(from, packet, now),
        };
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let size = packet.size();
        if let Some(segment) = tcp_mut(&mut packet) {
            conn.note_sent(dir, segment);
            if dir == Dir::Response {
                segment.src_port = conn.dst.port();
            }
        }
        let arrives = conn.links.and_then(|links| self.links.transit(links[dir as usize], now, size));
        self.stats.lost += u64::from(arrives.is_none());
        let asked_again = !conn.is_acked(dir.back());
        let flow = &mut conn.flows[dir as usize];
        if kind == Kind::Rst {
            // Who resets has no socket left to send anything again from. A lost reset is repeated when the
            // peer repeats what it answers; an idle peer never hears of it.
            flow.forget_lost();
            if arrives.is_none() && !asked_again {
                return self.lose_end(key, dir);
            }
            conn.gone[dir as usize] = true;
        }
        match flow.push(packet, kind, arrives) {
            Some(at) => self.heap.push(at, Event::Arrive { conn: key, dir }),
            None if flow.needs_timer() => {
                let after = flow.rto(rtt(&self.links, conn.links));
                let timer = conn.flows[dir as usize].arm();
                self.heap.push(now.saturating_add(after), Event::Retry { conn: key, dir, timer });
            }
            None => {}
        }
    }

    fn open(&mut self, client_pod: PodId, syn: &Packet) -> Key {
        let segment = tcp(syn).expect("a SYN is TCP");
        let server_pod = self.pod_by_ip(syn.dst);
        let links = server_pod.map(|server| [self.links.id(client_pod, server), self.links.id(server, client_pod)]);
        self.conns.insert(Conn {
            client: SocketAddr::new(syn.src, segment.src_port),
            dst: SocketAddr::new(syn.dst, segment.dst_port),
            real_port: segment.dst_port,
            captured: false,
            client_pod,
            server_pod,
            links,
            flows: [Flow::default(), Flow::default()],
            sent: [0; 2],
            acked: [None; 2],
            fin: [false; 2],
            syn_ack: None,
            answered: false,
            established: false,
            reached: false,
            closed: [false; 2],
            gone: [false; 2],
            sockets: [None; 2],
        })
    }

    /// Hands over what has arrived in `dir`, in order.
    pub(super) fn arrive(&mut self, key: Key, dir: Dir, now: Nanos) {
        let mut delivered = false;
        while let Some(kind) = self.conns.get(key).and_then(|conn| conn.flows[dir as usize].ready(now)) {
            if !self.admit(key, dir, kind) {
                self.stats.lost += 1;
                let Some(conn) = self.conns.get_mut(key) else {
                    return;
                };
                conn.flows[dir as usize].lose_front();
                // The sender's timer has run since it sent.
                let way = conn.links.map_or(0, |links| self.links.latency(links[dir as usize]));
                let after = conn.flows[dir as usize].rto(rtt(&self.links, conn.links)).saturating_sub(way);
                return self.set_timer(key, dir, now.saturating_add(after));
            }
            let packet = self.conns.get_mut(key).and_then(|conn| conn.flows[dir as usize].pop());
            if let Some(packet) = packet {
                delivered = true;
                self.deliver(key, dir, kind, packet, now);
            }
        }
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let flow = &mut conn.flows[dir as usize];
        // The acknowledgement that shows the sender its next loss travels back first.
        if (delivered && flow.needs_timer()) || (!delivered && flow.duplicate_ack()) {
            let back = conn.links.map_or(0, |links| self.links.latency(links[dir.back() as usize]));
            self.set_timer(key, dir, now.saturating_add(back));
        } else if conn.is_finished() {
            self.forget(key);
        } else if conn.flows.iter().all(Flow::is_empty)
            && let Some(end) = [Dir::Request, Dir::Response].into_iter().find(|end| conn.gone[*end as usize])
        {
            self.lose_end(key, end);
        }
    }

    pub(super) fn set_timer(&mut self, key: Key, dir: Dir, at: Nanos) {
        if let Some(conn) = self.conns.get_mut(key) {
            let timer = conn.flows[dir as usize].arm();
            self.heap.push(at, Event::Retry { conn: key, dir, timer });
        }
    }

    /// Whether the receiving host takes the segment in front of a flow. A SYN finds its listener here, and
    /// is swallowed when that has no room.
    fn admit(&mut self, key: Key, dir: Dir, kind: Kind) -> bool {
        let Some(conn) = self.conns.get(key) else {
            return false;
        };
        let Some(pod) = conn.sender(dir.back()) else {
            return false;
        };
        if let Some(counter) = &self.pod(pod).without_power {
            counter.touch();
            return false;
        }
        if kind != Kind::Syn {
            return true;
        }
        let (client, dst, ip) = (conn.client, conn.dst, self.pod(pod).ip);
        let captured = self.pod(pod).capture.as_ref().and_then(|capture| capture.inbound(dst.port()));
        let port = captured.unwrap_or(dst.port());
        let real_port = match self.ports.find(pod, ip, port) {
            None => port,
            Some(listening) if listening.waiting.len() >= listening.backlog => return false,
            Some(listening) => {
                listening.waiting.insert(client);
                listening.real_port
            }
        };
        self.conns.translate(key, real_port, captured.is_some());
        true
    }

    /// Hands a segment to its receiver's kernel.
    fn deliver(&mut self, key: Key, dir: Dir, kind: Kind, mut packet: Packet, now: Nanos) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let Some(segment) = tcp_mut(&mut packet) else {
            return;
        };
        if dir == Dir::Request {
            segment.dst_port = conn.real_port;
        }
        conn.note_delivered(dir, segment);
        let has_bytes = !segment.payload.is_empty();
        self.count(&packet, now);
        if kind == Kind::Rst {
            self.reset_end(key, dir.back());
            self.forget(key);
        } else if has_bytes && self.conns.get(key).is_some_and(|conn| conn.closed[dir.back() as usize]) {
            // Nobody will read this. Linux answers so; the kernel here would take it in silence.
            let Some((local, peer)) = self.conns.get(key).map(|conn| conn.end(dir.back())) else {
                return;
            };
            self.reset_end(key, dir.back());
            if let Some(conn) = self.conns.get_mut(key) {
                conn.gone[dir.back() as usize] = true;
            }
            self.send(forge(local, peer, None), now);
        } else {
            self.hand_over(packet);
        }
    }

    /// Resets the kernel's socket at the sending end of `dir`, as if by its peer.
    pub(super) fn reset_end(&mut self, key: Key, dir: Dir) {
        let Some(conn) = self.conns.get(key) else {
            return;
        };
        let (local, peer) = conn.end(dir);
        let (established, syn_ack, socket) = (conn.established, conn.syn_ack, conn.sockets[dir as usize]);
        // A child reset during its handshake would stay in the kernel for ever. It is brought up first, so
        // that the listener finds it, and throws it away.
        if let (Dir::Response, false, Some((seq, ack))) = (dir, established, syn_ack)
            && let Some(pod) = conn.server_pod
        {
            self.stillborn.insert((pod, local.port(), peer));
            self.hand_over(forge(peer, local, Some((ack, seq.wrapping_add(1)))));
        }
        if let Some(socket) = socket {
            self.read_ahead(socket);
        }
        self.hand_over(forge(peer, local, None));
    }

    /// Stops following a connection.
    pub(super) fn forget(&mut self, key: Key) {
        if let Some(conn) = self.conns.remove(key)
            && let Some(server) = conn.server_pod
        {
            self.ports.forget_waiting(server, conn.real_port, conn.client);
        }
    }

    /// A packet of no connection: an answer to something late.
    fn send_stray(&mut self, from: PodId, packet: Packet, now: Nanos) {
        let Some(to) = self.pod_by_ip(packet.dst) else {
            return;
        };
        let link = self.links.id(from, to);
        match self.links.transit(link, now, packet.size()) {
            Some(at) => {
                let packet = self.strays.insert(packet);
                self.heap.push(at, Event::Stray { packet });
            }
            None => self.stats.lost += 1,
        }
    }

    pub(super) fn arrive_stray(&mut self, packet: Key, now: Nanos) {
        let Some(packet) = self.strays.remove(packet) else {
            return;
        };
        let Some(pod) = self.pod_by_ip(packet.dst) else {
            return;
        };
        if let Some(counter) = &self.pod(pod).without_power {
            counter.touch();
            self.stats.lost += 1;
            return;
        }
        self.count(&packet, now);
        self.hand_over(packet);
    }

    fn count(&mut self, packet: &Packet, now: Nanos) {
        if let Some(segment) = tcp(packet) {
            self.stats.packets += 1;
            self.stats.bytes += segment.payload.len() as u64;
            self.hash.add(now, packet, segment);
        }
    }
}

/// Time to the other end and back.
pub(super) fn rtt(links: &Links, ids: Option<[LinkId; 2]>) -> Nanos {
    ids.map_or(0, |[to, from]| links.latency(to).saturating_add(links.latency(from)))
}
