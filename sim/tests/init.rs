//! `wavetank init` as a new user meets it: what it writes for a folder of manifests passes `check` and `run` as it
//! stands, and for broken manifests it writes nothing.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A folder of manifests that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("wavetank-init-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for (file, text) in files {
            fs::write(folder.join(file), text).unwrap();
        }
        Self(folder)
    }

    fn wavetank(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wavetank"));
        command.args(words).current_dir(&self.0).output().unwrap()
    }

    /// The scenario that is written, once it passed its check and its run.
    fn written(&self) -> String {
        let told = |output: &Output| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            format!("{}{}", text(&output.stdout), text(&output.stderr))
        };
        let init = self.wavetank(&["init"]);
        assert_eq!(init.status.code(), Some(0), "{}", told(&init));
        let text = fs::read_to_string(self.0.join("scenario.yaml")).unwrap();
        for verb in ["check", "run"] {
            let done = self.wavetank(&[verb, "scenario.yaml"]);
            assert_eq!(done.status.code(), Some(0), "{verb}\n{text}\n{}", told(&done));
        }
        text
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Services with two versions in namespace `fruit`, named by subsets that are not called as their versions.
const FRUIT: &str = "\
apiVersion: v1
kind: Service
metadata: {name: apple, namespace: fruit}
spec: {selector: {app: apple}, ports: [{name: http, port: 9090}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: apple-green, namespace: fruit}
spec:
  selector: {matchLabels: {app: apple}}
  template:
    metadata: {labels: {app: apple, version: green, tier: front}}
    spec: {containers: [{name: main, image: 'apple:1', ports: [{containerPort: 9090}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: apple-red, namespace: fruit}
spec:
  selector: {matchLabels: {app: apple}}
  template:
    metadata: {labels: {app: apple, version: red, tier: back}}
    spec: {containers: [{name: main, image: 'apple:2', ports: [{containerPort: 9090}]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: apple, namespace: fruit}
spec:
  host: apple
  subsets:
    - {name: old, labels: {version: green}}
    - {name: new, labels: {version: red}}
    - {name: front, labels: {tier: front}}
    - {name: back, labels: {tier: back}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: door, namespace: fruit}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*.fruit.test']}]
";

fn routes(http: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: apple, namespace: fruit}}\nspec:\n  \
         hosts: [shop.fruit.test, apple]\n  gateways: [door, mesh]\n  http:\n{http}"
    )
}

#[test]
fn weights_become_percent_of_versions_on_every_way_in() {
    let http = "    - match: [{uri: {prefix: /buy}}]\n      route: [{destination: {host: apple, subset: old}, weight: 3}, \
                {destination: {host: apple, subset: new}, weight: 1}]\n";
    let text = Folder::new("weights", &[("fruit.yaml", FRUIT), ("routes.yaml", &routes(http))]).written();
    assert_eq!(text.matches("split: {green: 75, red: 25}").count(), 2, "{text}");
    assert!(text.contains("request: GET ingress/buy, count: 2000, headers: {host: shop.fruit.test}"), "{text}");
    assert!(
        text.contains("from: sleep, request: GET apple.fruit:9090/buy") && text.contains("{service: sleep}"),
        "{text}"
    );
    assert!(text.contains("edge: sleep -> apple.fruit") && text.contains("edge: ingress -> apple.fruit"), "{text}");
}

#[test]
fn a_subset_of_other_labels_has_no_split_and_a_remark() {
    let http = "    - route: [{destination: {host: apple, subset: front}, weight: 50}, \
                {destination: {host: apple, subset: back}, weight: 50}]\n";
    let text = Folder::new("labels", &[("fruit.yaml", FRUIT), ("routes.yaml", &routes(http))]).written();
    assert!(!text.contains("split: {"), "{text}");
    assert!(text.contains("# no split: subset front is told by label `tier`, not by `version` alone"), "{text}");
}

#[test]
fn every_route_is_asked_with_what_it_matches() {
    let http = "    - match: [{headers: {x-kind: {regex: '(red|green)'}, x-any: {}}, method: {exact: POST}}]\n      \
                route: [{destination: {host: apple, subset: new}}]\n\
                \x20   - match: [{uri: {exact: /list}, queryParams: {page: {exact: '2'}}}]\n      \
                route: [{destination: {host: apple, subset: old}}]\n\
                \x20   - match: [{uri: {prefix: /}}]\n      route: [{destination: {host: apple, subset: new}}]\n\
                \x20   - route: [{destination: {host: apple, subset: old}}]\n";
    let text = Folder::new("matches", &[("fruit.yaml", FRUIT), ("routes.yaml", &routes(http))]).written();
    assert!(text.contains("request: POST ingress/env") && text.contains("x-kind: red"), "{text}");
    assert!(text.contains("GET ingress/list?page=2"), "{text}");
    assert_eq!(text.matches("reaches: [apple.fruit@red]").count(), 4, "{text}");
    assert_eq!(text.matches("reaches: [apple.fruit@green]").count(), 2, "{text}");
    assert!(
        text.contains("# not tried: route 4 of VirtualService apple: a route before it takes its requests"),
        "{text}"
    );
}

#[test]
fn of_files_that_replace_each_other_the_last_counts() {
    let to = |subset: &str| routes(&format!("    - route: [{{destination: {{host: apple, subset: {subset}}}}}]\n"));
    let files = [("fruit.yaml", FRUIT), ("go-old.yaml", &to("old")), ("to-new.yaml", &to("new"))];
    let text = Folder::new("alternatives", &files).written();
    assert!(text.contains("# VirtualService apple is that of to-new.yaml, which comes after go-old.yaml"), "{text}");
    assert_eq!(text.matches("reaches: [apple.fruit@red]").count(), 2, "{text}");
}

#[test]
fn the_built_in_app_comes_along_where_routes_lead_to_it() {
    let routes = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: lua}\nspec:\n  \
                  hosts: [service-lua]\n  http:\n    - route: [{destination: {host: service-lua}}]\n";
    let text = Folder::new("lab", &[("lua.yaml", routes)]).written();
    assert!(text.contains("app: istio-lab\n") && text.contains("edge: sleep -> service-lua"), "{text}");
}

#[test]
fn services_without_routes_are_asked_one_by_one() {
    let text = Folder::new("plain", &[("fruit.yaml", FRUIT)]).written();
    assert!(text.contains("{edge: sleep -> apple.fruit, traffic: apple.fruit, reaches: apple.fruit}"), "{text}");
}

#[test]
fn broken_manifests_are_told_and_nothing_is_written() {
    for (name, http, wanted) in [
        ("typo", "    - route: [{destination: {host: apple, subest: old}}]\n", "did you mean `subset`?"),
        ("subset", "    - route: [{destination: {host: apple, subset: unripe}}]\n", "unripe"),
    ] {
        let folder = Folder::new(name, &[("fruit.yaml", FRUIT), ("routes.yaml", &routes(http))]);
        let init = folder.wavetank(&["init"]);
        let told = String::from_utf8(init.stderr).unwrap();
        assert_eq!(init.status.code(), Some(3), "{told}");
        assert!(told.contains(wanted) && told.contains("routes.yaml:"), "{told}");
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 2);
    }
}
