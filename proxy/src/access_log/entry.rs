//! What a line is about: a request, a connection, or one attempt of a request at an endpoint, seen alike.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use wavetank_platform::{Instant, UnixTime};

use super::capture::Captured;
use crate::listener::accepted::Facts;
use crate::record::{Attempt, Flag, Provenance, Record};
use crate::snapshot::Cluster;
use crate::tls::TlsSession;

/// Envoy's `%ACCESS_LOG_TYPE%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A request has ended.
    Request,
    /// A connection of a TCP proxy has ended.
    Connection,
    /// A connection of a listener has ended.
    Listener,
    /// An attempt has ended.
    Attempt,
}

/// What is known of a connection beside its two ends.
#[derive(Debug, Clone, Copy)]
pub struct Wire<'a> {
    /// Its number, from 1, among all connections of the process; 0: there is none.
    pub id: u64,
    /// Its TLS session.
    pub session: Option<&'a TlsSession>,
}

/// One entry.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// What has ended.
    pub kind: Kind,
    /// The record of the request or connection.
    pub record: &'a Record,
    /// The parts of its heads that were asked for.
    pub heads: &'a Captured,
    /// The caller's connection.
    pub downstream: Wire<'a>,
    /// Line that brought the listener.
    pub listener_from: Option<&'a Provenance>,
    /// The cluster, where there is one of its name.
    pub cluster: Option<&'a Arc<Cluster>>,
    /// The attempt that it is about, or the last one that had an endpoint.
    pub attempt: Option<&'a Attempt>,
    /// What is spoken on the connection of that attempt.
    pub upstream_protocol: Option<&'static str>,
    /// The client that a trusted header names.
    pub client: Option<SocketAddr>,
    /// The connection of that attempt.
    pub upstream: Wire<'a>,
    /// Attempts made.
    pub attempts: u32,
    /// When it began, on the wall clock.
    pub began: UnixTime,
    /// When it began.
    pub start: Instant,
    /// How long it took.
    pub duration: Duration,
    /// When all of the request had come; `None`: it has not.
    pub received_at: Option<Instant>,
    /// A response has gone out whole.
    pub sent_whole: bool,
    /// The id that Envoy gives a request or connection.
    pub stream_id: Option<&'a str>,
    /// Status; 0: none.
    pub status: u16,
    /// Response flags in the order they were set.
    pub flags: &'a [Flag],
    /// Bytes received; of an attempt, from the endpoint.
    pub bytes_received: u64,
    /// Bytes sent; of an attempt, to the endpoint.
    pub bytes_sent: u64,
}

/// What a record's details call a failed handshake of the caller.
const HANDSHAKE: &str = "downstream_transport_failure{";

impl Wire<'_> {
    /// No connection.
    pub(crate) const NONE: Self = Self { id: 0, session: None };
}

/// No head was captured.
static NO_HEADS: Captured = Captured::NONE;

impl<'a> Entry<'a> {
    /// What a record says of a request or connection on the connection of `facts` that began at `began`, without
    /// anything of an endpoint.
    pub(crate) fn of(kind: Kind, record: &'a Record, facts: &'a Facts, began: UnixTime) -> Self {
        Self {
            kind,
            record,
            heads: &NO_HEADS,
            downstream: Wire { id: facts.id, session: facts.session.as_ref() },
            listener_from: facts.listener_from.as_ref(),
            cluster: None,
            attempt: None,
            upstream_protocol: None,
            client: None,
            upstream: Wire::NONE,
            attempts: u32::try_from(record.attempts.len()).unwrap_or(u32::MAX),
            began,
            start: record.start,
            duration: record.duration,
            received_at: None,
            sent_whole: false,
            stream_id: None,
            status: record.status,
            flags: &record.flags,
            bytes_received: record.bytes_received,
            bytes_sent: record.bytes_sent,
        }
    }

    /// The client's address: what a trusted header says, else the caller's end of the connection.
    pub(crate) fn remote(&self) -> SocketAddr {
        self.client.unwrap_or(self.record.downstream.remote)
    }

    /// When the line is made, on the wall clock.
    pub(crate) fn now(&self) -> UnixTime {
        self.began + self.duration
    }

    /// Response code details, of requests alone.
    pub(crate) fn details(&self) -> Option<&'a str> {
        let wanted = match self.kind {
            Kind::Request => true,
            Kind::Listener => self.handshake_failure().is_none(),
            Kind::Connection | Kind::Attempt => false,
        };
        Some(&*self.record.details).filter(|details| wanted && !details.is_empty())
    }

    /// Why the caller's handshake failed.
    pub(crate) fn handshake_failure(&self) -> Option<&'a str> {
        self.record.details.strip_prefix(HANDSHAKE)?.strip_suffix('}')
    }

    /// When the first byte of a response came.
    pub(crate) fn first_byte_at(&self) -> Option<Instant> {
        let attempt = self.attempt.filter(|attempt| attempt.status.is_some())?;
        Some(attempt.start + attempt.duration)
    }
}
