//! One direction of a TCP connection as the network carries it: in order, with losses made good in true time.
//!
//! The kernel below never retransmits and recovers wrongly from loss, so nothing is ever lost in its sight:
//! a lost segment keeps its place here, those behind it wait (as they would in the receiver's reassembly
//! queue), and it is sent again when a real sender would. The rules are those of RFC 6298 (timer, doubling),
//! RFC 5681 (fast retransmit on the third duplicate ACK) and Linux's limits: `tcp_syn_retries` 6,
//! `tcp_retries2` 15, `TCP_RTO_MIN` 200 ms, `TCP_RTO_MAX` 120 s.

use std::collections::VecDeque;

use turmoil_net::{Packet, TcpSegment};

use super::heap::Nanos;

const SECOND: Nanos = 1_000_000_000;
const RTO_MIN: Nanos = SECOND / 5;
const RTO_MAX: Nanos = 120 * SECOND;
/// Segments that arrive behind a gap before the sender closes it without waiting for its timer.
const DUPLICATE_ACKS: u8 = 3;

/// The direction of a flow within its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dir {
    /// From the end that opened the connection.
    Request = 0,
    /// From the end that accepted it.
    Response = 1,
}

impl Dir {
    pub(super) fn back(self) -> Self {
        match self {
            Self::Request => Self::Response,
            Self::Response => Self::Request,
        }
    }
}

/// What a segment is to loss recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Syn,
    SynAck,
    /// Carries bytes or a FIN.
    Data,
    /// Acknowledges only.
    Ack,
    Rst,
}

impl Kind {
    pub(super) fn of(segment: &TcpSegment) -> Self {
        let flags = &segment.flags;
        match (flags.rst, flags.syn, flags.ack) {
            (true, ..) => Self::Rst,
            (_, true, false) => Self::Syn,
            (_, true, true) => Self::SynAck,
            _ if flags.fin || !segment.payload.is_empty() => Self::Data,
            _ => Self::Ack,
        }
    }

    fn retries_max(self) -> u32 {
        match self {
            // The client's own SYNs make the server repeat its SYN-ACK once more than it would.
            Self::Syn | Self::SynAck => 6,
            Self::Data | Self::Ack | Self::Rst => 15,
        }
    }

    /// Time from the `attempt`-th sending (from 0) until the next.
    fn rto(self, attempt: u32, rtt: Nanos) -> Nanos {
        let first = match self {
            Self::Syn | Self::SynAck => SECOND,
            Self::Data | Self::Ack | Self::Rst => RTO_MIN + rtt,
        };
        first.saturating_mul(1 << attempt.min(20)).min(RTO_MAX)
    }
}

#[derive(Debug)]
struct Slot {
    packet: Packet,
    kind: Kind,
    /// When it reaches the receiver; `None` when it was lost and has not been sent again.
    arrives: Option<Nanos>,
}

/// What to do when a flow's timer fires.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// Nothing is lost any more.
    Nothing,
    /// Send the first lost segment, of this kind and size, again.
    Send(Kind, u32),
    /// The sender of this kind of segment gives up.
    GiveUp(Kind),
}

/// Segments on their way, in the order sent.
#[derive(Debug, Default)]
pub(super) struct Flow {
    queue: VecDeque<Slot>,
    last_arrival: Nanos,
    /// Times the first lost segment was sent again.
    attempts: u32,
    duplicate_acks: u8,
    timer: u32,
    armed: bool,
}

impl Flow {
    /// Adds a segment that arrives at `arrives`, or is lost. Returns the arrival, in order after those
    /// before it.
    pub(super) fn push(&mut self, packet: Packet, kind: Kind, arrives: Option<Nanos>) -> Option<Nanos> {
        let arrives = arrives.map(|at| self.in_order(at));
        if arrives.is_none() && kind != Kind::Ack && self.first_lost().is_none_or(|at| self.queue[at].kind == Kind::Ack)
        {
            // Its timer takes the place of that of a lost ACK: it acknowledges the same bytes.
            self.attempts = 0;
            self.armed = false;
        }
        self.queue.push_back(Slot { packet, kind, arrives });
        arrives
    }

    fn in_order(&mut self, at: Nanos) -> Nanos {
        self.last_arrival = self.last_arrival.max(at);
        self.last_arrival
    }

    /// The kind of the next segment to hand over, when it has arrived.
    pub(super) fn ready(&self, now: Nanos) -> Option<Kind> {
        let front = self.queue.front()?;
        let arrived = |slot: &Slot| slot.arrives.is_some_and(|at| at <= now);
        // A lost ACK is made good by whatever follows it, for that acknowledges the same bytes.
        let superseded = || front.kind == Kind::Ack && front.arrives.is_none() && self.queue.iter().any(arrived);
        (arrived(front) || superseded()).then_some(front.kind)
    }

    /// Takes the segment that [`ready`](Self::ready) announced.
    pub(super) fn pop(&mut self) -> Option<Packet> {
        self.attempts = 0;
        self.duplicate_acks = 0;
        self.queue.pop_front().map(|slot| slot.packet)
    }

    /// The receiver's host swallowed the segment in front: it counts as lost.
    pub(super) fn lose_front(&mut self) {
        if let Some(front) = self.queue.front_mut() {
            front.arrives = None;
        }
    }

    /// Notes that a segment arrived behind a gap. True when the sender now closes the gap at once.
    pub(super) fn duplicate_ack(&mut self) -> bool {
        let gap = self.queue.front().is_some_and(|slot| slot.arrives.is_none() && slot.kind == Kind::Data);
        if !gap {
            return false;
        }
        self.duplicate_acks = self.duplicate_acks.saturating_add(1);
        self.duplicate_acks == DUPLICATE_ACKS
    }

