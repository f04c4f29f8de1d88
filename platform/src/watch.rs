//! A value that others wait on to change, as `tokio::sync::watch`, with one difference: those who wait are
//! woken in the order in which they began to. tokio spreads them by random numbers that cannot be seeded, so
//! two runs of one seed would go on in different orders.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::task::{Context, Poll, Waker};

/// A value and its first receiver.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(value);
    let receiver = sender.subscribe();
    (sender, receiver)
}

/// Every sender is gone: the value changes no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the value changes no more")
    }
}

impl std::error::Error for Closed {}

/// Changes the value.
#[derive(Debug)]
pub struct Sender<T>(Arc<Shared<T>>);

/// Sees the value, and waits for it to change.
#[derive(Debug)]
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

#[derive(Debug)]
struct Shared<T> {
    /// The value, and how often it has changed.
    value: RwLock<(T, u64)>,
    senders: AtomicUsize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    tickets: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl<T> Shared<T> {
    fn read(&self) -> RwLockReadGuard<'_, (T, u64)> {
        self.value.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, (T, u64)> {
        self.value.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_all(&self) {
        let wakers = std::mem::take(&mut self.waiting().wakers);
        wakers.into_values().for_each(Waker::wake);
    }
}

impl<T> Sender<T> {
    /// A value that nobody watches yet.
    pub fn new(value: T) -> Self {
        let (value, waiting) = (RwLock::new((value, 0)), Mutex::default());
        Self(Arc::new(Shared { value, senders: AtomicUsize::new(1), waiting }))
    }

    /// Changes the value in place, and says so when `change` returns true.
    pub fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
        let mut value = self.0.write();
        let changed = change(&mut value.0);
        value.1 += u64::from(changed);
        drop(value);
        if changed {
            self.0.wake_all();
        }
        changed
    }

    /// Changes the value in place.
    pub fn send_modify(&self, change: impl FnOnce(&mut T)) {
        self.send_if_modified(|value| {
            change(value);
            true
        });
    }

    /// Puts another value in place, and returns the one before.
    pub fn send_replace(&self, mut value: T) -> T {
        self.send_modify(|now| std::mem::swap(now, &mut value));
        value
    }

    /// The value as it is. Must not be held over an await, or while the value is changed.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.0.read())
    }

    /// A receiver that has seen the value as it is.
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver { shared: self.0.clone(), seen: self.0.read().1 }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.senders.fetch_add(1, Ordering::Relaxed);
        Self(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.0.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.wake_all();
        }
    }
}

impl<T> Receiver<T> {
    /// The value as it is; whether it was seen does not change. The rule of [`Sender::borrow`] holds.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.shared.read())
    }

    /// The value as it is, which now counts as seen. The rule of [`Sender::borrow`] holds.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let value = self.shared.read();
        self.seen = value.1;
        Ref(value)
    }

    /// Whether the value has changed since it was seen.
    ///
    /// # Errors
    /// When it has not, and every sender is gone.
    pub fn has_changed(&self) -> Result<bool, Closed> {
        let changed = self.shared.read().1 != self.seen;
        if !changed && self.is_closed() { Err(Closed) } else { Ok(changed) }
    }

    /// Counts the value as it is as seen.
    pub fn mark_unchanged(&mut self) {
        self.seen = self.shared.read().1;
    }

    /// Waits until the value has changed since it was seen; it now counts as seen.
    ///
    /// # Errors
    /// When it has not, and every sender is gone.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        let mut wait = Wait { shared: &self.shared, ticket: None };
        let seen = poll_fn(|cx| wait.poll(self.seen, cx)).await?;
        drop(wait);
        self.seen = seen;
        Ok(())
    }

    /// Waits until `is_so` holds of the value, which then counts as seen, and returns the value as it is then.
    ///
    /// # Errors
    /// When it does not, and every sender is gone.
    pub async fn wait_for(&mut self, mut is_so: impl FnMut(&T) -> bool) -> Result<Ref<'_, T>, Closed> {
        loop {
            let closed = self.is_closed();
            let found = is_so(&self.borrow_and_update());
            match (found, closed) {
                (true, _) => return Ok(self.borrow()),
                (false, true) => return Err(Closed),
                // What it changed to last is still looked at.
                (false, false) => self.changed().await.unwrap_or_default(),
            }
        }
    }

    fn is_closed(&self) -> bool {
        self.shared.senders.load(Ordering::Acquire) == 0
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), seen: self.seen }
    }
}

