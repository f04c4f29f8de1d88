//! Command operators: what each says of an entry. Envoy: its table of formatters in
//! `stream_info_formatter.cc` and `http_specific_formatter.cc`.

use super::provenance::{self, ProvenanceField, RuleKind};
use super::time::TimeFormat;
use super::tls::{Side, TlsField};
use super::{address, flags, number};
use crate::access_log::capture::Slot;
use crate::access_log::entry::{Entry, Kind};
use crate::record::Protocol;
use wavetank_platform::Instant;

/// One operator.
#[derive(Debug, Clone, PartialEq)]
pub enum Operator {
    /// `REQ`, `RESP`, `TRAILER`: a header, else its alternative, at most so many bytes of it.
    Head {
        /// Where it is.
        slot: Slot,
        /// What is shown where it is missing.
        alternative: Option<Slot>,
        /// Bytes shown, at most.
        length_max: Option<usize>,
    },
    /// A moment.
    Time(Moment, TimeFormat),
    /// Time between two points, in units of this many nanoseconds.
    Interval {
        /// From here.
        from: Point,
        /// To here.
        to: Point,
        /// Nanoseconds of its unit.
        unit_ns: u64,
    },
    /// `DURATION`: all of it, in milliseconds.
    Duration,
    /// `RESPONSE_FLAGS`, or `RESPONSE_FLAGS_LONG`.
    Flags {
        /// Whether by their long names.
        long: bool,
    },
    /// An address.
    Address(End, AddressPart),
    /// What TLS said on one side.
    Tls(Side, TlsField),
    /// `METADATA`: where a rule was written.
    Metadata {
        /// The rule.
        of: RuleKind,
        /// `None`: the whole, as JSON.
        field: Option<ProvenanceField>,
        /// Bytes shown in text, at most.
        length_max: Option<usize>,
    },
    /// `RESPONSE_CODE_DETAILS`.
    Details {
        /// Spaces stay; else they become `_`.
        spaces: bool,
    },
    /// A number.
    Number(Count),
    /// A text.
    Text(Fact),
    /// What this proxy never has a value for.
    Nothing,
}

/// Moments that are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The begin.
    Start,
    /// When the line is made.
    Emit,
    /// `*_PEER_CERT_V_START`.
    NotBefore(Side),
    /// `*_PEER_CERT_V_END`.
    NotAfter(Side),
}

/// Points between which time is measured; Envoy's names of them are in [`Point::named`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The begin.
    Start,
    /// The request has come whole.
    Received,
    /// The attempt begins; Envoy: its first byte goes out.
    AttemptStart,
    /// The response's first byte comes.
    FirstByte,
    /// The response has gone out whole.
    End,
}

/// Ends of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Our end of the caller's connection, the original destination where it was captured.
    DownstreamLocal,
    /// Our end of the caller's connection as accepted.
    DownstreamDirectLocal,
    /// The caller; what a trusted header says of it, else its end of the connection.
    DownstreamRemote,
    /// The caller's end of its connection.
    DownstreamDirectRemote,
    /// The endpoint that was picked.
    Endpoint,
    /// Our end of the connection to it.
    UpstreamLocal,
    /// Its end.
    UpstreamRemote,
}

/// What is shown of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressPart {
    /// Address and port.
    Whole,
    /// The address.
    Ip,
    /// The port, a number.
    Port,
}

/// Numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// `RESPONSE_CODE`.
    Status,
    /// `BYTES_RECEIVED`.
    Received,
    /// `BYTES_SENT`.
    Sent,
    /// `UPSTREAM_REQUEST_ATTEMPT_COUNT`.
    Attempts,
    /// `CONNECTION_ID`.
    Connection,
    /// `UPSTREAM_CONNECTION_ID`.
    UpstreamConnection,
}

/// Texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// `PROTOCOL`.
    Protocol,
    /// `UPSTREAM_PROTOCOL`.
    UpstreamProtocol,
    /// `UPSTREAM_CLUSTER`: the name that statistics use.
    Cluster,
    /// `UPSTREAM_CLUSTER_RAW`.
    ClusterRaw,
    /// `ROUTE_NAME`.
    Route,
    /// `LISTENER_NAME`.
    Listener,
    /// `FILTER_CHAIN_NAME`.
    FilterChain,
    /// `REQUESTED_SERVER_NAME`.
    Sni,
    /// `STREAM_ID`.
    Stream,
    /// `UPSTREAM_TRANSPORT_FAILURE_REASON`.
    UpstreamFailure,
    /// `DOWNSTREAM_TRANSPORT_FAILURE_REASON`.
    DownstreamFailure,
    /// `ACCESS_LOG_TYPE`.
    LogType,
}

impl Point {
    /// The point of Envoy's name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "DS_RX_BEG" => Self::Start,
            "DS_RX_END" => Self::Received,
            "US_TX_BEG" => Self::AttemptStart,
            "US_RX_BEG" => Self::FirstByte,
            "DS_TX_END" => Self::End,
            _ => return None,
        })
    }

    fn of(self, entry: &Entry<'_>) -> Option<Instant> {
        match self {
            Self::Start => Some(entry.start),
            Self::Received => entry.received_at,
            Self::AttemptStart => entry.attempt.filter(|attempt| attempt.upstream.is_some()).map(|try_| try_.start),
            Self::FirstByte => entry.first_byte_at(),
            Self::End => entry.sent_whole.then_some(entry.start + entry.duration),
        }
    }
}

impl Operator {
    /// Appends what it says of `entry`; false: nothing is known, and nothing was appended.
    pub(crate) fn write(&self, entry: &Entry<'_>, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Head { slot, alternative, length_max } => {
                let text = entry.heads.part(*slot).or_else(|| entry.heads.part((*alternative)?));
                put(text.map(|text| &text[..length_max.unwrap_or(usize::MAX).min(text.len())]), out)
            }
            Self::Time(moment, format) => {
                let time = match moment {
                    Moment::Start => Some(entry.began),
                    Moment::Emit => Some(entry.now()),
                    Moment::NotBefore(side) => side.peer(entry).map(|peer| peer.not_before),
                    Moment::NotAfter(side) => side.peer(entry).map(|peer| peer.not_after),
                };
                time.map(|time| format.write(time, out)).is_some()
            }
            Self::Address(end, part) => end.write(entry, *part, out),
            Self::Flags { long } => {
                flags::write(entry.flags, *long, out);
                true
            }
            Self::Tls(side, field) => field.write(side.wire(entry), out),
            Self::Metadata { of, field, length_max } => {
                let before = out.len();
                let known = of.of(entry).map(|place| provenance::write(place, *field, out)).is_some();
                out.truncate(length_max.map_or(usize::MAX, |max| before.saturating_add(max)));
                known
            }
            Self::Details { spaces: true } => put(entry.details().map(str::as_bytes), out),
            Self::Details { spaces: false } => put_joined(entry.details(), out),
            Self::Text(fact) => fact.write(entry, out),
            Self::Nothing => false,
            Self::Interval { .. } | Self::Duration | Self::Number(_) => match self.number(entry) {
                Some(value) => {
                    number::write(value, out);
                    true
                }
                None => false,
            },
        }
    }

    /// Whether what it writes is JSON as it stands: a number, or an object.
    pub(crate) fn writes_json(&self) -> bool {
        match self {
            Self::Interval { .. } | Self::Duration | Self::Number(_) | Self::Address(_, AddressPart::Port) => true,
            Self::Metadata { field, .. } => *field != Some(ProvenanceField::File),
            _ => false,
        }
    }

    fn number(&self, entry: &Entry<'_>) -> Option<u64> {
        match self {
            Self::Duration => Some(whole(entry.duration, 1_000_000)),
            Self::Interval { from, to, unit_ns } => {
                let (from, to) = (from.of(entry)?, to.of(entry)?);
                (to >= from).then(|| whole(to - from, *unit_ns))
            }
            Self::Number(count) => Some(match count {
                Count::Status => entry.status.into(),
                Count::Received => entry.bytes_received,
                Count::Sent => entry.bytes_sent,
                Count::Attempts => entry.attempts.into(),
                Count::Connection => entry.downstream.id,
                Count::UpstreamConnection => entry.upstream.id,
            }),
            _ => None,
        }
    }
}

