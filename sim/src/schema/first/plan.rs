//! What a first scenario tries: a stream of requests for each route of each VirtualService, and what must come of
//! it as far as the manifests say.

use wavetank_control::config::gateway::GatewaySpec;
use wavetank_control::config::gateway_ref::GatewayRef;
use wavetank_control::config::http_match::HttpMatchSpec;
use wavetank_control::config::virtual_service::{HttpRouteSpec, VirtualServiceSpec};
use wavetank_control::config::{Document, Spec, host_name};
use wavetank_control::dialect::Dialect;

use super::arms::{self, Shares};
use super::request::{Ask, Fit, fits};
use crate::world::app::Program;
use crate::world::app::lab::LabService;
use crate::world::cast::{Cast, INGRESS, Role, SYSTEM_NAMESPACE, Service};

/// DNS domain of the cluster.
pub(super) const DOMAIN: &str = "cluster.local";
/// Who calls within the mesh.
pub(super) const CALLER: &str = "sleep";
/// The path that the built-in app answers.
const LAB_PATH: &str = "/env";

/// A stream and its checks, or why there are none.
#[derive(Debug)]
pub(super) struct Stream {
    /// The route, in words.
    pub(super) of: String,
    pub(super) from: &'static str,
    /// Host and port to ask.
    pub(super) to: String,
    pub(super) ask: Ask,
    pub(super) expect: Expect,
}

/// What must come of a stream.
#[derive(Debug, Default)]
pub(super) struct Expect {
    pub(super) edge: String,
    pub(super) mtls: bool,
    pub(super) answered: bool,
    pub(super) reaches: Vec<String>,
    pub(super) split: Option<Shares>,
    /// Why there is no split where one would be expected.
    pub(super) without_split: Option<String>,
}

/// The objects of the manifests and the world they would have.
pub(super) struct World<'a> {
    pub(super) documents: &'a [&'a Document],
    pub(super) cast: &'a Cast,
}

/// The streams of all VirtualServices, or for each route why it has none.
pub(super) fn streams(world: &World<'_>) -> Vec<Result<Stream, String>> {
    let mut found = Vec::new();
    for document in world.documents {
        let Spec::VirtualService(spec) = &document.spec else { continue };
        for (from, way) in ways(document, spec, world) {
            for at in 0..spec.http.len() {
                let of = format!("route {} of VirtualService {}", at + 1, document.metadata.name.value);
                let of = if from == CALLER { format!("{of}, within the mesh") } else { of };
                let told = |why: String| format!("{of}: {why}");
                found.push(
                    way.clone().and_then(|way| stream(document, spec, at, &way, world, of.clone())).map_err(told),
                );
            }
        }
    }
    found
}

/// A way to a VirtualService: through a gateway, or from a pod to a Service.
#[derive(Clone)]
struct Way<'a> {
    from: &'static str,
    /// Host and port to ask.
    to: String,
    /// What the `host` header says where it is not the host that is asked.
    header: Option<String>,
    reference: GatewayRef,
    /// The Service that is asked for by name.
    asked: Option<&'a Service>,
}

fn ways<'a>(
    document: &Document,
    spec: &VirtualServiceSpec,
    world: &World<'a>,
) -> Vec<(&'static str, Result<Way<'a>, String>)> {
    let namespace = &document.metadata.namespace;
    let resolve = |written: &str| GatewayRef::resolve(written, namespace, DOMAIN, Dialect::V1);
    let mut references: Vec<GatewayRef> = spec.gateways.iter().map(|own| resolve(&own.value)).collect();
    if references.is_empty() {
        references.push(GatewayRef::Mesh);
    }
    // Every gateway of the world is the one ingress: one way through it will do.
    let through = references.iter().find(|own| **own != GatewayRef::Mesh);
    let mut ways = Vec::new();
    ways.extend(through.map(|own| ("client", outside(own, spec, world))));
    if references.contains(&GatewayRef::Mesh) {
        ways.push((CALLER, inside(document, spec, world)));
    }
    ways
}

