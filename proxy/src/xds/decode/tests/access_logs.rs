//! Access logs: sinks, formats, filters, and what is refused, with the field named.

use envoy_types::pb::envoy::config::accesslog::v3::access_log_filter::FilterSpecifier;
use envoy_types::pb::envoy::config::accesslog::v3::{self as log, AccessLog, AccessLogFilter};
use envoy_types::pb::envoy::config::core::v3::substitution_format_string::Format;
use envoy_types::pb::envoy::config::core::v3::{DataSource, RuntimeUInt32, SubstitutionFormatString, data_source};
use envoy_types::pb::envoy::extensions::access_loggers::file::v3::{FileAccessLog, file_access_log};
use envoy_types::pb::envoy::extensions::access_loggers::stream::v3::{StderrAccessLog, StdoutAccessLog};
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use envoy_types::pb::google::protobuf::Any;

use super::super::access_log;
use super::*;
use crate::access_log::Filter;
use crate::access_log::filter::Comparison;
use crate::record::Flag;

fn with_config(config: Any) -> AccessLog {
    let config_type = Some(log::access_log::ConfigType::TypedConfig(config));
    AccessLog { name: "log".to_owned(), config_type, ..Default::default() }
}

fn file(format: Option<Format>) -> AccessLog {
    let format = SubstitutionFormatString { format, ..Default::default() };
    with_config(packed(&FileAccessLog {
        path: "/var/log/a".to_owned(),
        access_log_format: Some(file_access_log::AccessLogFormat::LogFormat(format)),
    }))
}

fn of_text(format: &str) -> AccessLog {
    let specifier = Some(data_source::Specifier::InlineString(format.to_owned()));
    file(Some(Format::TextFormatSource(DataSource { specifier, ..Default::default() })))
}

fn fault(log: AccessLog) -> String {
    match access_log::decode("access_log", &[of_text("x"), log]) {
        Ok(_) => "accepted".to_owned(),
        Err(fault) => fault.to_string(),
    }
}

fn filtered(specifier: FilterSpecifier) -> AccessLog {
    AccessLog { filter: Some(AccessLogFilter { filter_specifier: Some(specifier) }), ..of_text("x") }
}

fn filter(specifier: FilterSpecifier) -> Filter {
    let logs = access_log::decode("access_log", &[filtered(specifier)]).unwrap();
    logs.logs()[0].filter.clone().unwrap()
}

#[test]
fn files_and_streams_have_a_path_and_the_default_format_where_there_is_none() {
    let default = FileAccessLog { path: "/a".to_owned(), access_log_format: None };
    let logs = [
        of_text("%PROTOCOL%\n"),
        with_config(packed(&default)),
        with_config(packed(&StdoutAccessLog::default())),
        with_config(packed(&StderrAccessLog::default())),
    ];
    let logs = access_log::decode("access_log", &logs).unwrap();
    let shown: Vec<_> = logs.logs().iter().map(|log| (&*log.path, log.format.source())).collect();
    assert_eq!(shown[0], ("/var/log/a", "%PROTOCOL%\n"));
    assert_eq!([shown[1].0, shown[2].0, shown[3].0], ["/a", "/dev/stdout", "/dev/stderr"]);
    assert!(shown[1..].iter().all(|(_, format)| format.starts_with("[%START_TIME%]") && format.ends_with("\"\n")));
}

