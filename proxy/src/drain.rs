//! Ending connections without ending requests.
//!
//! A [`Drain`] goes through stages. While it drains, HTTP/1 responses say `connection: close` and
//! HTTP/2 connections say GOAWAY, so callers leave in good order; at its end, connections that are idle
//! are closed. Drains nest: a connection follows its listener's drain, which the proxy's own drain ends too.
//!
//! A proxy that ends keeps its sockets at first: who has not heard yet that it leaves still calls it. Istio's
//! agent does so too (`MINIMUM_DRAIN_DURATION`).

use std::time::Duration;

use wavetank_platform::watch;

/// How long a proxy takes to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainTimes {
    /// So long its sockets stay open.
    pub minimum: Duration,
    /// So long what is under way gets to finish, the minimum included.
    pub maximum: Duration,
}

impl Default for DrainTimes {
    /// 5 s of 45 s, as Istio's agent and its Envoy.
    fn default() -> Self {
        Self { minimum: Duration::from_secs(5), maximum: Duration::from_secs(45) }
    }
}

/// How far a drain has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Connections live on.
    Serving,
    /// Connections are asked to leave.
    Draining,
    /// Sockets close as well; to connections nothing new.
    Closing,
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
