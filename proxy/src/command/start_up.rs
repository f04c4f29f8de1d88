//! The bootstrap: the file, and what the command line says instead.

use wavetank_proxy::bootstrap::{Bootstrap, NodeIdentity, Ports, XdsMode, XdsSecurity, XdsServer};

use super::Failure;
use super::arguments::Serve;

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
    let Ports { admin, agent, health, stats } = &mut bootstrap.ports;
    for (address, said) in
        [(&mut *admin, arguments.admin), (agent, arguments.agent), (health, arguments.health), (stats, arguments.stats)]
    {
        *address = said.map_or(*address, |said| said.0);
    }
    if let Some(open) = admin.filter(|address| !address.ip().is_loopback()) {
        return Err(format!("admin address {open} is not on the loopback: anyone could read and drain").into());
    }
    Ok(bootstrap)
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
