//! Suites that hold the mesh to Istio and Envoy, the ledger of known differences, and benchmarks.
