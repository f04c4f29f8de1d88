//! Whether an upstream wants a body that its caller offers with `expect: 100-continue` (RFC 9110, section
//! 10.1.1), where the expectation is passed on: until it says so the body is not asked for, and so the caller
//! is not told to go on. Envoy: `proxy_100_continue`.
//!
//! An upstream that does not know the expectation waits for the body, and a caller that has waited long enough sends
//! it. Envoy passes it on as it comes; hyper tells of no byte of it before it is asked for, so it is asked for after a
//! while.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use wavetank_platform::Clock;
use wavetank_platform::clock::Sleep;

/// How long an upstream has for its word. So long curl waits too.
const PATIENCE: Duration = Duration::from_secs(1);

/// One upstream's word on one body.
#[derive(Debug, Default)]
pub(crate) struct Consent {
    given: AtomicBool,
    waiting: AtomicWaker,
}

impl Consent {
    /// It wants the body.
    pub(crate) fn give(&self) {
        self.given.store(true, Ordering::Release);
        self.waiting.wake();
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.waiting.register(cx.waker());
        if self.given.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// A body that waits for consent.
#[derive(Debug)]
pub(crate) struct Awaited {
    consent: Arc<Consent>,
    /// From when the body is first asked for.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Awaited {
    /// Waits for `consent`.
    pub(crate) fn new(consent: Arc<Consent>) -> Self {
        Self { consent, patience: None }
    }

    /// Ready once the upstream wants the body, or has said nothing for so long.
    pub(crate) fn poll(&mut self, clock: &dyn Clock, cx: &mut Context<'_>) -> Poll<()> {
        if self.consent.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        self.patience.get_or_insert_with(|| Box::pin(clock.sleep(PATIENCE))).as_mut().poll(cx)
    }
}
