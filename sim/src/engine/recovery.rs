//! What senders do about loss, and what becomes of a connection that loses one of its ends.

use super::conn::Conns;
use super::core::Core;
use super::flow::{Dir, Flow, Kind, Retry};
use super::heap::{Event, Nanos};
use super::slab::Key;
use super::transit::rtt;

/// Size of a segment without bytes.
const ACK_SIZE: u32 = 40;

impl Core {
    /// The retransmission timer of a flow.
    pub(super) fn retry(&mut self, key: Key, dir: Dir, timer: u32, now: Nanos) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        match conn.flows[dir as usize].fire(timer) {
            Retry::Nothing => {}
            Retry::GiveUp(kind) => self.give_up(key, dir, kind),
            Retry::Send(kind, _) if !self.is_wanted(key, dir, kind) => {
                conn_flow(&mut self.conns, key, dir).map(Flow::forget_lost);
                if kind != Kind::Ack {
                    self.lose_end(key, dir);
                }
                self.arrive(key, dir, now);
            }
            Retry::Send(kind, size) => self.send_again(key, dir, kind, size, now),
        }
    }

    fn send_again(&mut self, key: Key, dir: Dir, kind: Kind, size: u32, now: Nanos) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        self.stats.retransmitted += 1;
        let links = &mut self.links;
        // An answer is repeated when what it answers is, so that must come through as well.
        let asked = !matches!(kind, Kind::Ack | Kind::Rst)
            || conn.links.is_some_and(|ids| links.transit(ids[dir.back() as usize], now, ACK_SIZE).is_some());
        let arrives = conn.links.filter(|_| asked).and_then(|ids| links.transit(ids[dir as usize], now, size));
        let flow = &mut conn.flows[dir as usize];
        if let Some(at) = arrives {
            let at = flow.resent(at);
            return self.heap.push(at, Event::Arrive { conn: key, dir });
        }
        self.stats.lost += 1;
        let after = flow.rto(rtt(links, conn.links));
        self.set_timer(key, dir, now.saturating_add(after));
    }

    /// Whether a lost segment is still to be sent again: bytes need a sender, an ACK needs someone who waits
    /// for it (its sender may be in TIME_WAIT, which the kernel does not have), a reset needs neither.
    fn is_wanted(&self, key: Key, dir: Dir, kind: Kind) -> bool {
        match kind {
            Kind::Rst => self.conns.get(key).is_some_and(|conn| !conn.gone[dir.back() as usize]),
            Kind::Ack => {
                self.conns.get(key).is_some_and(|conn| !conn.gone[dir as usize]) && self.has_socket(key, dir.back())
            }
            Kind::Syn | Kind::SynAck | Kind::Data => self.has_socket(key, dir),
        }
    }

    /// Whether the sending end of `dir` has a socket.
    fn has_socket(&self, key: Key, dir: Dir) -> bool {
        let Some((conn, pod)) = self.conns.get(key).and_then(|conn| Some((conn, conn.sender(dir)?))) else {
            return false;
        };
        let (local, peer) = conn.end(dir);
        let on = self.pod(pod);
        on.without_power.is_none()
            && turmoil_net::netstat(on.ip).entries.iter().any(|row| row.local == local && row.peer == Some(peer))
    }

    /// The sender of a lost segment stops trying: its socket fails with `TimedOut`. For a lost answer that
    /// is the end that waits for it.
    fn give_up(&mut self, key: Key, dir: Dir, kind: Kind) {
        let end = if matches!(kind, Kind::Ack | Kind::Rst) { dir.back() } else { dir };
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        conn.flows[dir as usize].forget_lost();
        if let Some(socket) = conn.sockets[end as usize].and_then(|socket| self.sockets.get_mut(socket)) {
            socket.timed_out = true;
        }
        if matches!(kind, Kind::Syn | Kind::SynAck) {
            let dialled = (conn.client_pod, conn.dst);
            if self.has_socket(key, Dir::Request) {
                *self.connect_timeouts.entry(dialled).or_default() += 1;
            }
            self.reset_end(key, Dir::Request);
            self.reset_end(key, Dir::Response);
            return self.forget(key);
        }
        self.reset_end(key, end);
        self.lose_end(key, end);
    }

    /// An end of a connection is gone. The network follows the connection for the other's sake, if that
    /// may still send; a client that has no answer yet goes on sending its SYN.
    pub(super) fn lose_end(&mut self, key: Key, dir: Dir) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        conn.gone[dir as usize] = true;
        let (reached, answered, other) = (conn.reached, conn.answered, dir.back());
        if conn.closed[other as usize] {
            // No process will ever know how long the kernel would have waited.
            self.reset_end(key, other);
            self.forget(key);
        } else if !reached || conn.gone[other as usize] || !self.has_socket(key, other) {
            self.forget(key);
        } else if dir == Dir::Response && !answered {
            self.dial_again(key);
        }
    }

    fn dial_again(&mut self, key: Key) {
        if let Some(conn) = self.conns.get_mut(key) {
            let syn = conn.start_over();
            let flow = &mut conn.flows[Dir::Request as usize];
            flow.push(syn, Kind::Syn, None);
            let at = self.clock.nanos().saturating_add(flow.rto(0));
            self.set_timer(key, Dir::Request, at);
        }
    }
}

fn conn_flow(conns: &mut Conns, key: Key, dir: Dir) -> Option<&mut Flow> {
    conns.get_mut(key).map(|conn| &mut conn.flows[dir as usize])
}
