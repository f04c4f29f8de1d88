//! Whether an upstream wants a body that its caller offers with `expect: 100-continue` (RFC 9110, section
//! 10.1.1), where the expectation is passed on: until it says so the body is not asked for, and so the caller
//! is not told to go on. Envoy: `proxy_100_continue`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

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

    /// Ready once it wants the body.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.waiting.register(cx.waker());
        if self.given.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}
