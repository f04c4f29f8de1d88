//! Access logs of the running binary: two workers, one file, a rotation.

#[path = "tls_support/grpc.rs"]
mod grpc;
mod process_support;
#[path = "ads_support/resources.rs"]
#[expect(dead_code, reason = "each test crate uses its own part")]
mod resources;
#[path = "ads_support/script.rs"]
mod script;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use envoy_types::pb::envoy::config::accesslog::v3 as log;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::access_loggers::file::v3::{FileAccessLog, file_access_log};
use process_support::*;
use wavetank_platform::{Platform, linux};

/// A proxy of two workers whose log has the path of each request.
struct Story {
    platform: Platform,
    process: Process,
    mesh: u16,
    admin: u16,
    folder: PathBuf,
    /// Requests that the origin has had.
    asked: Arc<AtomicUsize>,
}

impl Story {
    async fn open(name: &str) -> Self {
        Self::open_with(name, None, Duration::ZERO).await
    }

    /// With the log at `path`, else in the file `log`; standard output goes to the file `output`. Each answer takes
    /// `delay`.
    async fn open_with(name: &str, path: Option<&str>, delay: Duration) -> Self {
        let platform = linux::platform().expect("the door");
        let [xds, mesh, admin] = free_ports(&platform).await;
        let (origin, asked) = serve_origin(&platform, delay).await;
        let folder = std::env::temp_dir().join(format!("wavetank-process-logs-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let own = folder.join("log");
        let path = path.unwrap_or(own.to_str().expect("a path"));
        let logs = vec![file(path, "%REQ(:PATH)% %RESPONSE_CODE%\n")];
        let listener = resources::logging_listener("mesh", mesh.into(), "routes", logs);
        serve_listener(&platform, xds, listener, origin).await;
        let output = std::fs::File::create(folder.join("output")).expect("a file");
        let process = Process::start_saying(
            xds,
            admin,
            &["--concurrency", "2", "--drain", "5s", "--minimum-drain", "0s"],
            output.into(),
        );
        process.ready(&platform).await;
        Self { platform, process, mesh, admin, folder, asked }
    }

    /// Asks for `/FROM` and so on up to `/TO`, each on a connection of its own, so that both workers are asked.
    async fn ask(&self, from: usize, to: usize) {
        for number in from..=to {
            let answer = ask(&self.platform, self.mesh, "GET", &format!("/{number}")).await;
            assert_eq!(answer.expect("an answer").status, 200);
        }
    }

    /// Waits until the file is there.
    async fn wait_for(&self, name: &str) {
        let path = self.folder.join(name);
        until(&self.platform, name, async || path.exists().then_some(())).await;
    }

    fn rotate(&self) {
        std::fs::rename(self.folder.join("log"), self.folder.join("old")).expect("a log");
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.join(name)).expect("a log");
        assert!(text.ends_with('\n'), "{text:?}");
        text.lines().map(str::to_owned).collect()
    }

    async fn end(&mut self) {
        self.process.signal("TERM");
        assert!(self.process.ended(&self.platform).await.success());
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        let _left = std::fs::remove_dir_all(&self.folder);
    }
}

fn file(path: &str, format: &str) -> log::AccessLog {
    let source = core::DataSource {
        specifier: Some(core::data_source::Specifier::InlineString(format.to_owned())),
        ..Default::default()
    };
    let format = core::SubstitutionFormatString {
        format: Some(core::substitution_format_string::Format::TextFormatSource(source)),
        ..Default::default()
    };
    let message = FileAccessLog {
        path: path.to_owned(),
        access_log_format: Some(file_access_log::AccessLogFormat::LogFormat(format)),
    };
    let kind = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog";
    log::AccessLog {
        name: "envoy.access_loggers.file".to_owned(),
        config_type: Some(log::access_log::ConfigType::TypedConfig(resources::any(kind, &message))),
        ..Default::default()
    }
}

/// Each path from `/1` to `/count`, once.
fn assert_whole(mut lines: Vec<String>, count: usize) {
    let mut wanted: Vec<String> = (1..=count).map(|number| format!("/{number} 200")).collect();
    lines.sort();
    wanted.sort();
    assert_eq!(lines, wanted);
}

#[tokio::test]
async fn lines_of_all_workers_are_there_when_the_process_has_ended() {
    let mut story = Story::open("end").await;
    story.ask(1, 40).await;
    story.end().await;
    assert_whole(story.lines("log"), 40);
}

#[tokio::test]
async fn requests_that_end_with_the_process_have_their_lines() {
    let mut story = Story::open_with("cut", None, Duration::from_secs(3600)).await;
    let mut callers = Vec::new();
    for number in 1..=16 {
        let mut caller = Peer::connect(&story.platform, story.mesh).await.expect("a connection");
        caller.send("GET", &format!("/{number}")).await.expect("sent");
        callers.push(caller);
    }
    let asked = story.asked.clone();
    until(&story.platform, "requests", async || (asked.load(Ordering::SeqCst) == callers.len()).then_some(())).await;
    story.process.signal("TERM");
    story.process.signal("INT");
    story.process.ended(&story.platform).await;
    let mut lines = story.lines("log");
    lines.sort_by_key(|line| line.len());
    assert_eq!(lines.len(), callers.len(), "{lines:?}");
    assert!(lines.iter().all(|line| line.ends_with(" 0")), "{lines:?}");
}

#[tokio::test]
async fn standard_output_is_a_log_like_any_other() {
    let mut story = Story::open_with("stdout", Some("/dev/stdout"), Duration::ZERO).await;
    story.ask(1, 10).await;
    story.process.signal("USR1");
    story.ask(11, 20).await;
    story.end().await;
    assert_whole(story.lines("output"), 20);
}

#[tokio::test]
async fn no_line_is_lost_when_the_file_is_renamed_and_the_process_told() {
    let mut story = Story::open("rotate").await;
    story.ask(1, 20).await;
    story.wait_for("log").await;
    story.rotate();
    story.ask(21, 40).await;
    story.process.signal("USR1");
    story.wait_for("log").await;
    story.ask(41, 60).await;
    story.end().await;
    let (old, new) = (story.lines("old"), story.lines("log"));
    assert!((41..=60).all(|number| new.contains(&format!("/{number} 200"))), "{new:?}");
    assert_whole([old, new].concat(), 60);
}

#[tokio::test]
async fn the_admin_port_opens_logs_anew_and_counts_what_becomes_of_them() {
    let mut story = Story::open("admin").await;
    story.ask(1, 5).await;
    story.wait_for("log").await;
    story.rotate();
    let get = ask(&story.platform, story.admin, "GET", "/reopen_logs").await.expect("an answer");
    assert_eq!(get.status, 405);
    let told = ask(&story.platform, story.admin, "POST", "/reopen_logs").await.expect("an answer");
    assert_eq!((told.status, told.body.as_str()), (200, "OK\n"));
    story.wait_for("log").await;
    let stats = ask(&story.platform, story.admin, "GET", "/stats").await.expect("an answer").body;
    let count = |name: &str| -> u64 {
        let value = stats.lines().find_map(|line| line.strip_prefix(&format!("filesystem.{name}: ")));
        value.unwrap_or_else(|| panic!("no {name} in {stats}")).parse().expect("a number")
    };
    assert!(count("write_completed") >= 1);
    assert_eq!((count("write_failed"), count("reopen_failed")), (0, 0));
    story.end().await;
}
