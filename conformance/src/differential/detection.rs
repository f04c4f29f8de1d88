//! Clusters with outlier detection. Each is for one row, since what it has counted stays.

use envoy_types::pb::envoy::config::cluster::v3 as cds;
use envoy_types::pb::envoy::config::core::v3::HealthStatus;
use envoy_types::pb::envoy::config::route::v3 as rds;
use envoy_types::pb::envoy::r#type::v3::Percent;

use super::shapes::{cluster, ms, retry, retrying, switch, to};
use super::world::Places;
use crate::foreign::shapes::number;

/// Failures in a row that eject, in most of them.
pub const COUNT: u32 = 3;

/// What counts.
#[derive(Debug, Clone, Copy)]
enum Counts {
    Any5xx(u32),
    Gateway(u32),
    Split,
    Nothing,
}

impl Counts {
    fn detection(self) -> cds::OutlierDetection {
        let (five, gateway, local) = match self {
            Self::Any5xx(count) => (count, 0, 0),
            Self::Gateway(count) => (0, count, 0),
            Self::Split => (0, COUNT, COUNT),
            Self::Nothing => (0, 0, 0),
        };
        cds::OutlierDetection {
            interval: ms(60_000),
            consecutive_5xx: number(five),
            consecutive_gateway_failure: number(gateway),
            enforcing_consecutive_gateway_failure: number(100),
            consecutive_local_origin_failure: number(local),
            split_external_local_origin_errors: matches!(self, Self::Split),
            max_ejection_percent: number(100),
            ..Default::default()
        }
    }
}

/// Health is believed however few are healthy, and at once.
fn detecting(cluster: cds::Cluster, counts: Counts) -> cds::Cluster {
    let config = cds::cluster::CommonLbConfig {
        healthy_panic_threshold: Some(Percent { value: 0.0 }),
        update_merge_window: ms(0),
        ..Default::default()
    };
    cds::Cluster { outlier_detection: Some(counts.detection()), common_lb_config: Some(config), ..cluster }
}

fn change(mut cluster: cds::Cluster, change: impl FnMut(&mut cds::OutlierDetection)) -> cds::Cluster {
    cluster.outlier_detection.as_mut().into_iter().for_each(change);
    cluster
}

