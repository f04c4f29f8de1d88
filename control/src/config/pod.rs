//! Kubernetes `Pod` and `Deployment`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::diagnostic::{Span, Spanned};

use super::codes;
use super::decode::{Decoder, Fields};
use super::kind;
use super::metadata::{self, METADATA, Metadata};
use super::table::{Row, Table};
use super::values;
use super::yaml::Node;

/// What is read of a pod's spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSpec {
    /// ServiceAccount; `default` where none is written.
    pub service_account: String,
    /// Node; empty where none is written.
    pub node: String,
    /// Containers in the order written.
    pub containers: Vec<Container>,
    /// Where the spec is written.
    pub span: Span,
}

/// What is read of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Name.
    pub name: String,
    /// Image; empty where none is written.
    pub image: String,
    /// Ports in the order written.
    pub ports: Vec<ContainerPort>,
}

/// One port of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerPort {
    /// Name that a Service's `targetPort` may use; empty where none is written.
    pub name: String,
    /// Number.
    pub number: u16,
}

/// A Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its spec.
    pub spec: PodSpec,
    /// `status.podIP`; `None` until it has one.
    pub address: Option<IpAddr>,
}

/// The spec of a Deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentSpec {
    /// Number of pods; 1 where none is written.
    pub replicas: u32,
    /// `selector.matchLabels`; empty in old apiVersions that leave it out.
    pub selector: BTreeMap<String, String>,
    /// Metadata of its pods.
    pub template: Metadata,
    /// Spec of its pods.
    pub pod: PodSpec,
    /// Where the spec is written.
    pub span: Span,
}

const SCHEDULING: &str = "the world places pods itself";
const NO_CONTAINERS: &str = "the world runs apps of its own, no containers";
const ROLLOUT: &str = "the world starts all pods at once";

/// Fields of a Pod.
pub static POD: Table = Table {
    name: "Pod",
    rows: &[
        kind::API_VERSION,
        kind::KIND,
        kind::METADATA,
        Row::nested("spec", &POD_SPEC, "identity and sidecar"),
        Row::nested("status", &POD_STATUS, "its address"),
    ],
};

/// Fields of a Deployment.
pub static DEPLOYMENT: Table = Table {
    name: "Deployment",
    rows: &[
        kind::API_VERSION,
        kind::KIND,
        kind::METADATA,
        Row::nested("spec", &DEPLOYMENT_SPEC, "how many pods, and which"),
        kind::STATUS,
    ],
};

static DEPLOYMENT_SPEC: Table = Table {
    name: "Deployment.spec",
    rows: &[
        Row::read("replicas", "number of pods; 1 when absent"),
        Row::nested("selector", &LABEL_SELECTOR, "must fit the template's labels"),
        Row::nested("template", &POD_TEMPLATE, "the pods"),
        Row::ignored("minReadySeconds", ROLLOUT),
        Row::ignored("paused", ROLLOUT),
        Row::ignored("progressDeadlineSeconds", ROLLOUT),
        Row::ignored("revisionHistoryLimit", ROLLOUT),
        Row::ignored("rollbackTo", ROLLOUT),
        Row::ignored("strategy", ROLLOUT),
    ],
};

static LABEL_SELECTOR: Table = Table {
    name: "labelSelector",
    rows: &[Row::read("matchLabels", "labels its pods have"), Row::not_yet("matchExpressions")],
};

static POD_TEMPLATE: Table = Table {
    name: "Deployment.spec.template",
    rows: &[
        Row::nested("metadata", &METADATA, "labels and annotations of the pods"),
        Row::nested("spec", &POD_SPEC, "spec of the pods"),
    ],
};

static POD_STATUS: Table = Table {
    name: "Pod.status",
    rows: &[
        Row::read("podIP", "the workload's address"),
        Row::ignored("conditions", "readiness comes from EndpointSlices"),
        Row::ignored("containerStatuses", NO_CONTAINERS),
        Row::ignored("ephemeralContainerStatuses", NO_CONTAINERS),
        Row::ignored("hostIP", SCHEDULING),
        Row::ignored("hostIPs", SCHEDULING),
        Row::ignored("initContainerStatuses", NO_CONTAINERS),
        Row::ignored("message", "for people"),
        Row::ignored("nominatedNodeName", SCHEDULING),
        Row::ignored("observedGeneration", "set by the API server"),
        Row::ignored("phase", "readiness comes from EndpointSlices"),
        Row::ignored("podIPs", "`podIP` is the first of them"),
        Row::ignored("qosClass", SCHEDULING),
        Row::ignored("reason", "for people"),
        Row::ignored("resize", NO_CONTAINERS),
        Row::ignored("startTime", "set by the API server"),
    ],
};