fn outside<'a>(reference: &GatewayRef, spec: &VirtualServiceSpec, world: &World<'a>) -> Result<Way<'a>, String> {
    let GatewayRef::Gateway { namespace, name } = reference else { return Err("no gateway".to_owned()) };
    let is_it = |own: &&&Document| own.metadata.name.value == *name && own.metadata.namespace == *namespace;
    let gateway = world.documents.iter().filter(is_it).find_map(|own| match &own.spec {
        Spec::Gateway(gateway) => Some(gateway),
        _ => None,
    });
    let gateway = gateway.ok_or_else(|| format!("there is no Gateway {name}"))?;
    if !is_of_ingress(gateway, world.cast) {
        return Err(format!("Gateway {name} selects no proxy of this world"));
    }
    let open: Vec<&str> = gateway
        .servers
        .iter()
        .filter(|server| server.port.value == 80 && server.protocol.eq_ignore_ascii_case("HTTP"))
        .flat_map(|server| server.hosts.iter().map(|host| host.value.rsplit('/').next().unwrap_or(&host.value)))
        .collect();
    if open.is_empty() {
        return Err(format!("Gateway {name} has no HTTP server on port 80"));
    }
    let hosts = spec.hosts.iter().map(|own| own.value.as_str());
    let both = hosts.flat_map(|host| open.iter().map(move |open| (host, *open)));
    let narrower = both
        .filter(|(host, open)| host_name::overlaps(host, open))
        .map(|(host, open)| if host_name::covers(host, open) { open } else { host });
    let host = narrower.min_by(|a, b| host_name::specificity(a, b));
    let host = host.ok_or_else(|| format!("Gateway {name} has none of its hosts"))?;
    let header = match host.strip_prefix('*') {
        Some("") => None,
        Some(suffix) => Some(format!("www{suffix}")),
        None => Some(host.to_owned()),
    };
    Ok(Way { from: "client", to: "ingress".to_owned(), header, reference: reference.clone(), asked: None })
}

fn is_of_ingress(gateway: &GatewaySpec, cast: &Cast) -> bool {
    let ingress = cast.pods.iter().find(|pod| pod.role == Role::Gateway);
    ingress.is_some_and(|pod| gateway.selector.iter().all(|(key, value)| pod.labels.get(key) == Some(value)))
}

fn inside<'a>(document: &Document, spec: &VirtualServiceSpec, world: &World<'a>) -> Result<Way<'a>, String> {
    let namespace = &document.metadata.namespace;
    let is_seen = |to: &str| to == "*" || to == "default" || (to == "." && namespace == "default");
    if !spec.export_to.is_empty() && !spec.export_to.iter().any(|own| is_seen(&own.value)) {
        return Err("it is not exported to namespace default, where the caller is".to_owned());
    }
    let services = spec.hosts.iter().filter_map(|own| world.service(&own.value, namespace));
    let service = services.into_iter().next().ok_or("none of its hosts is a Service")?;
    let port = service.ports.first().map_or(80, |port| port.port);
    let name = short(service);
    let to = if port == 80 { name } else { format!("{name}:{port}") };
    Ok(Way { from: CALLER, to, header: None, reference: GatewayRef::Mesh, asked: Some(service) })
}

impl<'a> World<'a> {
    /// The Service that a host of a manifest in `namespace` is.
    pub(super) fn service(&self, host: &str, namespace: &str) -> Option<&'a Service> {
        let full = host_name::full_name(host, namespace, DOMAIN);
        self.cast.services.iter().find(|service| service.fqdn() == full)
    }

    fn pods_have_sidecars(&self, service: &Service) -> bool {
        self.cast.pods_behind(service).all(|pod| pod.has_proxy())
    }

    /// Whether every program behind a Service answers `path` with 200.
    fn answers(&self, service: &Service, path: &str) -> bool {
        let path = path.split('?').next().unwrap_or(path);
        self.cast.pods_behind(service).all(|pod| match &pod.role {
            Role::App { program: Program::Echo(_), .. } => true,
            Role::App { program: Program::Lab { service, .. }, .. } => *service == LabService::Js || path == LAB_PATH,
            _ => false,
        })
    }
}

