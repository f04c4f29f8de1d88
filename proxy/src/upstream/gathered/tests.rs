//! Gathered writes over a stream that is slow, and one that breaks.

use std::task::Waker;

use proptest::prelude::*;

use super::*;

/// A stream that takes so many bytes with each write, 0: none now.
#[derive(Debug, Default)]
struct Slow {
    takes: Vec<usize>,
    got: Vec<u8>,
    writes: usize,
    breaks: bool,
}

impl AsyncWrite for Slow {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.breaks {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let takes = self.takes.pop().unwrap_or(usize::MAX);
        if takes == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let count = takes.min(buf.len());
        self.writes += 1;
        self.got.extend_from_slice(&buf[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let joined: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        self.as_mut().poll_write(cx, &joined)
    }
}

fn write(gathered: &mut Gathered<Slow>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
    Pin::new(gathered).poll_write_vectored(&mut Context::from_waker(Waker::noop()), bufs)
}

fn flush(gathered: &mut Gathered<Slow>) -> Poll<io::Result<()>> {
    Pin::new(gathered).poll_flush(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn what_is_written_in_a_turn_goes_out_together_at_its_end() {
    let mut gathered = Gathered::new(Slow::default());
    for frame in [&b"head"[..], b"data", b"trailers"] {
        assert!(matches!(write(&mut gathered, &[IoSlice::new(frame)]), Poll::Ready(Ok(count)) if count == frame.len()));
        assert!(flush(&mut gathered).is_ready());
    }
    assert_eq!(gathered.inner().stream.writes, 0);
    gathered.send(&mut Context::from_waker(Waker::noop()));
    let inner = gathered.inner();
    assert_eq!((inner.stream.writes, &*inner.stream.got), (1, &b"headdatatrailers"[..]));
    assert_eq!(inner.waiting.capacity(), 0);
}

#[test]
fn a_stream_that_breaks_is_told_to_who_writes_next() {
    let mut gathered = Gathered::new(Slow { breaks: true, ..Slow::default() });
    assert!(matches!(write(&mut gathered, &[IoSlice::new(b"lost")]), Poll::Ready(Ok(4))));
    gathered.send(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(flush(&mut gathered), Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe));
}

proptest! {
    /// Whatever is written goes out in its order, once, whatever the stream takes at a time.
    #[test]
    fn nothing_is_lost_doubled_or_moved(
        sizes in prop::collection::vec((0usize..200, 0usize..20_000), 1..20),
        takes in prop::collection::vec(prop_oneof![Just(0), 1usize..10_000], 0..60),
        turns in prop::collection::vec(any::<bool>(), 20),
    ) {
        let mut gathered = Gathered::new(Slow { takes, ..Slow::default() });
        let mut sent = Vec::new();
        for (number, (head, data)) in sizes.iter().enumerate() {
            let frame: Vec<u8> = (0..head + data).map(|at| (at % 251) as u8 ^ number as u8).collect();
            let mut done = 0;
            while done < frame.len() {
                let cut = (*head).clamp(done, frame.len());
                let bufs = [IoSlice::new(&frame[done..cut]), IoSlice::new(&frame[cut..])];
                if let Poll::Ready(count) = write(&mut gathered, &bufs) {
                    let count = count.expect("no failure");
                    prop_assert!(count > 0);
                    done += count;
                }
            }
            sent.extend_from_slice(&frame);
            if turns[number] {
                gathered.send(&mut Context::from_waker(Waker::noop()));
            }
            let _perhaps = flush(&mut gathered);
        }
        let mut turns_left = 200;
        while Pin::new(&mut gathered).poll_shutdown(&mut Context::from_waker(Waker::noop())).is_pending() {
            turns_left -= 1;
            prop_assert!(turns_left > 0);
        }
        prop_assert_eq!(&gathered.inner().stream.got, &sent);
    }
}
