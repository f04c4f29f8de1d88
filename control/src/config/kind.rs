//! The kinds: which are read, in which apiVersions, by which table; and which are known but not read yet.

use std::fmt;

use super::table::{Row, Table};
use super::{destination_rule, endpoint_slice, gateway, metadata, pod, service, virtual_service};

/// A kind that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Kubernetes `Namespace`.
    Namespace,
    /// Kubernetes `ServiceAccount`.
    ServiceAccount,
    /// Kubernetes `Service`.
    Service,
    /// Kubernetes `Deployment`.
    Deployment,
    /// Kubernetes `Pod`.
    Pod,
    /// Kubernetes `EndpointSlice`.
    EndpointSlice,
    /// Istio `Gateway`.
    Gateway,
    /// Istio `VirtualService`.
    VirtualService,
    /// Istio `DestinationRule`.
    DestinationRule,
}

impl Kind {
    /// All kinds, in the order of the docs.
    pub const ALL: [Kind; 9] = [
        Kind::Namespace,
        Kind::ServiceAccount,
        Kind::Service,
        Kind::Deployment,
        Kind::Pod,
        Kind::EndpointSlice,
        Kind::Gateway,
        Kind::VirtualService,
        Kind::DestinationRule,
    ];

    /// The word in `kind:`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Namespace => "Namespace",
            Kind::ServiceAccount => "ServiceAccount",
            Kind::Service => "Service",
            Kind::Deployment => "Deployment",
            Kind::Pod => "Pod",
            Kind::EndpointSlice => "EndpointSlice",
            Kind::Gateway => "Gateway",
            Kind::VirtualService => "VirtualService",
            Kind::DestinationRule => "DestinationRule",
        }
    }

    /// The kind of a name.
    pub fn of_name(name: &str) -> Option<Kind> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The apiVersions it is read in, the newest first. All are one schema.
    pub fn api_versions(self) -> &'static [&'static str] {
        match self {
            Kind::Namespace | Kind::ServiceAccount | Kind::Service | Kind::Pod => &["v1"],
            Kind::Deployment => &["apps/v1", "apps/v1beta2", "apps/v1beta1", "extensions/v1beta1"],
            Kind::EndpointSlice => &["discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"],
            Kind::Gateway | Kind::VirtualService | Kind::DestinationRule => {
                &["networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3"]
            }
        }
    }

    /// Whether it is one of Istio's own.
    pub fn is_of_istio(self) -> bool {
        matches!(self, Kind::Gateway | Kind::VirtualService | Kind::DestinationRule)
    }

    /// Whether objects of the kind belong to no namespace.
    pub fn is_cluster_scoped(self) -> bool {
        self == Kind::Namespace
    }

    /// What the kind is for, in one line.
    pub fn purpose(self) -> &'static str {
        match self {
            Kind::Namespace => "a part of the mesh; its name scopes short host names",
            Kind::ServiceAccount => "the identity of pods: `spiffe://<trust domain>/ns/<namespace>/sa/<name>`",
            Kind::Service => "listeners, virtual hosts and clusters for each port",
            Kind::Deployment => "the pods that the world runs",
            Kind::Pod => "a workload: labels, identity and sidecar behind an address",
            Kind::EndpointSlice => "the endpoints (EDS) of a Service",
            Kind::Gateway => "listeners of a gateway proxy",
            Kind::VirtualService => "routes (RDS)",
            Kind::DestinationRule => "subset clusters, and policy of clusters (CDS)",
        }
    }

    /// The fields of a document of the kind.
    pub fn table(self) -> &'static Table {
        match self {
            Kind::Namespace => &NAMESPACE,
            Kind::ServiceAccount => &SERVICE_ACCOUNT,
            Kind::Service => &service::SERVICE,
            Kind::Deployment => &pod::DEPLOYMENT,
            Kind::Pod => &pod::POD,
            Kind::EndpointSlice => &endpoint_slice::ENDPOINT_SLICE,
            Kind::Gateway => &gateway::GATEWAY,
            Kind::VirtualService => &virtual_service::VIRTUAL_SERVICE,
            Kind::DestinationRule => &destination_rule::DESTINATION_RULE,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `apiVersion`, which every kind has.
pub const API_VERSION: Row = Row::read("apiVersion", "which schema; all listed above are one");
/// `kind`, which every kind has.
pub const KIND: Row = Row::read("kind", "which kind");
/// `metadata`, which every kind has.
pub const METADATA: Row = Row::nested("metadata", &metadata::METADATA, "name, namespace, labels");
/// `status`, where nothing of it is read.
pub const STATUS: Row = Row::ignored("status", "what a cluster reports");

static NAMESPACE: Table =
    Table { name: "Namespace", rows: &[API_VERSION, KIND, METADATA, STATUS, Row::ignored("spec", "only finalizers")] };

static SERVICE_ACCOUNT: Table = Table {
    name: "ServiceAccount",
    rows: &[
        API_VERSION,
        KIND,
        METADATA,
        Row::ignored("automountServiceAccountToken", "the world hands tokens out itself"),
        Row::ignored("imagePullSecrets", "no images are pulled"),
        Row::ignored("secrets", "the world hands tokens out itself"),
    ],
};

/// Kinds of Kubernetes, the Gateway API and Istio that are known and not read yet.
pub const NOT_YET: &[&str] = &[
    "AuthorizationPolicy",
    "BackendTLSPolicy",
    "Certificate",
    "ClusterIssuer",
    "ClusterRbacConfig",
    "ClusterRole",
    "ClusterRoleBinding",
    "ConfigMap",
    "CronJob",
    "CustomResourceDefinition",
    "DaemonSet",
    "Endpoints",
    "EnvoyFilter",
    "GRPCRoute",
    "GatewayClass",
    "HTTPRoute",
    "HorizontalPodAutoscaler",
    "Ingress",
    "Job",
    "LimitRange",
    "MeshPolicy",
    "NetworkPolicy",
    "Node",
    "PeerAuthentication",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "PodDisruptionBudget",
    "Policy",
    "ProxyConfig",
    "QuotaSpec",
    "QuotaSpecBinding",
    "RbacConfig",
    "ReferenceGrant",
    "ReplicaSet",
    "RequestAuthentication",
    "ResourceQuota",
    "Role",
    "RoleBinding",
    "Secret",
    "ServiceEntry",
    "ServiceRole",
    "ServiceRoleBinding",
    "Sidecar",
    "StatefulSet",
    "StorageClass",
    "TCPRoute",
    "TLSRoute",
    "Telemetry",
    "TrafficExtension",
    "WasmPlugin",
    "WorkloadEntry",
    "WorkloadGroup",
    "attributemanifest",
    "checknothing",
    "denier",
    "fluentd",
    "handler",
    "instance",
    "kubernetes",
    "kubernetesenv",
    "listchecker",
    "listentry",
    "logentry",
    "memquota",
    "metric",
    "prometheus",
    "quota",
    "redisquota",
    "reportnothing",
    "rule",
    "stdio",
];
