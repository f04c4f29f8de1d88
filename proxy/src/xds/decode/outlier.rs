//! `OutlierDetection`.

use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3::OutlierDetection as ProtoOutlierDetection;
use envoy_types::pb::google::protobuf::UInt32Value;

use super::fault::{Fault, fields};
use super::value::{number, optional_duration, switch};
use crate::snapshot::outlier::{Consecutive, FailurePercentage, OutlierDetection, SuccessRate};

/// Sweeps at most this often.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// Outlier detection.
pub fn decode(message: &ProtoOutlierDetection) -> Result<OutlierDetection, Fault> {
    fields!(message => ProtoOutlierDetection {
        used: [consecutive_5xx, interval, base_ejection_time, max_ejection_percent, enforcing_consecutive_5xx,
               enforcing_success_rate, success_rate_minimum_hosts, success_rate_request_volume,
               success_rate_stdev_factor, consecutive_gateway_failure, enforcing_consecutive_gateway_failure,
               split_external_local_origin_errors, consecutive_local_origin_failure,
               enforcing_consecutive_local_origin_failure, enforcing_local_origin_success_rate,
               failure_percentage_threshold, enforcing_failure_percentage,
               enforcing_failure_percentage_local_origin, failure_percentage_minimum_hosts,
               failure_percentage_request_volume, max_ejection_time, max_ejection_time_jitter,
               always_eject_one_host],
        // There are no active health checks.
        harmless: [successful_active_health_check_uneject_host],
        refused: [monitors],
        refused_on: [detect_degraded_hosts],
    });
    let unset = OutlierDetection::default();
    let interval = time("interval", message.interval.as_ref(), INTERVAL_MIN, unset.interval)?;
    let base = time("base_ejection_time", message.base_ejection_time.as_ref(), INTERVAL_MIN, unset.base_ejection_time)?;
    let max_unset = unset.max_ejection_time.max(base);
    let max = time("max_ejection_time", message.max_ejection_time.as_ref(), base, max_unset)?;
    let jitter = message.max_ejection_time_jitter.as_ref();
    Ok(OutlierDetection {
        interval,
        base_ejection_time: base,
        max_ejection_time: max,
        max_ejection_time_jitter: time("max_ejection_time_jitter", jitter, Duration::ZERO, Duration::ZERO)?,
        max_ejection_percent: percent(
            "max_ejection_percent",
            message.max_ejection_percent.as_ref(),
            unset.max_ejection_percent,
        )?,
        always_eject_one_host: switch(message.always_eject_one_host.as_ref(), unset.always_eject_one_host),
        split_external_local_origin_errors: message.split_external_local_origin_errors,
        consecutive_5xx: consecutive(
            "enforcing_consecutive_5xx",
            (message.consecutive_5xx.as_ref(), message.enforcing_consecutive_5xx.as_ref()),
            unset.consecutive_5xx,
        )?,
        consecutive_gateway_failure: consecutive(
            "enforcing_consecutive_gateway_failure",
            (message.consecutive_gateway_failure.as_ref(), message.enforcing_consecutive_gateway_failure.as_ref()),
            unset.consecutive_gateway_failure,
        )?,
        consecutive_local_origin_failure: consecutive(
            "enforcing_consecutive_local_origin_failure",
            (
                message.consecutive_local_origin_failure.as_ref(),
                message.enforcing_consecutive_local_origin_failure.as_ref(),
            ),
            unset.consecutive_local_origin_failure,
        )?,
        success_rate: success_rate(message, unset.success_rate)?,
        failure_percentage: failure_percentage(message, unset.failure_percentage)?,
    })
}

fn success_rate(message: &ProtoOutlierDetection, unset: SuccessRate) -> Result<SuccessRate, Fault> {
    let (enforcing, local) = (&message.enforcing_success_rate, &message.enforcing_local_origin_success_rate);
    Ok(SuccessRate {
        minimum_hosts: number(message.success_rate_minimum_hosts.as_ref(), unset.minimum_hosts),
        request_volume: number(message.success_rate_request_volume.as_ref(), unset.request_volume),
        stdev_factor: number(message.success_rate_stdev_factor.as_ref(), unset.stdev_factor),
        enforcing_percent: percent("enforcing_success_rate", enforcing.as_ref(), unset.enforcing_percent)?,
        enforcing_local_origin_percent: percent(
            "enforcing_local_origin_success_rate",
            local.as_ref(),
            unset.enforcing_local_origin_percent,
        )?,
    })
}

fn failure_percentage(message: &ProtoOutlierDetection, unset: FailurePercentage) -> Result<FailurePercentage, Fault> {
    let enforcing = message.enforcing_failure_percentage.as_ref();
    let local = message.enforcing_failure_percentage_local_origin.as_ref();
    let threshold = message.failure_percentage_threshold.as_ref();
    Ok(FailurePercentage {
        threshold: percent("failure_percentage_threshold", threshold, unset.threshold)?,
        minimum_hosts: number(message.failure_percentage_minimum_hosts.as_ref(), unset.minimum_hosts),
        request_volume: number(message.failure_percentage_request_volume.as_ref(), unset.request_volume),
        enforcing_percent: percent("enforcing_failure_percentage", enforcing, unset.enforcing_percent)?,
        enforcing_local_origin_percent: percent(
            "enforcing_failure_percentage_local_origin",
            local,
            unset.enforcing_local_origin_percent,
        )?,
    })
}

fn consecutive(
    field: &str,
    (count, enforcing): (Option<&UInt32Value>, Option<&UInt32Value>),
    unset: Consecutive,
) -> Result<Consecutive, Fault> {
    let enforcing_percent = percent(field, enforcing, unset.enforcing_percent)?;
    Ok(Consecutive { count: number(count, unset.count), enforcing_percent })
}

fn percent(field: &str, value: Option<&UInt32Value>, unset: u32) -> Result<u32, Fault> {
    match number(value, unset) {
        percent @ 0..=100 => Ok(percent),
        other => Err(Fault::new(field, "0 to 100", other)),
    }
}

fn time(
    field: &str,
    value: Option<&envoy_types::pb::google::protobuf::Duration>,
    least: Duration,
    unset: Duration,
) -> Result<Duration, Fault> {
    match optional_duration(field, value)?.unwrap_or(unset) {
        time if time >= least => Ok(time),
        other => Err(Fault::new(field, format_args!("{least:?} at least"), format_args!("{other:?}"))),
    }
}