/// A look at the value.
#[derive(Debug)]
pub struct Ref<'a, T>(RwLockReadGuard<'a, (T, u64)>);

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.0
    }
}

/// A place in the queue of those who wait.
struct Wait<'a, T> {
    shared: &'a Shared<T>,
    ticket: Option<u64>,
}

impl<T> Wait<'_, T> {
    /// The number of the change that came after `seen`.
    fn poll(&mut self, seen: u64, cx: &mut Context<'_>) -> Poll<Result<u64, Closed>> {
        // Queued before it looks: a change between the two wakes it.
        let mut waiting = self.shared.waiting();
        let ticket = *self.ticket.get_or_insert_with(|| {
            waiting.tickets += 1;
            waiting.tickets
        });
        waiting.wakers.insert(ticket, cx.waker().clone());
        drop(waiting);
        let closed = self.shared.senders.load(Ordering::Acquire) == 0;
        let now = self.shared.read().1;
        match (now != seen, closed) {
            (true, _) => Poll::Ready(Ok(now)),
            (false, true) => Poll::Ready(Err(Closed)),
            (false, false) => Poll::Pending,
        }
    }
}

impl<T> Drop for Wait<'_, T> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.shared.waiting().wakers.remove(&ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_who_wait_go_on_in_the_order_in_which_they_began_to() {
        let (sender, _first) = channel(0);
        let order = Arc::new(Mutex::new(Vec::new()));
        let waiters = (0..100).map(|number| {
            let (mut receiver, order) = (sender.subscribe(), order.clone());
            tokio::spawn(async move {
                receiver.changed().await.unwrap();
                order.lock().unwrap().push(number);
            })
        });
        let waiters: Vec<_> = waiters.collect();
        while sender.0.waiting().wakers.len() < 100 {
            tokio::task::yield_now().await;
        }
        sender.send_modify(|value| *value += 1);
        for waiter in waiters {
            waiter.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), (0..100).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_change_is_seen_once_and_never_missed() {
        let (sender, mut receiver) = channel("a");
        assert_eq!(receiver.has_changed(), Ok(false));
        assert_eq!(sender.send_replace("b"), "a");
        assert_eq!(receiver.has_changed(), Ok(true));
        receiver.changed().await.unwrap();
        assert_eq!((*receiver.borrow(), receiver.has_changed()), ("b", Ok(false)));
        assert!(!sender.send_if_modified(|_| false));
        assert_eq!(receiver.has_changed(), Ok(false));
        assert_eq!(receiver.wait_for(|value| *value == "b").await.map(|value| *value), Ok("b"));
    }

    #[tokio::test]
    async fn the_last_change_is_seen_before_the_end() {
        let (sender, mut receiver) = channel(0);
        let other = sender.clone();
        drop(sender);
        let waiting = tokio::spawn(async move {
            let found = receiver.wait_for(|value| *value == 2).await.map(|value| *value);
            (found, receiver.changed().await)
        });
        tokio::task::yield_now().await;
        other.send_replace(1);
        tokio::task::yield_now().await;
        other.send_replace(2);
        drop(other);
        assert_eq!(waiting.await.unwrap(), (Ok(2), Err(Closed)));
    }

    #[tokio::test]
    async fn who_gives_up_leaves_no_place_behind() {
        let (sender, mut receiver) = channel(());
        {
            let mut changed = std::pin::pin!(receiver.changed());
            let mut cx = Context::from_waker(Waker::noop());
            assert!(changed.as_mut().poll(&mut cx).is_pending());
            assert_eq!(sender.0.waiting().wakers.len(), 1);
        }
        assert_eq!(sender.0.waiting().wakers.len(), 0);
    }
}
