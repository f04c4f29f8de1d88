//! What holds for the whole mesh.

use super::access_log::AccessLogs;

/// Mesh-wide names and settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshConfig {
    /// DNS domain of the cluster, `cluster.local`.
    pub domain: String,
    /// Trust domain of all identities, `cluster.local`.
    pub trust_domain: String,
    /// Namespace whose configuration holds for all, `istio-system`.
    pub root_namespace: String,
    /// What the proxies log.
    pub access_logs: AccessLogs,
}

impl Default for MeshConfig {
    fn default() -> Self {
        Self {
            domain: "cluster.local".to_owned(),
            trust_domain: "cluster.local".to_owned(),
            root_namespace: "istio-system".to_owned(),
            access_logs: AccessLogs::default(),
        }
    }
}
