//! `AccessLog`: files and standard streams, text and JSON formats, filters.

use std::sync::Arc;

use envoy_types::pb::envoy::config::accesslog::v3::access_log::ConfigType;
use envoy_types::pb::envoy::config::accesslog::v3::access_log_filter::FilterSpecifier;
use envoy_types::pb::envoy::config::accesslog::v3::{
    AccessLog as ProtoAccessLog, AccessLogFilter, ComparisonFilter, RuntimeFilter,
};
use envoy_types::pb::envoy::config::core::v3::SubstitutionFormatString;
use envoy_types::pb::envoy::config::core::v3::substitution_format_string::Format as ProtoFormat;
use envoy_types::pb::envoy::extensions::access_loggers::file::v3::{FileAccessLog, file_access_log};
use envoy_types::pb::envoy::extensions::access_loggers::stream::v3::{
    StderrAccessLog, StdoutAccessLog, stderr_access_log, stdout_access_log,
};
use envoy_types::pb::envoy::r#type::v3::fractional_percent::DenominatorType;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Any, Struct, Value};

use super::fault::{Fault, Within, each, fields};
use super::matcher;
use super::value::{inline_bytes, parse, required, type_name};
use crate::access_log::filter::Comparison;
use crate::access_log::format::{self, Json, Shape};
use crate::access_log::{AccessLog, AccessLogs, Filter, Format, Wanted};
use crate::record::Flag;

const FILE: &str = "envoy.extensions.access_loggers.file.v3.FileAccessLog";
const STDOUT: &str = "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog";
const STDERR: &str = "envoy.extensions.access_loggers.stream.v3.StderrAccessLog";

/// Envoy's format of a log that has none.
const DEFAULT_FORMAT: &str = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" \
    %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \
    \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"\n";

/// Filters and JSON formats within each other, at most.
const DEPTH_MAX: usize = 16;

/// The logs in `field`.
pub fn decode(field: &str, messages: &[ProtoAccessLog]) -> Result<AccessLogs, Fault> {
    let mut wanted = Wanted::default();
    let mut logs = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        logs.push(log(message, &mut wanted).within_item(field, index)?);
    }
    Ok(AccessLogs::new(logs, wanted))
}

fn log(message: &ProtoAccessLog, wanted: &mut Wanted) -> Result<AccessLog, Fault> {
    let filter = message.filter.as_ref().map(|of| filter(of, wanted, DEPTH_MAX)).transpose().within("filter")?;
    let config = match &message.config_type {
        Some(ConfigType::TypedConfig(config)) => config,
        None => return Err(Fault::new("typed_config", "a value", format_args!("nothing in `{}`", message.name))),
    };
    let (path, format) = sink(config, wanted).within("typed_config")?;
    Ok(AccessLog { path, filter, format })
}

fn sink(config: &Any, wanted: &mut Wanted) -> Result<(Arc<str>, Format), Fault> {
    let log_format = |of: &SubstitutionFormatString, wanted| substitution(of, wanted).within("log_format");
    match type_name(config) {
        FILE => {
            let message: FileAccessLog = parse(config, FILE)?;
            if message.path.is_empty() {
                return Err(Fault::new("path", "a path", "nothing"));
            }
            Ok((message.path.as_str().into(), file_format(&message, wanted)?))
        }
        STDOUT => {
            let message: StdoutAccessLog = parse(config, STDOUT)?;
            let format = match &message.access_log_format {
                Some(stdout_access_log::AccessLogFormat::LogFormat(of)) => log_format(of, wanted)?,
                None => default_format(wanted)?,
            };
            Ok(("/dev/stdout".into(), format))
        }
        STDERR => {
            let message: StderrAccessLog = parse(config, STDERR)?;
            let format = match &message.access_log_format {
                Some(stderr_access_log::AccessLogFormat::LogFormat(of)) => log_format(of, wanted)?,
                None => default_format(wanted)?,
            };
            Ok(("/dev/stderr".into(), format))
        }
        other => Err(Fault::new("", "a file, standard output or standard error", other)),
    }
}

