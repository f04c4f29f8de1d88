//! The bootstrap: the file, and what the command line says instead.

use wavetank_proxy::bootstrap::{AppMetrics, Bootstrap, NodeIdentity, Ports, XdsMode, XdsSecurity, XdsServer};

use super::Failure;
use super::arguments::Serve;

/// The environment variable that Istio's injector keeps the pod's annotations `prometheus.io/*` in.
const ANNOTATIONS: &str = "ISTIO_PROMETHEUS_ANNOTATIONS";

/// The bootstrap of the process.
pub(super) fn bootstrap(arguments: &Serve) -> Result<Bootstrap, Failure> {
    let server = arguments.xds.as_deref().map(host_and_port).transpose()?;
    let mut bootstrap = match &arguments.bootstrap {
        Some(_) => read(arguments)?,
        None => {
            let (Some(_), Some((host, port))) = (&arguments.node, server.clone()) else {
                return Err("either --bootstrap, or --node and --xds, must be given".into());
            };
            let xds = XdsServer { host, port, mode: XdsMode::default(), security: XdsSecurity::Plaintext };
            Bootstrap::new(NodeIdentity::default(), xds)
        }
    };
    if let Some(node) = &arguments.node {
        bootstrap.node.id.clone_from(node);
    }
    if let Some(cluster) = &arguments.node_cluster {
        bootstrap.node.cluster.clone_from(cluster);
    }
    if let Some((host, port)) = server {
        (bootstrap.xds.host, bootstrap.xds.port) = (host, port);
    }
    bootstrap.concurrency = arguments.concurrency.or(bootstrap.concurrency);
    bootstrap.drain = arguments.drain.unwrap_or(bootstrap.drain);
    bootstrap.minimum_drain = arguments.minimum_drain.unwrap_or(bootstrap.minimum_drain);
    let Ports { admin, agent, health, stats } = &mut bootstrap.ports;
    for (address, said) in
        [(&mut *admin, arguments.admin), (agent, arguments.agent), (health, arguments.health), (stats, arguments.stats)]
    {
        *address = said.map_or(*address, |said| said.0);
    }
    if let Some(open) = admin.filter(|address| !address.ip().is_loopback()) {
        return Err(format!("admin address {open} is not on the loopback: anyone could read and drain").into());
    }
    if let Some(told) = app_metrics(arguments)? {
        bootstrap.app_metrics = told;
    }
    check_app_metrics(&bootstrap)?;
    Ok(bootstrap)
}

/// Where the application's metrics are, as the flags or else the environment say; outer `None`: nobody says.
fn app_metrics(arguments: &Serve) -> Result<Option<Option<AppMetrics>>, Failure> {
    if let Some(port) = arguments.app_metrics_port {
        return Ok(Some(Some(AppMetrics::at(port, arguments.app_metrics_path.clone()))));
    }
    let Ok(said) = std::env::var(ANNOTATIONS) else { return Ok(None) };
    let read = AppMetrics::of_annotations(&said);
    Ok(Some(read.map_err(|error| format!("{ANNOTATIONS}: {error}"))?))
}

/// Metrics of the application that can be asked for. The agent would ask itself for ever.
fn check_app_metrics(bootstrap: &Bootstrap) -> Result<(), Failure> {
    let Some(AppMetrics { port, path }) = &bootstrap.app_metrics else { return Ok(()) };
    if *port == 0 || bootstrap.ports.agent.is_some_and(|agent| agent.port() == *port) {
        return Err(
            format!("the application's metrics cannot be on port {port}, which is not the application's").into()
        );
    }
    if !path.starts_with('/') || path.parse::<http::uri::PathAndQuery>().is_err() {
        return Err(format!("the path of the application's metrics, `{path}`, is no path").into());
    }
    Ok(())
}

fn read(arguments: &Serve) -> Result<Bootstrap, Failure> {
    let file = arguments.bootstrap.as_deref().unwrap_or(std::path::Path::new(""));
    let path = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{path}: {error}"))?;
    let at = |error: serde_json::Error| format!("{path}:{}:{}: {error}", error.line(), error.column());
    Ok(serde_json::from_str(&text).map_err(at)?)
}

fn host_and_port(server: &str) -> Result<(String, u16), Failure> {
    let (host, port) = server.rsplit_once(':').ok_or_else(|| format!("`{server}` is not HOST:PORT"))?;
    let port = port.parse().map_err(|_| format!("`{port}` is not a port"))?;
    Ok((host.trim_matches(['[', ']']).to_owned(), port))
}
