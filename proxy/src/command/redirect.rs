//! Runs what [`wavetank_proxy::redirect`] plans: reads each family's table, and gives the plan to its restore.

use std::io::Write;
use std::process::{Command, Stdio};

use wavetank_proxy::redirect::{Capture, Family, Network, Plan, Redirect, install, remove};

use super::Failure;
use super::arguments::{self, Wanted};

/// Does what was asked for.
pub(crate) fn redirect(asked: &arguments::Redirect) -> Result<(), Failure> {
    match asked {
        arguments::Redirect::Install(wanted) => {
            let wanted = read(wanted)?;
            // Both tables are read before either is changed: a host without one of them is left as it is.
            let plans = Family::ALL.map(|family| Ok((family, install(&wanted, family, &saved(family)?))));
            restore_all(plans)
        }
        arguments::Redirect::Remove => {
            let plans = Family::ALL.map(|family| Ok((family, remove(&saved(family)?))));
            let there = plans.into_iter().filter_map(|plan: Result<_, Failure>| match plan {
                Ok((family, plan)) => plan.map(|plan| Ok((family, plan))),
                Err(failure) => Some(Err(failure)),
            });
            restore_all(there)
        }
        arguments::Redirect::Show(wanted) => {
            let wanted = read(wanted)?;
            let mut out = std::io::stdout().lock();
            for family in Family::ALL {
                let (command, plan) = (family.command(), install(&wanted, family, ""));
                write!(out, "{command}-restore --wait --noflush <<'EOF'\n{plan}EOF\n")?;
            }
            Ok(())
        }
    }
}

fn restore_all(plans: impl IntoIterator<Item = Result<(Family, Plan), Failure>>) -> Result<(), Failure> {
    let plans = plans.into_iter().collect::<Result<Vec<_>, _>>()?;
    plans.iter().try_for_each(|(family, plan)| restore(*family, plan))
}

/// Table `nat` as it is.
fn saved(family: Family) -> Result<String, Failure> {
    let program = format!("{}-save", family.command());
    let output = Command::new(&program).args(["-t", "nat"]).output().map_err(|error| not_run(&program, &error))?;
    if !output.status.success() {
        return Err(said(&program, &output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Puts `plan` in force, all of it or nothing.
fn restore(family: Family, plan: &Plan) -> Result<(), Failure> {
    let program = format!("{}-restore", family.command());
    let mut running = Command::new(&program)
        .args(["--wait", "--noflush"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| not_run(&program, &error))?;
    let mut input = running.stdin.take().ok_or("no way to speak to iptables-restore")?;
    let written = input.write_all(plan.to_string().as_bytes());
    drop(input);
    let output = running.wait_with_output()?;
    if !output.status.success() {
        return Err(said(&program, &output.stderr));
    }
    Ok(written?)
}

fn not_run(program: &str, error: &std::io::Error) -> Failure {
    format!("{program}: {error} (it comes with the package `iptables`)").into()
}

fn said(program: &str, stderr: &[u8]) -> Failure {
    format!("{program}: {}", String::from_utf8_lossy(stderr).trim()).into()
}

fn read(wanted: &Wanted) -> Result<Redirect, Failure> {
    let networks = match wanted.include_outbound_networks.as_slice() {
        [all] if all == "*" => Capture::All,
        ranges => Capture::Only(listed(ranges.iter().map(String::as_str), str::parse::<Network>)?),
    };
    let inbound = match wanted.include_inbound_ports.as_str() {
        "*" => Capture::All,
        ports => {
            let port = |text: &str| text.parse::<u16>().map_err(|_| format!("`{text}` is not a port"));
            Capture::Only(listed(ports.split(','), port)?)
        }
    };
    Ok(Redirect {
        outbound_port: wanted.outbound_port,
        inbound_port: wanted.inbound_port,
        proxy_uids: wanted.proxy_uid.clone(),
        proxy_gids: wanted.proxy_gid.clone(),
        outbound_networks: networks,
        outbound_networks_except: wanted.exclude_outbound_networks.clone(),
        outbound_ports: wanted.include_outbound_ports.clone(),
        outbound_ports_except: wanted.exclude_outbound_ports.clone(),
        inbound_ports: inbound,
        inbound_ports_except: wanted.exclude_inbound_ports.clone(),
        ..Redirect::default()
    })
}

/// What is listed; nothing where the text is empty.
fn listed<'a, T, E: Into<Failure>>(
    texts: impl Iterator<Item = &'a str>,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, Failure> {
    texts.map(str::trim).filter(|text| !text.is_empty()).map(|text| read(text).map_err(Into::into)).collect()
}
