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
    /// In a head, or between messages. So many bytes have been judged and are no whole head.
    Head { judged: usize },
    /// In a body.
    Body(Body),
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
        Self { limits, place: Place::Head { judged: 0 }, turns: false, heads: 0 }
    }

    /// Heads that have passed.
    pub(crate) fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether all of the last message has passed.
    pub(crate) fn is_between(&self) -> bool {
        matches!(self.place, Place::Head { .. })
    }

    /// Goes on over `bytes`: those that did not pass before, and what came since.
    pub(crate) fn step(&mut self, bytes: &[u8]) -> Step {
        let mut pass = 0;
        loop {
            let rest = &bytes[pass..];
            match &mut self.place {
                Place::Head { judged } => {
                    if rest.is_empty() || (*judged > 0 && !self.is_worth_judging(rest)) {
                        return Step { pass, then: Then::More };
                    }
                    match head::judge(rest, self.limits) {
                        Verdict::Partial => {
                            self.place = Place::Head { judged: rest.len() };
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
                        self.place = Place::Head { judged: 0 };
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
        let Place::Head { judged } = &mut self.place else { return true };
        let worth = bytes.len() > self.limits.bytes_max || head::may_end(bytes, *judged);
        *judged = bytes.len();
        worth
    }
}