#[test]
fn what_is_not_supported_is_refused_with_its_field() {
    let json = |value: Value| {
        let fields = [("k".to_owned(), value)].into_iter().collect();
        file(Some(Format::JsonFormat(Struct { fields })))
    };
    for (log, wanted) in [
        (
            of_text("a %NOPE%"),
            "access_log[1].typed_config.log_format.text_format_source: wanted a format, got `%NOPE%` at column 3: not a \
             command operator that is supported",
        ),
        (
            json(text("%REQ%")),
            "access_log[1].typed_config.log_format.json_format.k: wanted a format, got `%REQ%` at column 1: wants \
             parameters",
        ),
        (file(None), "access_log[1].typed_config.log_format.format: wanted a format, got nothing"),
        (with_config(packed(&FileAccessLog::default())), "access_log[1].typed_config.path: wanted a path, got nothing"),
        (
            with_config(Any { type_url: "type.googleapis.com/x.Grpc".to_owned(), value: Vec::new() }),
            "access_log[1].typed_config: wanted a file, standard output or standard error, got x.Grpc",
        ),
        (
            filtered(FilterSpecifier::TraceableFilter(log::TraceableFilter {})),
            "access_log[1].filter.traceable_filter: wanted another filter (this one is not supported), got a value",
        ),
        (
            filtered(FilterSpecifier::AndFilter(log::AndFilter { filters: vec![AccessLogFilter::default()] })),
            "access_log[1].filter.and_filter.filters[0].filter_specifier: wanted a filter, got nothing",
        ),
        (
            filtered(FilterSpecifier::ResponseFlagFilter(log::ResponseFlagFilter { flags: vec!["nr".to_owned()] })),
            "access_log[1].filter.response_flag_filter.flags[0]: wanted a response flag, got `nr`",
        ),
        (
            filtered(FilterSpecifier::RuntimeFilter(log::RuntimeFilter {
                percent_sampled: Some(FractionalPercent { numerator: 30, denominator: 0 }),
                ..Default::default()
            })),
            "access_log[1].filter.runtime_filter.percent_sampled: wanted all or none, got 30 of 100",
        ),
    ] {
        assert_eq!(fault(log), wanted);
    }
}

#[test]
fn filters_and_values_within_each_other_end_somewhere() {
    let mut deep =
        AccessLogFilter { filter_specifier: Some(FilterSpecifier::NotHealthCheckFilter(log::NotHealthCheckFilter {})) };
    let mut value = text("x");
    for _ in 0..20 {
        deep = AccessLogFilter {
            filter_specifier: Some(FilterSpecifier::OrFilter(log::OrFilter { filters: vec![deep] })),
        };
        let fields = [("k".to_owned(), value)].into_iter().collect();
        value = Value { kind: Some(Kind::StructValue(Struct { fields })) };
    }
    assert!(fault(AccessLog { filter: Some(deep), ..of_text("x") }).contains("at most 16 filters within each other"));
    let fields = [("k".to_owned(), value)].into_iter().collect();
    let nested = file(Some(Format::JsonFormat(Struct { fields })));
    assert!(fault(nested).contains("at most 16 values within each other"));
}

#[test]
fn filters_are_what_they_are_named_for() {
    let value = RuntimeUInt32 { default_value: 500, runtime_key: "k".to_owned() };
    let comparison = Some(log::ComparisonFilter { op: 1, value: Some(value) });
    let status = FilterSpecifier::StatusCodeFilter(log::StatusCodeFilter { comparison });
    assert_eq!(filter(status), Filter::Status(Comparison::AtLeast(500)));
    let flags = |names: &[&str]| {
        let flags = names.iter().map(|&name| name.to_owned()).collect();
        FilterSpecifier::ResponseFlagFilter(log::ResponseFlagFilter { flags })
    };
    assert_eq!(filter(flags(&[])), Filter::AnyFlag);
    assert_eq!(filter(flags(&["LH", "NR"])), Filter::Flags(vec![Flag::NR]));
    assert_eq!(filter(flags(&["LH"])), Filter::Flags(Vec::new()));
    let sampled =
        |percent_sampled| FilterSpecifier::RuntimeFilter(log::RuntimeFilter { percent_sampled, ..Default::default() });
    assert_eq!(filter(sampled(None)), Filter::Constant(false));
    let all = FractionalPercent { numerator: 1_000_000, denominator: 2 };
    assert_eq!(filter(sampled(Some(all))), Filter::Constant(true));
}