fn file_format(message: &FileAccessLog, wanted: &mut Wanted) -> Result<Format, Fault> {
    use file_access_log::AccessLogFormat;
    match &message.access_log_format {
        None => default_format(wanted),
        Some(AccessLogFormat::LogFormat(of)) => substitution(of, wanted).within("log_format"),
        Some(AccessLogFormat::Format(of)) if of.is_empty() => default_format(wanted),
        Some(AccessLogFormat::Format(of)) => text(of, false, wanted).within("format"),
        Some(AccessLogFormat::TypedJsonFormat(of)) => json(of, false, wanted).within("typed_json_format"),
        Some(AccessLogFormat::JsonFormat(_)) => {
            Err(Fault::new("json_format", "log_format.json_format (texts alone are not supported)", "a value"))
        }
    }
}

fn default_format(wanted: &mut Wanted) -> Result<Format, Fault> {
    text(DEFAULT_FORMAT, false, wanted)
}

fn substitution(message: &SubstitutionFormatString, wanted: &mut Wanted) -> Result<Format, Fault> {
    fields!(message => SubstitutionFormatString {
        used: [omit_empty_values, format],
        // The type is of local replies; keys are in order with or without the option.
        harmless: [content_type, json_format_options],
        refused: [formatters],
        refused_on: [],
    });
    let omit = message.omit_empty_values;
    match &message.format {
        Some(ProtoFormat::TextFormat(of)) => text(of, omit, wanted).within("text_format"),
        Some(ProtoFormat::TextFormatSource(source)) => {
            let bytes = inline_bytes(source).within("text_format_source")?;
            let wrong = |_| Fault::new("text_format_source", "text", "bytes that are none");
            text(&String::from_utf8(bytes).map_err(wrong)?, omit, wanted).within("text_format_source")
        }
        Some(ProtoFormat::JsonFormat(of)) => json(of, omit, wanted).within("json_format"),
        None => Err(Fault::new("format", "a format", "nothing")),
    }
}

fn pieces(source: &str, wanted: &mut Wanted) -> Result<Vec<format::Piece>, Fault> {
    format::text(source, wanted).map_err(|error| Fault::new("", "a format", error))
}

fn text(source: &str, omit_empty: bool, wanted: &mut Wanted) -> Result<Format, Fault> {
    Ok(Format::new(source, Shape::Text(pieces(source, wanted)?), omit_empty))
}

fn json(source: &Struct, omit_empty: bool, wanted: &mut Wanted) -> Result<Format, Fault> {
    Ok(Format::new("JSON", Shape::Json(object(source, wanted, DEPTH_MAX)?), omit_empty))
}

/// In the order of keys, so that of several faults the first is told.
fn object(source: &Struct, wanted: &mut Wanted, depth: usize) -> Result<Json, Fault> {
    let mut sorted: Vec<_> = source.fields.iter().collect();
    sorted.sort_by_key(|(key, _)| *key);
    let mut members = Vec::with_capacity(sorted.len());
    for (key, value) in sorted {
        members.push((key.as_str(), json_value(value, wanted, depth).within(key)?));
    }
    Ok(Json::object(members))
}

fn json_value(value: &Value, wanted: &mut Wanted, depth: usize) -> Result<Json, Fault> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(Fault::new("", format_args!("at most {DEPTH_MAX} values within each other"), "more"));
    };
    Ok(match &value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(value)) => Json::Literal(value.to_string().into()),
        Some(Kind::NumberValue(value)) => Json::number(*value),
        Some(Kind::StringValue(source)) => Json::text(pieces(source, wanted)?),
        Some(Kind::StructValue(of)) => object(of, wanted, depth)?,
        Some(Kind::ListValue(list)) => {
            let mut items = Vec::with_capacity(list.values.len());
            for (index, item) in list.values.iter().enumerate() {
                items.push(json_value(item, wanted, depth).within_item("", index)?);
            }
            Json::Array(items)
        }
    })
}

