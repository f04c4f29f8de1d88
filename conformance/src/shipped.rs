//! The meshes of the repository's scenarios.
