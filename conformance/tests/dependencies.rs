//! The dependency policy of `deny.toml`, as far as `cargo metadata` shows it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What is linked on this platform. Crates of others may not have been downloaded, and a test downloads nothing;
/// `cargo deny` looks at all of them.
fn metadata() -> Value {
    let rustc = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let version = String::from_utf8(rustc.stdout).expect("rustc speaks UTF-8");
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

fn packages(metadata: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let list = metadata["packages"].as_array().expect("a list of packages");
    list.iter().map(|package| (package["name"].as_str().unwrap_or_default(), package))
}

fn allowed_licenses() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deny.toml");
    let policy = std::fs::read_to_string(path).expect("deny.toml");
    let list = policy.split("allow = [").nth(1).and_then(|rest| rest.split(']').next()).expect("an allow list");
    list.lines().filter_map(|line| line.trim().strip_prefix('"')?.split('"').next().map(str::to_owned)).collect()
}

/// True when one way to read the SPDX expression is allowed.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let flat = expression.replace('/', " OR ").replace(['(', ')'], "");
    flat.split(" OR ").any(|choice| choice.split(" AND ").all(|part| allowed.iter().any(|name| name == part.trim())))
}

#[test]
fn every_license_is_on_the_list() {
    let (metadata, allowed) = (metadata(), allowed_licenses());
    let refused: Vec<String> = packages(&metadata)
        .filter(|(_, package)| !is_allowed(package["license"].as_str().unwrap_or("none"), &allowed))
        .map(|(name, package)| format!("{name}: {}", package["license"]))
        .collect();
    assert!(refused.is_empty(), "not allowed by deny.toml: {refused:#?}");
}

#[test]
fn everything_comes_from_the_registry_or_the_workspace() {
    let metadata = metadata();
    let foreign: Vec<&str> = packages(&metadata)
        .filter(|(_, package)| package["source"].as_str().is_some_and(|source| !source.starts_with("registry+")))
        .map(|(name, _)| name)
        .collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

#[test]
fn there_is_one_tls_and_crypto_library() {
    let metadata = metadata();
    let resolved: Vec<&str> = metadata["resolve"]["nodes"]
        .as_array()
        .expect("resolved nodes")
        .iter()
        .filter_map(|node| node["id"].as_str())
        .filter(|id| ["openssl-sys", "aws-lc-sys"].iter().any(|name| id.contains(name)))
        .collect();
    assert!(resolved.is_empty(), "{resolved:?}");
}