/// A Service as edges and callers in namespace `default` name it.
pub(super) fn short(service: &Service) -> String {
    match service.namespace.as_str() {
        "default" => service.name.clone(),
        namespace => format!("{}.{namespace}", service.name),
    }
}

fn stream(
    document: &Document,
    spec: &VirtualServiceSpec,
    at: usize,
    way: &Way<'_>,
    world: &World<'_>,
    of: String,
) -> Result<Stream, String> {
    let namespace = &document.metadata.namespace;
    let rule = &spec.http[at];
    let applies = |own: &HttpMatchSpec| {
        let is_own = |written: &str| GatewayRef::resolve(written, namespace, DOMAIN, Dialect::V1) == way.reference;
        own.gateways.is_empty() || own.gateways.iter().any(|written| is_own(&written.value))
    };
    if !rule.matches.is_empty() && !rule.matches.iter().any(applies) {
        return Err("no match of it is for this way in".to_owned());
    }
    let services = arms::services(rule, namespace, world)?;
    let mut ask = ask(spec, at, applies)?;
    if let Some(host) = &way.header {
        ask.headers.insert(0, ("host".to_owned(), host.clone()));
    }
    let edge = match (way.asked, services.as_slice()) {
        (Some(asked), _) => format!("{} -> {}", way.from, short(asked)),
        (None, [one]) => format!("ingress -> {}", short(one)),
        (None, _) => "ingress -> *".to_owned(),
    };
    let named = way.asked.filter(|_| services.len() == 1);
    let (split, without_split) = match arms::split(rule, namespace, world, &services) {
        Ok(split) => (split, None),
        Err(why) => (None, Some(why)),
    };
    let expect = Expect {
        edge,
        mtls: services.iter().all(|own| world.pods_have_sidecars(own))
            && !arms::any_policy(&services, world, |own| own.tls.is_some()),
        answered: services.iter().all(|own| world.answers(own, &ask.path))
            && !arms::any_policy(&services, world, |own| own.connection_pool.is_some()),
        // What was asked for and what was reached are two Services where a route leads from one to another.
        reaches: match way.asked {
            Some(asked) if named.is_none_or(|_| services[0] != asked) => Vec::new(),
            _ => arms::reached(rule, namespace, world),
        },
        split,
        without_split,
    };
    Ok(Stream { of, from: way.from, to: way.to.clone(), ask, expect })
}

/// A request that this route takes, and none before it.
fn ask(spec: &VirtualServiceSpec, at: usize, applies: impl Fn(&HttpMatchSpec) -> bool + Copy) -> Result<Ask, String> {
    let rule: &HttpRouteSpec = &spec.http[at];
    let asks = |path: &str| -> Vec<Result<Ask, String>> {
        if rule.matches.is_empty() {
            return vec![Ok(Ask::plain(path))];
        }
        rule.matches.iter().filter(|own| applies(own)).map(|own| Ask::taken_by(own, path)).collect()
    };
    let mut why = None;
    for ask in [LAB_PATH, "/", "/other"].into_iter().flat_map(asks) {
        match ask {
            Err(wrong) => why = why.or(Some(wrong)),
            Ok(ask) => {
                let before = spec.http[..at].iter().map(|own| fits(own, &ask, applies));
                match before.fold(Fit::No, |worst, own| if own == Fit::No { worst } else { own }) {
                    Fit::No => return Ok(ask),
                    _ => why = why.or(Some("a route before it takes its requests".to_owned())),
                }
            }
        }
    }
    Err(why.unwrap_or_else(|| "no request is known that it takes".to_owned()))
}

/// The Services of the world's own that are no part of an application.
pub(super) fn is_of_system(service: &Service) -> bool {
    service.namespace == SYSTEM_NAMESPACE || service.name == INGRESS
}
