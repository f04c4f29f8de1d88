//! Ending connections without ending requests.
//!
//! A [`Drain`] goes through three stages. While it drains, HTTP/1 responses say `connection: close` and
//! HTTP/2 connections say GOAWAY, so callers leave in good order; at its end, connections that are idle
//! are closed. Drains nest: a connection follows its listener's drain, which the proxy's own drain ends too.

use wavetank_platform::watch;

/// How far a drain has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Connections live on.
    Serving,
    /// Connections are asked to leave.
    Draining,
    /// Idle connections are closed, busy ones when their requests are done.
    Ended,
}

/// One drain, held by whoever orders it.
#[derive(Debug)]
pub(crate) struct Drain(watch::Sender<Stage>);

impl Drain {
    /// A drain that has not begun.
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Stage::Serving))
    }

    /// Goes on to `stage`; a stage already reached is not left again.
    pub(crate) fn advance(&self, stage: Stage) {
        self.0.send_if_modified(|now| {
            let later = stage > *now;
            if later {
                *now = stage;
            }
            later
        });
    }

    /// A view for a connection.
    pub(crate) fn watch(&self) -> Draining {
        Draining(self.0.subscribe())
    }
}

/// A connection's view of its drain.
#[derive(Debug, Clone)]
pub(crate) struct Draining(watch::Receiver<Stage>);

impl Draining {
    /// The stage now.
    pub(crate) fn stage(&self) -> Stage {
        *self.0.borrow()
    }

    /// What [`Self::reached`] waits for: while this stays the same, it does not end.
    pub(crate) fn seen(&self) -> (Stage, bool) {
        (self.stage(), self.0.has_changed().is_err())
    }

    /// Waits until `stage` is reached. Dropping the [`Drain`] ends it.
    pub(crate) async fn reached(&mut self, stage: Stage) {
        let _ended = self.0.wait_for(|now| *now >= stage).await;
    }
}