fn whole(duration: std::time::Duration, unit_ns: u64) -> u64 {
    u64::try_from(duration.as_nanos() / u128::from(unit_ns.max(1))).unwrap_or(u64::MAX)
}

fn put(text: Option<&[u8]>, out: &mut Vec<u8>) -> bool {
    text.map(|text| out.extend_from_slice(text)).is_some()
}

/// With `_` for each space, so that a field of a line is one word.
fn put_joined(text: Option<&str>, out: &mut Vec<u8>) -> bool {
    let Some(text) = text else { return false };
    out.extend(text.bytes().map(|byte| if byte.is_ascii_whitespace() { b'_' } else { byte }));
    true
}

impl End {
    fn write(self, entry: &Entry<'_>, part: AddressPart, out: &mut Vec<u8>) -> bool {
        let record = entry.record;
        let leg = || entry.attempt.and_then(|attempt| attempt.upstream.as_ref());
        let address = match self {
            Self::DownstreamLocal => Some(record.original_dst.unwrap_or(record.downstream.local)),
            Self::DownstreamDirectLocal => Some(record.downstream.local),
            Self::DownstreamRemote => Some(entry.remote()),
            Self::DownstreamDirectRemote => Some(record.downstream.remote),
            Self::Endpoint => entry.attempt.and_then(|attempt| attempt.endpoint),
            Self::UpstreamLocal => leg().map(|leg| leg.local),
            Self::UpstreamRemote => leg().map(|leg| leg.remote),
        };
        let Some(address) = address else { return false };
        match part {
            AddressPart::Whole => address::whole(address, out),
            AddressPart::Ip => address::ip(address, out),
            AddressPart::Port => number::write(address.port().into(), out),
        }
        true
    }
}

impl Fact {
    fn write(self, entry: &Entry<'_>, out: &mut Vec<u8>) -> bool {
        let (record, decision) = (entry.record, &entry.record.decision);
        let text = match self {
            Self::Protocol if entry.kind == Kind::Attempt => entry.upstream_protocol,
            Self::Protocol => match record.protocol {
                Protocol::Http1 => Some("HTTP/1.1"),
                Protocol::Http2 => Some("HTTP/2"),
                Protocol::Tcp => None,
            },
            Self::UpstreamProtocol => entry.upstream_protocol,
            Self::Cluster => entry.cluster.map(|cluster| cluster.alt_stat_name.as_deref().unwrap_or(&cluster.name)),
            Self::ClusterRaw => entry.cluster.map(|cluster| &*cluster.name),
            Self::Route => decision.route.as_deref(),
            Self::Listener => decision.listener.as_deref(),
            Self::FilterChain => decision.filter_chain.as_deref(),
            Self::Sni => record.sni.as_deref(),
            Self::Stream => entry.stream_id,
            Self::UpstreamFailure => {
                return put_joined(entry.attempt.and_then(|attempt| attempt.transport_failure.as_deref()), out);
            }
            Self::DownstreamFailure => return put_joined(entry.handshake_failure(), out),
            Self::LogType => Some(match entry.kind {
                Kind::Request => "DownstreamEnd",
                Kind::Connection => "TcpConnectionEnd",
                Kind::Listener => "NotSet",
                Kind::Attempt => "UpstreamEnd",
            }),
        };
        put(text.filter(|text| !text.is_empty()).map(str::as_bytes), out)
    }
}
