//! `ClusterLoadAssignment`.

use envoy_types::pb::envoy::config::core::v3::Address;
use envoy_types::pb::envoy::config::endpoint::v3::cluster_load_assignment::Policy;
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint as ProtoEndpoint, LbEndpoint, LocalityLbEndpoints,
};

use super::fault::{Fault, Within, each, fields};
use super::metadata;
use super::value::{host_and_port, number, required, socket_address};
use crate::snapshot::cluster::{Assignment, Endpoint};

/// The endpoints of a cluster, localities in order.
pub fn decode(message: &ClusterLoadAssignment) -> Result<Assignment, Fault> {
    Ok(Assignment::new(flatten(message, endpoint)?))
}

/// The host names and ports of a DNS cluster.
pub fn names(message: &ClusterLoadAssignment) -> Result<Vec<(std::sync::Arc<str>, u16)>, Fault> {
    flatten(message, |message| {
        let (host, port) = host_and_port(address(message)?).within("endpoint.address")?;
        Ok((host.into(), port))
    })
}

fn flatten<T>(
    message: &ClusterLoadAssignment,
    decode: impl Fn(&LbEndpoint) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    fields!(message => ClusterLoadAssignment {
        used: [cluster_name, endpoints, policy],
        harmless: [named_endpoints],
        refused: [],
        refused_on: [],
    });
    if let Some(policy) = &message.policy {
        check_policy(policy).within("policy")?;
    }
    let localities = each("endpoints", &message.endpoints, |locality| locality_endpoints(locality, &decode))?;
    Ok(localities.into_iter().flatten().collect())
}

/// Overprovisioning matters between priorities only, of which there is one.
fn check_policy(policy: &Policy) -> Result<(), Fault> {
    fields!(policy => Policy {
        used: [],
        harmless: [overprovisioning_factor, endpoint_stale_after],
        refused: [drop_overloads, weighted_priority_health],
        refused_on: [],
    });
    Ok(())
}

/// Localities are equal: their weights count only for balancers that are refused.
fn locality_endpoints<T>(
    message: &LocalityLbEndpoints,
    decode: impl Fn(&LbEndpoint) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    fields!(message => LocalityLbEndpoints {
        used: [lb_endpoints],
        harmless: [locality, metadata, load_balancing_weight, proximity],
        refused: [priority, lb_config],
        refused_on: [],
    });
    each("lb_endpoints", &message.lb_endpoints, decode)
}

fn endpoint(message: &LbEndpoint) -> Result<Endpoint, Fault> {
    fields!(message => LbEndpoint {
        used: [health_status, metadata, load_balancing_weight, host_identifier],
        harmless: [],
        refused: [],
        refused_on: [],
    });
    let healthy = match message.health_status {
        0 | 1 => true,
        2..=4 => false,
        other => return Err(Fault::new("health_status", "0 to 4 (DEGRADED is not supported)", other)),
    };
    let weight = number(message.load_balancing_weight.as_ref(), 1);
    if weight == 0 {
        return Err(Fault::new("load_balancing_weight", "at least 1", 0));
    }
    Ok(Endpoint {
        address: socket_address(address(message)?).within("endpoint.address")?,
        healthy,
        weight,
        transport_socket_match: metadata::transport_socket_match(message.metadata.as_ref()).within("metadata")?,
        workload: metadata::workload(message.metadata.as_ref()),
    })
}

fn address(message: &LbEndpoint) -> Result<&Address, Fault> {
    let Some(HostIdentifier::Endpoint(endpoint)) = &message.host_identifier else {
        return Err(Fault::new("host_identifier", "endpoint", "another identifier or nothing"));
    };
    check_endpoint(endpoint).within("endpoint")?;
    required("endpoint.address", endpoint.address.as_ref())
}

fn check_endpoint(endpoint: &ProtoEndpoint) -> Result<(), Fault> {
    fields!(endpoint => ProtoEndpoint {
        used: [address],
        harmless: [health_check_config, hostname, observability_name],
        refused: [additional_addresses],
        refused_on: [],
    });
    Ok(())
}
