//! Outlier detection of a cluster. Istio: `applyOutlierDetection`.

use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3::cluster::CommonLbConfig;
use envoy_types::pb::envoy::config::cluster::v3::{Cluster, OutlierDetection};
use envoy_types::pb::envoy::r#type::v3::Percent;
use envoy_types::pb::google::protobuf::UInt32Value;

use super::shape;
use crate::dialect::Dialect;
use crate::model::OutlierDetection as Asked;

/// Gives `cluster` what is asked for, as the dialect means it.
pub fn detect(dialect: Dialect, asked: &Asked, cluster: &mut Cluster) {
    let base = asked.base_ejection_time.as_ref().map_or(Duration::ZERO, |time| time.value);
    let mut detection = OutlierDetection {
        interval: asked.interval.as_ref().and_then(|interval| shape::duration(interval.value)),
        base_ejection_time: asked.base_ejection_time.as_ref().and_then(|time| shape::duration(time.value)),
        max_ejection_percent: asked.max_ejection_percent.and_then(shape::number),
        // Envoy refuses one below the base.
        max_ejection_time: dialect.ejection_time_max().map(|max| max.max(base)).and_then(shape::duration),
        always_eject_one_host: dialect.always_ejects_one().then_some(true).and_then(shape::flag),
        ..Default::default()
    };
    if !dialect.ejects_by_success_rate() {
        detection.enforcing_success_rate = shape::number(0);
    }
    if let Some(errors) = asked.consecutive_errors.as_ref().filter(|_| dialect.counts_consecutive_errors()) {
        detection.consecutive_gateway_failure = shape::number(errors.value);
        detection.enforcing_consecutive_gateway_failure = shape::number(100);
        detection.enforcing_consecutive_5xx = shape::number(0);
    }
    (detection.consecutive_5xx, detection.enforcing_consecutive_5xx) =
        counted(asked.consecutive_5xx_errors, (detection.consecutive_5xx, detection.enforcing_consecutive_5xx));
    (detection.consecutive_gateway_failure, detection.enforcing_consecutive_gateway_failure) = counted(
        asked.consecutive_gateway_errors,
        (detection.consecutive_gateway_failure, detection.enforcing_consecutive_gateway_failure),
    );
    if asked.split_external_local_origin_errors {
        split(asked, &mut detection);
    }
    cluster.outlier_detection = Some(detection);
    if let Some(unset) = dialect.outlier_panic_percent() {
        let threshold = Percent { value: asked.min_health_percent.map_or(unset, f64::from) };
        let config = cluster.common_lb_config.get_or_insert_with(CommonLbConfig::default);
        config.healthy_panic_threshold = Some(threshold);
    }
}

type Counted = (Option<UInt32Value>, Option<UInt32Value>);

/// A count and how often it is enforced: always, or with 0 never; not asked for: as it `was`.
fn counted(asked: Option<u32>, was: Counted) -> Counted {
    match asked {
        None => was,
        Some(0) => (shape::number(0), shape::number(0)),
        Some(count) => (shape::number(count), shape::number(100)),
    }
}

fn split(asked: &Asked, detection: &mut OutlierDetection) {
    detection.split_external_local_origin_errors = true;
    if let Some(failures) = &asked.consecutive_local_origin_failures {
        detection.consecutive_local_origin_failure = shape::number(failures.value);
        detection.enforcing_consecutive_local_origin_failure = shape::number(100);
    }
    detection.enforcing_local_origin_success_rate = shape::number(0);
}
