//! What Istio 1.0.3 and today's Istio make of a mesh, rule by rule, each on the smallest mesh that shows it.
//!
//! The rules are those of `pilot/pkg/networking/core` and `pilot/pkg/model` in istio/istio, at 1.0.3 and at HEAD.

mod clusters;
mod gateways;
mod mesh;
mod routes;
mod selection;
