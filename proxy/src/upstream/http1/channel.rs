//! A connection that speaks HTTP/1.1, and the exchange under way on it. Whoever waits for the head of the response
//! sends the request meanwhile.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};
use wavetank_platform::Stream;

use super::decoder::{Decoder, Piece};
use super::io::Io;
use super::request::Request;
use super::response::{self, Malformed, Parsed};
use crate::upstream::lease::ResponseHead;
use crate::upstream::meter::Metered;

/// An HTTP/1.1 connection.
#[derive(Debug)]
pub(crate) struct Channel {
    io: Io,
    exchange: Option<Exchange>,
    /// It was found closed, or said something unasked.
    is_closed: bool,
}

/// One request and its response.
#[derive(Debug)]
struct Exchange {
    request: Request,
    /// Whether the connection was found open, and the request given to it.
    begun: bool,
    /// Whether the body may have more.
    body_open: bool,
    /// Whether some of the request may still go out.
    sending: bool,
    /// Reads the response's body; `None` before its head.
    decoder: Option<Decoder>,
    keep_alive: bool,
    /// Bytes of the head that were looked through.
    seen: usize,
    broken: bool,
    /// Sending failed in a way that makes an end of the response no end: the system tells of a reset once.
    cut: bool,
}

/// Why there is no response.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The connection was closed, or said something unasked, before any of the request went out; here it is back.
    Stale(Box<Request>),
    /// What came is no HTTP.
    Malformed,
    /// The connection ended, or the caller's body broke off.
    Broken,
}

/// The response broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BrokenOff;

/// What becomes of a connection after an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Afterwards {
    /// It takes another request.
    Reusable,
    /// It is to be closed.
    Close,
    /// It is broken.
    Broken,
}

impl Channel {
    /// A fresh connection.
    pub(crate) fn new(stream: Metered<Stream>) -> Self {
        Self { io: Io::new(stream), exchange: None, is_closed: false }
    }

    /// Takes `request`, to be sent as its response is waited for.
    pub(crate) fn begin(&mut self, request: Request) {
        self.exchange = Some(Exchange {
            keep_alive: !request.is_last,
            body_open: !request.body.is_end_stream(),
            request,
            begun: false,
            sending: true,
            decoder: None,
            seen: 0,
            broken: false,
            cut: false,
        });
    }

    /// The head of the response; 1xx are passed over.
    pub(crate) fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Failed>> {
        let Some(exchange) = &mut self.exchange else { unreachable!("a response is waited for after its request") };
        if !exchange.begun {
            // What is known of an idle connection is what came since it was last asked.
            if self.io.poll_fill(cx).is_ready() {
                self.is_closed = true;
                let stale = self.exchange.take().map(|exchange| Failed::Stale(Box::new(exchange.request)));
                return Poll::Ready(Err(stale.unwrap_or(Failed::Broken)));
            }
            exchange.begun = true;
            self.io.write_head(std::mem::take(&mut exchange.request.head));
        } else if let Poll::Ready(outcome) = exchange.poll_head(&mut self.io, cx) {
            exchange.broken = outcome.is_err();
            return Poll::Ready(outcome);
        }
        match self.poll_send(cx) {
            Poll::Ready(Err(BrokenOff)) => Poll::Ready(Err(Failed::Broken)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }

    /// The next piece of the response's body.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let Some(exchange) = &mut self.exchange else { return Poll::Ready(None) };
        if exchange.broken {
            return Poll::Ready(Some(Err(BrokenOff)));
        }
        let polled = exchange.poll_body(&mut self.io, cx);
        exchange.broken = matches!(polled, Poll::Ready(Some(Err(BrokenOff))));
        polled
    }

    /// Whether some of the request has not been sent.
    pub(crate) fn is_sending(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.sending)
    }

    /// Sends the rest of the request; ready when all of it is out, or can't be sent: the response may still come. A
    /// body that breaks off breaks the response off as well.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BrokenOff>> {
        let Some(exchange) = &mut self.exchange else { return Poll::Ready(Ok(())) };
        let polled = exchange.poll_send(&mut self.io, cx);
        exchange.broken |= matches!(polled, Poll::Ready(Err(BrokenOff)));
        polled
    }

    /// Whether the response has been read to its end.
    pub(crate) fn is_end_stream(&self) -> bool {
        self.decoder().is_some_and(Decoder::is_done)
    }

    /// How much of the response's body is to come.
    pub(crate) fn size_hint(&self) -> SizeHint {
        self.decoder().and_then(Decoder::left).map_or_else(SizeHint::default, SizeHint::with_exact)
    }

    fn decoder(&self) -> Option<&Decoder> {
        self.exchange.as_ref()?.decoder.as_ref()
    }

    /// Ends the exchange, wherever it is. A body of which nobody wanted the rest has been read if all of it had
    /// come with what was read before.
    pub(crate) fn finish(&mut self) -> Afterwards {
        if let Some(decoder) = self.exchange.as_mut().and_then(|exchange| exchange.decoder.as_mut()) {
            while let Ok(Piece::Data(_) | Piece::Trailers(_)) = decoder.decode(&mut self.io.input) {}
        }
        let is_clean = self.io.rest();
        match self.exchange.take() {
            None if is_clean && !self.is_closed => Afterwards::Reusable,
            Some(exchange) if exchange.broken => Afterwards::Broken,
            Some(exchange) if is_clean && exchange.keep_alive && exchange.is_over() => Afterwards::Reusable,
            Some(_) | None => Afterwards::Close,
        }
    }

    /// Ready when an idle connection is to be closed.
    pub(crate) fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.io.poll_idle(cx)
    }

    /// Ready when the peer has been told of the end.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.io.poll_shutdown(cx).map(|_| ())
    }

    /// The connection as a stream, with what was read beyond the response's head.
    pub(crate) fn into_stream(self) -> Stream {
        self.io.into_stream()
    }
}

