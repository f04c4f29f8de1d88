//! Text of a format to operators. Envoy: `SubstitutionFormatParser`.
//!
//! A command is `%NAME%`, `%NAME(PARAMETERS)%` or either with `:LENGTH` before its end; `%%` is a percent sign.

use http::HeaderName;

use super::Piece;
use super::operator::{AddressPart, Count, End, Fact, Moment, Operator, Point};
use super::provenance::{ProvenanceField, RuleKind};
use super::time::TimeFormat;
use super::tls::{Side, TlsField};
use crate::access_log::capture::{RequestPart, ResponsePart, Slot, Wanted};

/// A format that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{token}` at column {column}: {why}")]
pub struct FormatError {
    /// Where it begins, in characters from 1.
    pub column: usize,
    /// The command.
    pub token: String,
    /// What is wrong with it.
    pub why: String,
}

/// Parses a text; what its operators need of heads is added to `wanted`.
pub fn text(format: &str, wanted: &mut Wanted) -> Result<Vec<Piece>, FormatError> {
    let mut pieces = Vec::new();
    let mut literal = Vec::new();
    let mut at = 0;
    while let Some(found) = format[at..].find('%') {
        literal.extend_from_slice(&format.as_bytes()[at..at + found]);
        at += found;
        let rest = &format[at..];
        if rest.starts_with("%%") {
            literal.push(b'%');
            at += 2;
            continue;
        }
        let error = |token: &str, why: String| FormatError {
            column: format[..at].chars().count() + 1,
            token: token.to_owned(),
            why,
        };
        let command = Command::split(rest).ok_or_else(|| error(rest, "no command operator begins here".to_owned()))?;
        let operator = command.operator(wanted).map_err(|why| error(command.whole, why))?;
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal).into()));
        }
        pieces.push(Piece::Value(operator));
        at += command.whole.len();
    }
    literal.extend_from_slice(&format.as_bytes()[at..]);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal.into()));
    }
    Ok(pieces)
}

/// One command, taken apart.
struct Command<'f> {
    whole: &'f str,
    name: &'f str,
    parameters: &'f str,
    length_max: Option<&'f str>,
}

impl<'f> Command<'f> {
    /// The command at the start of `rest`, whose first character is `%`.
    fn split(rest: &'f str) -> Option<Self> {
        let named = &rest[1..];
        let is_name = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
        let name = &named[..named.bytes().take_while(|byte| is_name(byte)).count()];
        if name.is_empty() {
            return None;
        }
        let after = &named[name.len()..];
        let end_at = |tail: &'f str| rest.len() - tail.len();
        let Some(inside) = after.strip_prefix('(') else {
            let (length_max, tail) = length(after)?;
            return Some(Self { whole: &rest[..end_at(tail)], name, parameters: "", length_max });
        };
        // Parameters may hold brackets: they end at the first that the end of the command follows.
        let mut closing = inside.match_indices(')').map(|(at, _)| at).take_while(|at| !inside[..*at].contains('\n'));
        closing.find_map(|at| {
            let (length_max, tail) = length(&inside[at + 1..])?;
            Some(Self { whole: &rest[..end_at(tail)], name, parameters: &inside[..at], length_max })
        })
    }

    fn operator(&self, wanted: &mut Wanted) -> Result<Operator, String> {
        match self.name {
            "REQ" => self.head(|name| Ok(request_part(name)?.map(|part| wanted.request(part)))),
            "RESP" => self.head(|name| Ok(response_part(name)?.map(|part| wanted.response(part)))),
            "TRAILER" => self.head(|name| Ok(header(name)?.map(|name| wanted.trailer(name)))),
            "START_TIME" => self.time(Moment::Start),
            "EMIT_TIME" => self.time(Moment::Emit),
            "DOWNSTREAM_PEER_CERT_V_START" => self.time(Moment::NotBefore(Side::Downstream)),
            "DOWNSTREAM_PEER_CERT_V_END" => self.time(Moment::NotAfter(Side::Downstream)),
            "UPSTREAM_PEER_CERT_V_START" => self.time(Moment::NotBefore(Side::Upstream)),
            "UPSTREAM_PEER_CERT_V_END" => self.time(Moment::NotAfter(Side::Upstream)),
            "COMMON_DURATION" => self.interval(),
            "RESPONSE_CODE_DETAILS" => {
                self.without_length()?;
                Ok(Operator::Details { spaces: self.parameters == "ALLOW_WHITESPACES" })
            }
            "METADATA" => {
                let (kind, path) = self.required()?.split_once(':').unwrap_or((self.parameters, ""));
                let of = match kind {
                    "LISTENER" => RuleKind::Listener,
                    "VIRTUAL_HOST" => RuleKind::VirtualHost,
                    "ROUTE" => RuleKind::Route,
                    "CLUSTER" => RuleKind::Cluster,
                    "DYNAMIC" => return self.length().map(|_| Operator::Nothing),
                    other => return Err(format!("metadata of `{other}` is not supported")),
                };
                self.metadata(of, path)
            }
            "CLUSTER_METADATA" => self.metadata(RuleKind::Cluster, self.required()?),
            // No filter here leaves anything there.
            "DYNAMIC_METADATA" | "FILTER_STATE" | "UPSTREAM_FILTER_STATE" => {
                self.required()?;
                self.length().map(|_| Operator::Nothing)
            }
            name => {
                let operator = plain(name).ok_or("not a command operator that is supported")?;
                if !self.parameters.is_empty() || self.length_max.is_some() {
                    return Err("takes neither parameters nor a length".to_owned());
                }
                Ok(operator)
            }
        }
    }