    /// Whether a lost segment waits for a timer and none is set.
    pub(super) fn needs_timer(&self) -> bool {
        !self.armed && self.first_lost().is_some()
    }

    /// Time until the sender's timer fires.
    pub(super) fn rto(&self, rtt: Nanos) -> Nanos {
        let kind = self.first_lost().map_or(Kind::Data, |index| self.queue[index].kind);
        kind.rto(self.attempts, rtt)
    }

    /// Sets the timer, and returns its number. An earlier timer no longer counts.
    pub(super) fn arm(&mut self) -> u32 {
        self.timer = self.timer.wrapping_add(1);
        self.armed = true;
        self.timer
    }

    /// Decides what the timer numbered `timer` does.
    pub(super) fn fire(&mut self, timer: u32) -> Retry {
        if !self.armed || timer != self.timer {
            return Retry::Nothing;
        }
        self.armed = false;
        let Some(index) = self.first_lost() else {
            return Retry::Nothing;
        };
        let slot = &self.queue[index];
        if self.attempts >= slot.kind.retries_max() {
            return Retry::GiveUp(slot.kind);
        }
        self.attempts += 1;
        Retry::Send(slot.kind, slot.packet.size())
    }

    /// The first lost segment was sent again and arrives at `at`. Returns its arrival.
    pub(super) fn resent(&mut self, at: Nanos) -> Nanos {
        // Segments behind it may arrive earlier and wait for it, so its own time counts, not their order.
        if let Some(index) = self.first_lost() {
            self.queue[index].arrives = Some(at);
        }
        self.last_arrival = self.last_arrival.max(at);
        at
    }

    /// The sender's socket is gone: what was lost is never sent again.
    pub(super) fn forget_lost(&mut self) {
        self.queue.retain(|slot| slot.arrives.is_some());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The segment to send again: the first that was lost, ACKs only when nothing else was.
    fn first_lost(&self) -> Option<usize> {
        let lost = |slot: &Slot| slot.arrives.is_none();
        let first = self.queue.iter().position(lost)?;
        if self.queue[first].kind != Kind::Ack {
            return Some(first);
        }
        self.queue.iter().position(|slot| lost(slot) && slot.kind != Kind::Ack).or(Some(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;
    use turmoil_net::{TcpFlags, Transport};

    fn packet(seq: u32) -> Packet {
        let ip = IpAddr::from([10, 0, 0, 1]);
        let flags = TcpFlags { ack: true, ..TcpFlags::default() };
        let payload = bytes::Bytes::from_static(b"x");
        let segment = TcpSegment { src_port: 1, dst_port: 2, seq, ack: 0, flags, window: 0, payload };
        Packet { src: ip, dst: ip, ttl: 64, payload: Transport::Tcp(segment) }
    }

    fn drain(flow: &mut Flow, now: Nanos) -> Vec<u32> {
        let mut seqs = Vec::new();
        while flow.ready(now).is_some() {
            let packet = flow.pop().unwrap();
            let Transport::Tcp(segment) = packet.payload else { unreachable!() };
            seqs.push(segment.seq);
        }
        seqs
    }

    #[test]
    fn segments_behind_a_lost_one_wait_for_it() {
        let mut flow = Flow::default();
        flow.push(packet(1), Kind::Data, Some(10));
        flow.push(packet(2), Kind::Data, None);
        flow.push(packet(3), Kind::Data, Some(12));
        assert_eq!(drain(&mut flow, 12), [1]);
        let timer = flow.arm();
        assert!(matches!(flow.fire(timer), Retry::Send(Kind::Data, _)));
        flow.resent(20);
        assert_eq!(drain(&mut flow, 19), [0; 0]);
        assert_eq!(drain(&mut flow, 20), [2, 3]);
    }

    #[test]
    fn a_lost_ack_is_made_good_by_what_follows_it() {
        let mut flow = Flow::default();
        flow.push(packet(1), Kind::Ack, None);
        assert_eq!(flow.ready(5), None);
        flow.push(packet(2), Kind::Data, Some(10));
        assert_eq!(drain(&mut flow, 10), [1, 2]);
    }

    #[test]
    fn the_third_segment_behind_a_gap_closes_it() {
        let mut flow = Flow::default();
        flow.push(packet(1), Kind::Data, None);
        assert_eq!([(); 4].map(|()| flow.duplicate_ack()), [false, false, true, false]);
    }

    #[test]
    fn jitter_never_reorders_a_flow() {
        let mut flow = Flow::default();
        assert_eq!(flow.push(packet(1), Kind::Data, Some(10)), Some(10));
        assert_eq!(flow.push(packet(2), Kind::Data, Some(7)), Some(10));
    }

    #[test]
    fn a_sender_gives_up_when_linux_does() {
        for (kind, seconds) in [(Kind::Syn, 127.0), (Kind::SynAck, 127.0), (Kind::Data, 924.6)] {
            let mut flow = Flow::default();
            flow.push(packet(1), kind, None);
            let mut waited = 0;
            loop {
                waited += flow.rto(0);
                let timer = flow.arm();
                if flow.fire(timer) == Retry::GiveUp(kind) {
                    break;
                }
            }
            assert_eq!(waited as f64 / 1e9, seconds, "{kind:?}");
        }
    }

    #[test]
    fn an_earlier_timer_does_not_count() {
        let mut flow = Flow::default();
        flow.push(packet(1), Kind::Data, None);
        let (old, new) = (flow.arm(), flow.arm());
        assert_eq!(flow.fire(old), Retry::Nothing);
        assert!(matches!(flow.fire(new), Retry::Send(..)));
    }
}
