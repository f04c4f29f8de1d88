//! The codes of findings about what manifests mean.

use crate::diagnostic::Code;

/// One object is written twice in one text.
pub const DUPLICATE_OBJECT: Code = Code(201);
/// A list that must have an entry has none.
pub const EMPTY: Code = Code(202);
/// No host name, or not one that may stand there.
pub const HOST: Code = Code(203);
/// Hosts of one VirtualService overlap.
pub const OVERLAPPING_HOSTS: Code = Code(204);
/// `*` is routed in every sidecar.
pub const WILDCARD_IN_MESH: Code = Code(205);
/// Weights of a route do not add up.
pub const WEIGHTS: Code = Code(206);
/// No regular expression of RE2.
pub const REGEX: Code = Code(207);
/// A name is used twice where it must be unique.
pub const DUPLICATE_NAME: Code = Code(208);
/// No name that Kubernetes takes.
pub const NAME: Code = Code(209);
/// An old apiVersion.
pub const OLD_API_VERSION: Code = Code(210);
/// A Gateway that does not exist.
pub const UNKNOWN_GATEWAY: Code = Code(211);
/// A subset that no DestinationRule defines.
pub const UNKNOWN_SUBSET: Code = Code(212);
/// A host that no Service has.
pub const UNKNOWN_HOST: Code = Code(213);
/// A destination that no Service has.
pub const UNKNOWN_DESTINATION: Code = Code(214);
/// A dotted host that looks like a Service and is not its full name.
pub const DOTTED_HOST: Code = Code(215);
/// A route that no request reaches.
pub const UNREACHABLE_ROUTE: Code = Code(216);
/// A retry or timeout setting that the dialect refuses.
pub const RETRIES: Code = Code(217);
/// A host that an older VirtualService already routes.
pub const CONFLICTING_HOST: Code = Code(218);
/// An EndpointSlice that belongs to no Service.
pub const SLICE_WITHOUT_SERVICE: Code = Code(219);
/// A regular expression that has to match a whole value and probably was not meant to.
pub const FULL_MATCH: Code = Code(220);
/// `exportTo` that says nothing Istio takes.
pub const EXPORT_TO: Code = Code(221);
/// No name of a header.
pub const HEADER_NAME: Code = Code(222);
/// A Gateway named the old way.
pub const OLD_GATEWAY_NAME: Code = Code(223);
/// A host of a VirtualService that its Gateways do not serve.
pub const UNSERVED_HOST: Code = Code(224);
/// Servers of Gateways that cannot share a port.
pub const CONFLICTING_GATEWAYS: Code = Code(225);
/// A subset whose labels no pod has.
pub const EMPTY_SUBSET: Code = Code(226);
/// A port that the Service does not have.
pub const UNKNOWN_PORT: Code = Code(227);
/// A part of a DestinationRule that an older one hides.
pub const HIDDEN_RULE: Code = Code(228);
/// A timeout of a try beyond that of the request.
pub const USELESS_TIMEOUT: Code = Code(229);
/// A match for a Gateway that its VirtualService is not bound to.
pub const UNBOUND_MATCH: Code = Code(230);
/// A Gateway that no proxy serves.
pub const UNSERVED_GATEWAY: Code = Code(231);
/// A port of a Service whose name says no protocol.
pub const PORT_PROTOCOL: Code = Code(232);
/// Subsets that are chosen in the mesh and not at a Gateway.
pub const MESH_ONLY_SUBSETS: Code = Code(233);
/// A setting of outlier detection that the dialect refuses.
pub const OUTLIER_DETECTION: Code = Code(234);
/// A setting of outlier detection that has no effect.
pub const NO_EJECTION: Code = Code(235);