    fn head(&self, mut slot: impl FnMut(&str) -> Result<Option<Slot>, String>) -> Result<Operator, String> {
        let (main, alternative) = match self.required()?.split_once('?') {
            Some((_, other)) if other.contains('?') => return Err("has more than one alternative".to_owned()),
            Some((main, other)) => (main, Some(other)),
            None => (self.parameters, None),
        };
        let main = slot(main)?;
        let alternative = alternative.map(slot).transpose()?.flatten();
        let length_max = self.length()?;
        Ok(match main.or(alternative) {
            Some(slot) => Operator::Head { slot, alternative: alternative.filter(|_| main.is_some()), length_max },
            None => Operator::Nothing,
        })
    }

    fn time(&self, moment: Moment) -> Result<Operator, String> {
        self.without_length()?;
        let format = TimeFormat::parse(self.parameters).map_err(|what| format!("`{what}` is not supported"))?;
        Ok(Operator::Time(moment, format))
    }

    fn interval(&self) -> Result<Operator, String> {
        self.without_length()?;
        let parts: Vec<&str> = self.required()?.split(':').collect();
        let (from, to, unit_ns) = match *parts {
            [from, to] | [from, to, "ms"] => (from, to, 1_000_000),
            [from, to, "us"] => (from, to, 1_000),
            [from, to, "ns"] => (from, to, 1),
            _ => return Err("wants two points and, perhaps, ms, us or ns".to_owned()),
        };
        let point = |name| Point::named(name).ok_or_else(|| format!("point `{name}` is not supported"));
        Ok(Operator::Interval { from: point(from)?, to: point(to)?, unit_ns })
    }

    fn metadata(&self, of: RuleKind, path: &str) -> Result<Operator, String> {
        let field = match path {
            "wavetank" => None,
            "wavetank:file" => Some(ProvenanceField::File),
            "wavetank:line" => Some(ProvenanceField::Line),
            "wavetank:column" => Some(ProvenanceField::Column),
            _ => return Err("metadata but `wavetank` and its fields is not supported".to_owned()),
        };
        Ok(Operator::Metadata { of, field, length_max: self.length()? })
    }

    fn required(&self) -> Result<&'f str, String> {
        if self.parameters.is_empty() { Err("wants parameters".to_owned()) } else { Ok(self.parameters) }
    }

    fn length(&self) -> Result<Option<usize>, String> {
        let parse = |digits: &str| digits.parse().map_err(|_| "has a length that is too large".to_owned());
        self.length_max.map(parse).transpose()
    }

    fn without_length(&self) -> Result<(), String> {
        if self.length_max.is_some() { Err("takes no length".to_owned()) } else { Ok(()) }
    }
}

/// `%` or `:DIGITS%`: the digits, and what follows.
fn length(after: &str) -> Option<(Option<&str>, &str)> {
    if let Some(tail) = after.strip_prefix('%') {
        return Some((None, tail));
    }
    let digits = after.strip_prefix(':')?;
    let digits = &digits[..digits.bytes().take_while(u8::is_ascii_digit).count()];
    let tail = after[1 + digits.len()..].strip_prefix('%')?;
    (!digits.is_empty()).then_some((Some(digits), tail))
}

/// A header; `None` of a name that no header has.
fn header(name: &str) -> Result<Option<HeaderName>, String> {
    if name.bytes().any(|byte| byte.is_ascii_whitespace() || byte == 0) {
        return Err("names a header with white space".to_owned());
    }
    Ok(HeaderName::try_from(name).ok())
}

fn request_part(name: &str) -> Result<Option<RequestPart>, String> {
    Ok(match name.to_ascii_lowercase().as_str() {
        ":method" => Some(RequestPart::Method),
        ":authority" | "host" => Some(RequestPart::Authority),
        ":scheme" => Some(RequestPart::Scheme),
        ":path" => Some(RequestPart::Path),
        other => header(other)?.map(RequestPart::Header),
    })
}

fn response_part(name: &str) -> Result<Option<ResponsePart>, String> {
    Ok(match name.to_ascii_lowercase().as_str() {
        ":status" => Some(ResponsePart::Status),
        other => header(other)?.map(ResponsePart::Header),
    })
}