/// Fields of a pod's spec.
pub static POD_SPEC: Table = Table {
    name: "pod spec",
    rows: &[
        Row::list("containers", &CONTAINER, "ports by name; a container `istio-proxy` is a sidecar"),
        Row::read("serviceAccountName", "the pod's identity; `default` when absent"),
        Row::read("serviceAccount", "the older name of `serviceAccountName`"),
        Row::read("nodeName", "the endpoint's node"),
        Row::ignored("activeDeadlineSeconds", NO_CONTAINERS),
        Row::ignored("affinity", SCHEDULING),
        Row::ignored("automountServiceAccountToken", "the world hands tokens out itself"),
        Row::ignored("dnsConfig", "the world's resolver answers all"),
        Row::ignored("dnsPolicy", "the world's resolver answers all"),
        Row::ignored("enableServiceLinks", NO_CONTAINERS),
        Row::ignored("ephemeralContainers", NO_CONTAINERS),
        Row::ignored("hostIPC", NO_CONTAINERS),
        Row::ignored("hostPID", NO_CONTAINERS),
        Row::ignored("hostUsers", NO_CONTAINERS),
        Row::ignored("hostname", NO_CONTAINERS),
        Row::ignored("imagePullSecrets", "no images are pulled"),
        Row::ignored("initContainers", NO_CONTAINERS),
        Row::ignored("nodeSelector", SCHEDULING),
        Row::ignored("os", NO_CONTAINERS),
        Row::ignored("overhead", SCHEDULING),
        Row::ignored("preemptionPolicy", SCHEDULING),
        Row::ignored("priority", SCHEDULING),
        Row::ignored("priorityClassName", SCHEDULING),
        Row::ignored("readinessGates", NO_CONTAINERS),
        Row::ignored("resources", SCHEDULING),
        Row::ignored("restartPolicy", "the world restarts pods"),
        Row::ignored("runtimeClassName", NO_CONTAINERS),
        Row::ignored("schedulerName", SCHEDULING),
        Row::ignored("schedulingGates", SCHEDULING),
        Row::ignored("securityContext", NO_CONTAINERS),
        Row::ignored("setHostnameAsFQDN", NO_CONTAINERS),
        Row::ignored("shareProcessNamespace", NO_CONTAINERS),
        Row::ignored("subdomain", NO_CONTAINERS),
        Row::ignored("terminationGracePeriodSeconds", NO_CONTAINERS),
        Row::ignored("tolerations", SCHEDULING),
        Row::ignored("topologySpreadConstraints", SCHEDULING),
        Row::ignored("volumes", NO_CONTAINERS),
        Row::not_yet("hostAliases"),
        Row::not_yet("hostNetwork"),
    ],
};

static CONTAINER: Table = Table {
    name: "container",
    rows: &[
        Row::read("name", "`istio-proxy` is a sidecar"),
        Row::read("image", "the world picks its app by it"),
        Row::list("ports", &CONTAINER_PORT, "named ports that a `targetPort` may use"),
        Row::ignored("args", NO_CONTAINERS),
        Row::ignored("command", NO_CONTAINERS),
        Row::ignored("env", NO_CONTAINERS),
        Row::ignored("envFrom", NO_CONTAINERS),
        Row::ignored("imagePullPolicy", "no images are pulled"),
        Row::ignored("lifecycle", NO_CONTAINERS),
        Row::ignored("livenessProbe", NO_CONTAINERS),
        Row::ignored("readinessProbe", NO_CONTAINERS),
        Row::ignored("resizePolicy", NO_CONTAINERS),
        Row::ignored("resources", SCHEDULING),
        Row::ignored("restartPolicy", NO_CONTAINERS),
        Row::ignored("securityContext", NO_CONTAINERS),
        Row::ignored("startupProbe", NO_CONTAINERS),
        Row::ignored("stdin", NO_CONTAINERS),
        Row::ignored("stdinOnce", NO_CONTAINERS),
        Row::ignored("terminationMessagePath", NO_CONTAINERS),
        Row::ignored("terminationMessagePolicy", NO_CONTAINERS),
        Row::ignored("tty", NO_CONTAINERS),
        Row::ignored("volumeDevices", NO_CONTAINERS),
        Row::ignored("volumeMounts", NO_CONTAINERS),
        Row::ignored("workingDir", NO_CONTAINERS),
    ],
};

