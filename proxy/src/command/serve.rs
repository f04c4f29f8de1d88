//! From start to end of the process. The first worker runs on the main thread, with xDS, the identity and the
//! admin ports; the others have a thread each.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;
use wavetank_platform::linux::Worker;
use wavetank_platform::{Platform, watch};
use wavetank_proxy::admin::{Admin, View};
use wavetank_proxy::bootstrap::Bootstrap;
use wavetank_proxy::stats::WorkerStats;
use wavetank_proxy::{DrainTimes, Proxy};

use super::arguments::{LogForm, Serve};
use super::log_files::LogFiles;
use super::recorders::RecordFile;
use super::{Failure, start_up};

/// Serves until told to end.
pub(crate) fn serve(arguments: &Serve) -> Result<(), Failure> {
    log(arguments);
    let bootstrap = start_up::bootstrap(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let logs = Arc::new(LogFiles::default());
    let outcome = runtime.block_on(run(arguments, bootstrap, &logs));
    // With the runtime end the requests that were cut off, which have lines as well.
    drop(runtime);
    logs.settle();
    outcome
}

fn log(arguments: &Serve) {
    let to_stderr = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&arguments.log))
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    match arguments.log_format {
        LogForm::Text => to_stderr.init(),
        LogForm::Json => to_stderr.json().init(),
    }
}

async fn run(arguments: &Serve, bootstrap: Bootstrap, logs: &Arc<LogFiles>) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let rotated = signal(SignalKind::user_defined1())?;
    let platform = wavetank_platform::linux::platform()?;
    let records = RecordFile::open(&platform, arguments.records.as_deref())?;
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let _flushing = logs.keep_flushing(&platform);
    let count = bootstrap.concurrency.map_or_else(cores, NonZeroUsize::get);
    let stats: Vec<Arc<WorkerStats>> = (0..count).map(|_| Arc::default()).collect();
    let crew = Crew::start(&platform, &bootstrap, (&records, logs), &stats)?;
    let process = crew.first.process().clone();
    let view = Arc::new(View::new(process, &bootstrap, stats, logs.counts().clone(), platform.clock.clone()));
    let admin = Admin::start(&platform, &bootstrap.ports, &view);
    let _reopening = platform.spawn.go(reopen(logs.clone(), rotated, view.clone())).abort_on_drop();
    tracing::info!(node = %bootstrap.node.id, workers = count, "started");

    let mut told_to_end = tokio::select! {
        biased;
        () = signals.next() => true,
        () = view.drain_requested() => false,
        () = crew.report_ready() => false,
    };
    view.drain();
    tracing::info!(time = ?bootstrap.drain, "draining");
    let end = crew.end.clone();
    let mut draining = std::pin::pin!(crew.drain(bootstrap.drain_times()));
    let (mut over, mut at_once) = (false, false);
    while !(over && told_to_end) {
        tokio::select! {
            biased;
            () = &mut draining, if !over => over = true,
            () = signals.next() => {
                if told_to_end {
                    tracing::warn!("told to end a second time; ending at once");
                    at_once = true;
                    end.send_replace(End::Now);
                }
                told_to_end = true;
            }
        }
    }
    records.flush();
    drop(admin);
    tracing::info!(drained = !at_once, "ended");
    Ok(())
}

/// Opens the access logs anew when SIGUSR1 comes, as Envoy does, or the admin port asks for it; never returns.
async fn reopen(logs: Arc<LogFiles>, mut rotated: Signal, view: Arc<View>) {
    let mut asked = view.reopenings();
    loop {
        tokio::select! {
            biased;
            _ = rotated.recv() => {}
            _ = asked.changed() => {}
        }
        tracing::info!("opening access logs anew");
        logs.reopen();
    }
}

/// SIGTERM and SIGINT, which mean the same.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for either.
    async fn next(&mut self) {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Whether workers are to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Not,
    InOrder,
    Now,
}

/// All workers of the process.
struct Crew {
    first: Proxy,
    others: Vec<Worker>,
    end: Arc<watch::Sender<End>>,
}

impl Crew {
    /// Starts a worker for each of `stats`.
    fn start(
        platform: &Platform,
        bootstrap: &Bootstrap,
        (records, logs): (&RecordFile, &Arc<LogFiles>),
        stats: &[Arc<WorkerStats>],
    ) -> Result<Self, Failure> {
        let [first, others @ ..] = stats else { return Err("no worker".into()) };
        let first = Proxy::start_first(platform.clone(), bootstrap.clone(), records.beside(first, logs))?;
        let (end, times) = (Arc::new(watch::Sender::new(End::Not)), bootstrap.drain_times());
        let start = |(index, stats): (usize, &Arc<WorkerStats>)| {
            let (process, recorder) = (first.process().clone(), records.beside(stats, logs));
            let mut ending = end.subscribe();
            Worker::start(platform, index, move |platform| async move {
                let proxy = Proxy::start_another(platform, &process, recorder);
                drop(ending.wait_for(|end| *end != End::Not).await);
                drain(&proxy, times, ending).await;
            })
        };
        let others = (1..).zip(others).map(start).collect::<Result<_, _>>()?;
        Ok(Self { first, others, end })
    }

    /// Says once that the proxy serves; never returns.
    async fn report_ready(&self) {
        self.first.ready().await;
        for (name, address) in self.first.listening() {
            tracing::info!(listener = %name, %address, "listening");
        }
        std::future::pending().await
    }

    /// Ends all in good order, or as soon as that is wanted.
    async fn drain(self, times: DrainTimes) {
        self.end.send_replace(End::InOrder);
        drain(&self.first, times, self.end.subscribe()).await;
        for worker in self.others {
            worker.ended().await;
        }
    }
}

async fn drain(proxy: &Proxy, times: DrainTimes, mut ending: watch::Receiver<End>) {
    tokio::select! {
        biased;
        _ = ending.wait_for(|end| *end == End::Now) => {}
        () = proxy.drain(times) => {}
    }
}