/// Operators without parameters.
fn plain(name: &str) -> Option<Operator> {
    Some(match name {
        "DURATION" => Operator::Duration,
        "REQUEST_DURATION" => milliseconds(Point::Start, Point::Received),
        "RESPONSE_DURATION" => milliseconds(Point::Start, Point::FirstByte),
        "RESPONSE_TX_DURATION" => milliseconds(Point::FirstByte, Point::End),
        "RESPONSE_FLAGS" => Operator::Flags { long: false },
        "RESPONSE_FLAGS_LONG" => Operator::Flags { long: true },
        "RESPONSE_CODE" => Operator::Number(Count::Status),
        "BYTES_RECEIVED" => Operator::Number(Count::Received),
        "BYTES_SENT" => Operator::Number(Count::Sent),
        "UPSTREAM_REQUEST_ATTEMPT_COUNT" => Operator::Number(Count::Attempts),
        "CONNECTION_ID" => Operator::Number(Count::Connection),
        "UPSTREAM_CONNECTION_ID" => Operator::Number(Count::UpstreamConnection),
        "PROTOCOL" => Operator::Text(Fact::Protocol),
        "UPSTREAM_PROTOCOL" => Operator::Text(Fact::UpstreamProtocol),
        "UPSTREAM_CLUSTER" => Operator::Text(Fact::Cluster),
        "UPSTREAM_CLUSTER_RAW" => Operator::Text(Fact::ClusterRaw),
        "ROUTE_NAME" => Operator::Text(Fact::Route),
        "LISTENER_NAME" => Operator::Text(Fact::Listener),
        "FILTER_CHAIN_NAME" => Operator::Text(Fact::FilterChain),
        "REQUESTED_SERVER_NAME" => Operator::Text(Fact::Sni),
        "STREAM_ID" => Operator::Text(Fact::Stream),
        "UPSTREAM_TRANSPORT_FAILURE_REASON" => Operator::Text(Fact::UpstreamFailure),
        "DOWNSTREAM_TRANSPORT_FAILURE_REASON" => Operator::Text(Fact::DownstreamFailure),
        "ACCESS_LOG_TYPE" => Operator::Text(Fact::LogType),
        // Virtual clusters are refused, and no filter here ends a connection with details.
        "VIRTUAL_CLUSTER_NAME" | "CONNECTION_TERMINATION_DETAILS" => Operator::Nothing,
        name => return address(name).or_else(|| tls(name)),
    })
}

fn milliseconds(from: Point, to: Point) -> Operator {
    Operator::Interval { from, to, unit_ns: 1_000_000 }
}

fn address(name: &str) -> Option<Operator> {
    let (end, part) = match name {
        "UPSTREAM_HOST" => return Some(Operator::Address(End::Endpoint, AddressPart::Whole)),
        name => match (name.strip_suffix("_ADDRESS_WITHOUT_PORT"), name.strip_suffix("_ADDRESS")) {
            (Some(end), _) => (end, AddressPart::Ip),
            (None, Some(end)) => (end, AddressPart::Whole),
            (None, None) => (name.strip_suffix("_PORT")?, AddressPart::Port),
        },
    };
    let end = match end {
        "DOWNSTREAM_LOCAL" => End::DownstreamLocal,
        "DOWNSTREAM_DIRECT_LOCAL" => End::DownstreamDirectLocal,
        "DOWNSTREAM_REMOTE" => End::DownstreamRemote,
        "DOWNSTREAM_DIRECT_REMOTE" => End::DownstreamDirectRemote,
        "UPSTREAM_LOCAL" => End::UpstreamLocal,
        "UPSTREAM_REMOTE" => End::UpstreamRemote,
        _ => return None,
    };
    Some(Operator::Address(end, part))
}

fn tls(name: &str) -> Option<Operator> {
    let (side, field) = match (name.strip_prefix("DOWNSTREAM_"), name.strip_prefix("UPSTREAM_")) {
        (Some(field), _) => (Side::Downstream, field),
        (None, field) => (Side::Upstream, field?),
    };
    let field = match field {
        "TLS_VERSION" => TlsField::Version,
        "TLS_CIPHER" => TlsField::Cipher,
        "PEER_SUBJECT" => TlsField::PeerSubject,
        "PEER_ISSUER" => TlsField::PeerIssuer,
        "PEER_URI_SAN" => TlsField::PeerUriSans,
        "PEER_DNS_SAN" => TlsField::PeerDnsSans,
        "LOCAL_URI_SAN" => TlsField::LocalUriSan,
        "PEER_FINGERPRINT_256" if side == Side::Downstream => TlsField::PeerFingerprint,
        "PEER_SERIAL" if side == Side::Downstream => TlsField::PeerSerial,
        _ => return None,
    };
    Some(Operator::Tls(side, field))
}