static CONTAINER_PORT: Table = Table {
    name: "container port",
    rows: &[
        Row::read("name", "what a `targetPort` may say"),
        Row::read("containerPort", "its number"),
        Row::ignored("hostIP", SCHEDULING),
        Row::ignored("hostPort", SCHEDULING),
        Row::ignored("protocol", "the Service's port says it"),
    ],
};

pub(crate) fn decode_deployment(node: &Node, decoder: &mut Decoder) -> Option<DeploymentSpec> {
    let fields = Fields::open(node, &DEPLOYMENT_SPEC, decoder)?;
    let replicas = fields.optional("replicas", decoder, values::count);
    let selector = fields.optional("selector", decoder, |node, decoder| {
        let fields = Fields::open(node, &LABEL_SELECTOR, decoder)?;
        fields.optional("matchLabels", decoder, values::labels)
    });
    let template = fields.required("template", decoder, |node, decoder| {
        let fields = Fields::open(node, &POD_TEMPLATE, decoder)?;
        let metadata = fields.required("metadata", decoder, metadata::decode_template);
        let spec = fields.required("spec", decoder, decode_spec);
        Some((metadata?, spec?))
    });
    let (template, pod) = template?;
    let selector = selector.unwrap_or_default();
    if !selector.iter().all(|(name, value)| template.labels.get(name) == Some(value)) {
        let message = "the selector does not fit the labels of the pod template";
        decoder.error(codes::VALUE, &template.span, message);
    }
    Some(DeploymentSpec { replicas: replicas.unwrap_or(1), selector, template, pod, span: node.span.clone() })
}

pub(crate) fn decode_spec(node: &Node, decoder: &mut Decoder) -> Option<PodSpec> {
    let fields = Fields::open(node, &POD_SPEC, decoder)?;
    let account = fields.optional("serviceAccountName", decoder, values::string);
    let older = fields.optional("serviceAccount", decoder, values::string);
    Some(PodSpec {
        service_account: account.or(older).filter(|name| !name.is_empty()).unwrap_or_else(|| "default".to_owned()),
        node: fields.optional("nodeName", decoder, values::string).unwrap_or_default(),
        containers: fields.list("containers", decoder, container),
        span: node.span.clone(),
    })
}

/// Reads `status`: the pod's address.
pub(crate) fn decode_status(node: &Node, decoder: &mut Decoder) -> Option<IpAddr> {
    let fields = Fields::open(node, &POD_STATUS, decoder)?;
    let address = fields.optional("podIP", decoder, values::spanned_string)?;
    address_of(&address, decoder)
}

/// An IP address as text.
pub(crate) fn address_of(text: &Spanned<String>, decoder: &mut Decoder) -> Option<IpAddr> {
    let address = text.value.parse().ok();
    if address.is_none() {
        decoder.error(codes::VALUE, &text.span, format!("`{}` is no IP address", text.value));
    }
    address
}

fn container(node: &Node, decoder: &mut Decoder) -> Option<Container> {
    let fields = Fields::open(node, &CONTAINER, decoder)?;
    let name = fields.required("name", decoder, values::string);
    let image = fields.optional("image", decoder, values::string);
    let ports = fields.list("ports", decoder, |node, decoder| {
        let fields = Fields::open(node, &CONTAINER_PORT, decoder)?;
        let name = fields.optional("name", decoder, values::string).unwrap_or_default();
        let number = fields.required("containerPort", decoder, values::port)?;
        Some(ContainerPort { name, number })
    });
    Some(Container { name: name?, image: image.unwrap_or_default(), ports })
}