/// The clusters.
pub fn clusters(places: Places) -> Vec<cds::Cluster> {
    let at = |name: &str, addresses: &[_]| {
        cluster(name, &addresses.iter().map(|address| (*address, HealthStatus::Unknown)).collect::<Vec<_>>())
    };
    let one = |name: &str, counts| detecting(at(name, &[places.up]), counts);
    let two = |name: &str, counts| detecting(at(name, &[places.up, places.second]), counts);
    let few = |cluster| change(cluster, |own| own.max_ejection_percent = number(10));
    let briefly = |cluster| {
        change(cluster, |own| {
            // Long enough for a slow machine to ask once more in.
            (own.interval, own.base_ejection_time, own.max_ejection_time) = (ms(150), ms(2000), ms(2000));
        })
    };
    let merging = |mut cluster: cds::Cluster| {
        cluster.common_lb_config.as_mut().into_iter().for_each(|config| config.update_merge_window = None);
        cluster
    };
    let panicking = |mut cluster: cds::Cluster| {
        cluster.common_lb_config.as_mut().into_iter().for_each(|config| config.healthy_panic_threshold = None);
        cluster
    };
    let always = |cluster| change(few(cluster), |own| own.always_eject_one_host = switch(true));
    let judged_by_rates = |cluster| {
        change(cluster, |own| {
            own.interval = ms(300);
            (own.success_rate_minimum_hosts, own.success_rate_request_volume) = (number(2), number(1));
            (own.failure_percentage_minimum_hosts, own.failure_percentage_request_volume) = (number(2), number(1));
            own.success_rate_stdev_factor = number(500);
        })
    };
    let by_percentage = |cluster| {
        change(judged_by_rates(cluster), |own| {
            own.enforcing_success_rate = number(0);
            own.enforcing_failure_percentage = number(100);
        })
    };
    vec![
        judged_by_rates(two("od-rate", Counts::Nothing)),
        by_percentage(two("od-percentage", Counts::Nothing)),
        one("od-5xx", Counts::Any5xx(COUNT)),
        one("od-5xx-anew", Counts::Any5xx(COUNT)),
        one("od-gateway", Counts::Gateway(COUNT)),
        one("od-gateway-500", Counts::Gateway(COUNT)),
        one("od-off", Counts::Nothing),
        change(one("od-not-enforced", Counts::Gateway(COUNT)), |own| {
            own.enforcing_consecutive_gateway_failure = number(0);
        }),
        change(one("od-default", Counts::Nothing), |own| *own = cds::OutlierDetection::default()),
        few(two("od-few", Counts::Any5xx(COUNT))),
        few(one("od-few-one", Counts::Any5xx(COUNT))),
        always(one("od-always-one", Counts::Any5xx(COUNT))),
        always(two("od-always-two", Counts::Any5xx(COUNT))),
        change(two("od-half", Counts::Any5xx(COUNT)), |own| own.max_ejection_percent = number(50)),
        change(two("od-less-than-half", Counts::Any5xx(COUNT)), |own| own.max_ejection_percent = number(49)),
        two("od-both", Counts::Any5xx(COUNT)),
        merging(two("od-both-merged", Counts::Any5xx(COUNT))),
        panicking(two("od-both-panic", Counts::Any5xx(COUNT))),
        panicking(two("od-both-panic-odd", Counts::Any5xx(COUNT))),
        merging(two("od-both-told", Counts::Any5xx(COUNT))),
        briefly(one("od-back", Counts::Any5xx(COUNT))),
        briefly(one("od-back-anew", Counts::Any5xx(COUNT))),
        detecting(at("od-gone", &[places.gone]), Counts::Gateway(COUNT)),
        detecting(at("od-gone-split", &[places.gone]), Counts::Split),
        detecting(at("od-closing", &[places.closing]), Counts::Gateway(COUNT)),
        detecting(at("od-closing-split", &[places.closing]), Counts::Split),
        one("od-split-500", Counts::Split),
        one("od-split-503", Counts::Split),
        one("od-timeout", Counts::Gateway(COUNT)),
        one("od-try-timeout", Counts::Gateway(COUNT)),
        one("od-garbage", Counts::Gateway(COUNT)),
        one("od-broken-body", Counts::Gateway(1)),
        one("od-grpc", Counts::Gateway(COUNT)),
        one("od-retried", Counts::Any5xx(COUNT)),
        detecting(at("od-tcp", &[places.gone]), Counts::Gateway(COUNT)),
    ]
}

/// A route for each of them.
pub fn actions() -> Vec<(&'static str, rds::RouteAction)> {
    let plain = [
        "od-rate",
        "od-percentage",
        "od-5xx",
        "od-5xx-anew",
        "od-gateway",
        "od-gateway-500",
        "od-off",
        "od-not-enforced",
        "od-default",
        "od-few",
        "od-few-one",
        "od-always-one",
        "od-always-two",
        "od-half",
        "od-less-than-half",
        "od-both",
        "od-both-merged",
        "od-both-panic",
        "od-both-panic-odd",
        "od-both-told",
        "od-back",
        "od-back-anew",
        "od-gone",
        "od-gone-split",
        "od-closing",
        "od-closing-split",
        "od-split-500",
        "od-split-503",
        "od-garbage",
        "od-broken-body",
        "od-grpc",
    ];
    let mut all: Vec<_> = plain.into_iter().map(|name| (name, to(name))).collect();
    let per_try = rds::RetryPolicy { per_try_timeout: ms(50), ..retry("", 0) };
    all.push(("od-timeout", rds::RouteAction { timeout: ms(100), ..to("od-timeout") }));
    all.push(("od-try-timeout", retrying(to("od-try-timeout"), per_try)));
    all.push(("od-retried", retrying(to("od-retried"), retry("5xx", 5))));
    all
}
