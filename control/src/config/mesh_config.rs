//! What holds for the whole mesh.

/// What holds for the whole mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshConfig {
    /// DNS domain of the cluster, `cluster.local`.
    pub domain: String,
    /// Trust domain of all identities, `cluster.local`.
    pub trust_domain: String,
    /// Namespace whose configuration holds for all, `istio-system`.
    pub root_namespace: String,
    /// Whether proxies write every decision to their standard output, as [`generate::observation`] says.
    ///
    /// [`generate::observation`]: crate::generate::observation
    pub observe: bool,
}

impl Default for MeshConfig {
    fn default() -> Self {
        Self {
            domain: "cluster.local".to_owned(),
            trust_domain: "cluster.local".to_owned(),
            root_namespace: "istio-system".to_owned(),
            observe: false,
        }
    }
}