impl Exchange {
    fn is_over(&self) -> bool {
        !self.sending && self.decoder.as_ref().is_some_and(Decoder::is_done)
    }

    fn poll_head(&mut self, io: &mut Io, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Failed>> {
        loop {
            if io.skip_blank_lines() {
                self.seen = 0;
            }
            if !io.input.is_empty() && (self.seen == 0 || response::may_be_whole(&io.input, self.seen)) {
                match response::parse(&mut io.input, self.request.is_head) {
                    Err(Malformed) => return Poll::Ready(Err(Failed::Malformed)),
                    Ok(Some(parsed)) => {
                        self.seen = 0;
                        match self.take_head(parsed) {
                            // Another protocol begins behind a request, not in the middle of it.
                            Some(head) if head.status == StatusCode::SWITCHING_PROTOCOLS && self.sending => {
                                return Poll::Ready(Err(Failed::Malformed));
                            }
                            Some(head) => return Poll::Ready(Ok(head)),
                            None => continue,
                        }
                    }
                    Ok(None) => {}
                }
            }
            if io.input.len() >= response::HEAD_MAX {
                return Poll::Ready(Err(Failed::Malformed));
            }
            self.seen = io.input.len();
            match io.poll_fill(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Failed::Broken)),
                Poll::Ready(Ok(_)) => {}
            }
        }
    }

    /// The head that counts.
    fn take_head(&mut self, parsed: Parsed) -> Option<ResponseHead> {
        let Parsed { head, decoder, keep_alive } = parsed;
        if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
            if let (StatusCode::CONTINUE, Some(consent)) = (head.status, &self.request.consent) {
                consent.give();
            }
            return None;
        }
        self.keep_alive &= keep_alive;
        self.decoder = Some(decoder);
        Some(head)
    }

    fn poll_body(&mut self, io: &mut Io, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let Some(decoder) = &mut self.decoder else { return Poll::Ready(None) };
        loop {
            match decoder.decode(&mut io.input) {
                Err(Malformed) => return Poll::Ready(Some(Err(BrokenOff))),
                Ok(Piece::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Piece::Trailers(trailers)) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                Ok(Piece::End) => return Poll::Ready(None),
                Ok(Piece::More) => {}
            }
            match io.poll_fill(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(Some(Err(BrokenOff))),
                Poll::Ready(Ok(0)) => {
                    self.keep_alive = false;
                    if self.cut || decoder.close().is_err() {
                        return Poll::Ready(Some(Err(BrokenOff)));
                    }
                }
                Poll::Ready(Ok(_)) => {}
            }
        }
    }

    /// Sends what there is of the request; ready when it is over.
    fn poll_send(&mut self, io: &mut Io, cx: &mut Context<'_>) -> Poll<Result<(), BrokenOff>> {
        loop {
            let mut waits = false;
            while self.body_open && !waits && io.has_room() {
                match Pin::new(&mut self.request.body).poll_frame(cx) {
                    Poll::Pending => waits = true,
                    Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(BrokenOff)),
                    Poll::Ready(Some(Ok(frame))) => self.take_frame(frame, io)?,
                    Poll::Ready(None) => self.end_body(None, io)?,
                }
            }
            match io.poll_write(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => {
                    // A broken pipe had an end before it.
                    self.cut = error.kind() != io::ErrorKind::BrokenPipe;
                    self.sending = false;
                    self.body_open = false;
                    self.keep_alive = false;
                    io.give_up();
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Ok(())) if !self.body_open => {
                    self.sending = false;
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Ok(())) if waits => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
            }
        }
    }

    fn take_frame(&mut self, frame: Frame<Bytes>, io: &mut Io) -> Result<(), BrokenOff> {
        match frame.into_data() {
            Ok(data) => {
                self.request.encoder.data(data, io.body());
                if self.request.body.is_end_stream() { self.end_body(None, io) } else { Ok(()) }
            }
            Err(frame) => match frame.into_trailers() {
                Ok(trailers) => self.end_body(Some(&trailers), io),
                Err(_other) => Ok(()),
            },
        }
    }

    fn end_body(&mut self, trailers: Option<&HeaderMap>, io: &mut Io) -> Result<(), BrokenOff> {
        self.body_open = false;
        self.request.encoder.end(trailers, io.body()).map_err(|_| BrokenOff)
    }
}
