//! From message to message through the bytes of a caller, in whatever pieces they come.

use super::body::{Body, Followed};
use super::head::{self, Limits, Refusal, Verdict};

/// Where in the caller's bytes the next one stands.
#[derive(Debug)]
pub(crate) struct Walk {
    limits: Limits,
    place: Place,
    /// The message asks for another protocol.
    turns: bool,
    heads: u64,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    /// In a head, or between messages. So many bytes have been judged and are no whole head; `empty`: they are nothing
    /// but ends of lines.
    Head { judged: usize, empty: bool },
    /// In a body.
    Body(Body),
}

impl Place {
    /// Before the first byte of a message.
    const BETWEEN: Self = Self::Head { judged: 0, empty: true };
}

/// Whether these are ends of lines and nothing else.
fn is_empty(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
}

/// How far some bytes may go.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// So many pass.
    pub(crate) pass: usize,
    /// Then, if anything is left to say.
    pub(crate) then: Then,
}

/// What comes after the bytes that pass.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// More bytes are needed. What did not pass is the beginning of a head and is shown again with them.
    More,
    /// The message that just passed asks for another protocol: what follows is not judged before that is
    /// decided.
    Turn,
    /// A head is refused, and so is all that comes after it.
    Refused(Box<Refusal>),
    /// A body breaks off: what comes is no chunk.
    Broken,
}

impl Walk {
    /// Before the first message.
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, place: Place::BETWEEN, turns: false, heads: 0 }
    }

    /// Heads that have passed.
    pub(crate) fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether all of the last message has passed.
    pub(crate) fn is_between(&self) -> bool {
        matches!(self.place, Place::Head { .. })
    }

    /// Whether a head has begun and has not passed; empty lines before it are none of it.
    pub(crate) fn is_in_head(&self) -> bool {
        matches!(self.place, Place::Head { empty: false, .. })
    }

    /// Goes on over `bytes`: those that did not pass before, and what came since.
    pub(crate) fn step(&mut self, bytes: &[u8]) -> Step {
        let mut pass = 0;
        loop {
            let rest = &bytes[pass..];
            match &mut self.place {
                Place::Head { judged, .. } => {
                    if rest.is_empty() || (*judged > 0 && !self.is_worth_judging(rest)) {
                        return Step { pass, then: Then::More };
                    }
                    match head::judge(rest, self.limits) {
                        Verdict::Partial => {
                            self.place = Place::Head { judged: rest.len(), empty: is_empty(rest) };
                            return Step { pass, then: Then::More };
                        }
                        Verdict::Refuse(refusal) => return Step { pass, then: Then::Refused(refusal) },
                        Verdict::Pass(head) => {
                            pass += head.length;
                            self.heads += 1;
                            self.turns = head.turns;
                            self.place = Place::Body(head.body);
                        }
                    }
                }
                Place::Body(body) => match body.follow(rest) {
                    Followed::All => return Step { pass: bytes.len(), then: Then::More },
                    Followed::Broken(at) => return Step { pass: pass + at, then: Then::Broken },
                    Followed::Ended(at) => {
                        pass += at;
                        self.place = Place::BETWEEN;
                        if std::mem::take(&mut self.turns) {
                            return Step { pass, then: Then::Turn };
                        }
                    }
                },
            }
        }
    }

    /// A head that comes in small pieces is not judged from its beginning with each of them.
    fn is_worth_judging(&mut self, bytes: &[u8]) -> bool {
        let Place::Head { judged, empty } = &mut self.place else { return true };
        *empty = *empty && is_empty(&bytes[*judged..]);
        let says_more = if *empty { head::has_bare_line_feed(bytes, *judged) } else { head::may_end(bytes, *judged) };
        let worth = bytes.len() > self.limits.bytes_max || says_more;
        *judged = bytes.len();
        worth
    }
}