fn filter(message: &AccessLogFilter, wanted: &mut Wanted, depth: usize) -> Result<Filter, Fault> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(Fault::new("", format_args!("at most {DEPTH_MAX} filters within each other"), "more"));
    };
    let unsupported = |field| Err(Fault::new(field, "another filter (this one is not supported)", "a value"));
    match &message.filter_specifier {
        Some(FilterSpecifier::StatusCodeFilter(of)) => {
            comparison(of.comparison.as_ref()).within("status_code_filter").map(Filter::Status)
        }
        Some(FilterSpecifier::DurationFilter(of)) => {
            comparison(of.comparison.as_ref()).within("duration_filter").map(Filter::Duration)
        }
        // No request here is answered by a health check filter.
        Some(FilterSpecifier::NotHealthCheckFilter(_)) => Ok(Filter::Constant(true)),
        Some(FilterSpecifier::RuntimeFilter(of)) => sampled(of).within("runtime_filter").map(Filter::Constant),
        Some(FilterSpecifier::AndFilter(of)) => several("and_filter", &of.filters, wanted, depth).map(Filter::All),
        Some(FilterSpecifier::OrFilter(of)) => several("or_filter", &of.filters, wanted, depth).map(Filter::Any),
        Some(FilterSpecifier::HeaderFilter(of)) => {
            let rule = required("header", of.header.as_ref()).and_then(matcher::header).within("header_filter")?;
            Ok(Filter::Header(wanted.rule(rule)))
        }
        Some(FilterSpecifier::ResponseFlagFilter(of)) => {
            if of.flags.is_empty() {
                return Ok(Filter::AnyFlag);
            }
            let flags = each("flags", &of.flags, |name| flag(name)).within("response_flag_filter")?;
            Ok(Filter::Flags(flags.into_iter().flatten().collect()))
        }
        Some(FilterSpecifier::TraceableFilter(_)) => unsupported("traceable_filter"),
        Some(FilterSpecifier::GrpcStatusFilter(_)) => unsupported("grpc_status_filter"),
        Some(FilterSpecifier::ExtensionFilter(_)) => unsupported("extension_filter"),
        Some(FilterSpecifier::MetadataFilter(_)) => unsupported("metadata_filter"),
        Some(FilterSpecifier::LogTypeFilter(_)) => unsupported("log_type_filter"),
        None => Err(Fault::new("filter_specifier", "a filter", "nothing")),
    }
}

fn several(field: &str, messages: &[AccessLogFilter], wanted: &mut Wanted, depth: usize) -> Result<Vec<Filter>, Fault> {
    let mut filters = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        filters.push(filter(message, wanted, depth).within_item("filters", index).within(field)?);
    }
    Ok(filters)
}

/// There is no runtime here that could say another value than the default.
fn comparison(message: Option<&ComparisonFilter>) -> Result<Comparison, Fault> {
    let message = required("comparison", message)?;
    let value = required("value", message.value.as_ref()).within("comparison")?.default_value;
    match message.op {
        0 => Ok(Comparison::Equal(value)),
        1 => Ok(Comparison::AtLeast(value)),
        2 => Ok(Comparison::AtMost(value)),
        3 => Ok(Comparison::Not(value)),
        other => Err(Fault::new("comparison.op", "EQ, GE, LE or NE", format_args!("number {other}"))),
    }
}

/// All or, where nothing is said too, none; nothing in between, which would need random numbers.
fn sampled(message: &RuntimeFilter) -> Result<bool, Fault> {
    let Some(percent) = &message.percent_sampled else { return Ok(false) };
    let whole = match DenominatorType::try_from(percent.denominator) {
        Ok(DenominatorType::Hundred) => 100,
        Ok(DenominatorType::TenThousand) => 10_000,
        Ok(DenominatorType::Million) => 1_000_000,
        Err(_) => return Err(Fault::new("percent_sampled.denominator", "0 to 2", percent.denominator)),
    };
    match percent.numerator {
        0 => Ok(false),
        share if share >= whole => Ok(true),
        share => Err(Fault::new("percent_sampled", "all or none", format_args!("{share} of {whole}"))),
    }
}

fn flag(name: &str) -> Result<Option<Flag>, Fault> {
    format::flags::named(name).map_err(|_| Fault::new("", "a response flag", format_args!("`{name}`")))
}
