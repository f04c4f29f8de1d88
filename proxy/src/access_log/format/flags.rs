//! Response flags: short and long names. Envoy: `ResponseFlagUtils`.

use crate::record::Flag;

/// All flags that records know, with their names in access logs.
const NAMES: [(Flag, &str, &str); 19] = [
    (Flag::UH, "UH", "NoHealthyUpstream"),
    (Flag::UF, "UF", "UpstreamConnectionFailure"),
    (Flag::UO, "UO", "UpstreamOverflow"),
    (Flag::NR, "NR", "NoRouteFound"),
    (Flag::URX, "URX", "UpstreamRetryLimitExceeded"),
    (Flag::NC, "NC", "NoClusterFound"),
    (Flag::UT, "UT", "UpstreamRequestTimeout"),
    (Flag::UC, "UC", "UpstreamConnectionTermination"),
    (Flag::UPE, "UPE", "UpstreamProtocolError"),
    (Flag::UR, "UR", "UpstreamRemoteReset"),
    (Flag::LR, "LR", "LocalReset"),
    (Flag::DC, "DC", "DownstreamConnectionTermination"),
    (Flag::DPE, "DPE", "DownstreamProtocolError"),
    (Flag::DR, "DR", "DownstreamRemoteReset"),
    (Flag::SI, "SI", "StreamIdleTimeout"),
    (Flag::DI, "DI", "DelayInjected"),
    (Flag::FI, "FI", "FaultInjected"),
    (Flag::RL, "RL", "RateLimited"),
    (Flag::UAEX, "UAEX", "UnauthorizedExternalService"),
];

/// Flags that Envoy has and this proxy never sets.
const NEVER_SET: [&str; 12] = ["LH", "RLSE", "IH", "UMSDR", "RFCF", "NFCF", "DT", "OM", "DF", "DO", "UDO", "DRO"];

/// The flag of this short name, `None` of one that is never set.
///
/// Errs when Envoy has none of this name.
pub(crate) fn named(name: &str) -> Result<Option<Flag>, UnknownFlag> {
    match NAMES.iter().find(|(_, short, _)| *short == name) {
        Some((flag, ..)) => Ok(Some(*flag)),
        None if NEVER_SET.contains(&name) => Ok(None),
        None => Err(UnknownFlag),
    }
}

/// No response flag has this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such response flag")]
pub(crate) struct UnknownFlag;

/// Appends `flags`, joined by `,`; `-` where there is none.
pub(super) fn write(flags: &[Flag], long: bool, out: &mut Vec<u8>) {
    if flags.is_empty() {
        out.push(b'-');
    }
    for (at, flag) in flags.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        if let Some((_, short_name, long_name)) = NAMES.iter().find(|(known, ..)| known == flag) {
            out.extend_from_slice(if long { long_name } else { short_name }.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_those_of_records() {
        for (flag, short, _) in NAMES {
            assert_eq!(flag.to_string(), short);
        }
    }

    #[test]
    fn flags_are_found_by_their_short_names() {
        assert_eq!(named("UF"), Ok(Some(Flag::UF)));
        assert_eq!(named("LH"), Ok(None));
        assert_eq!(named("uf"), Err(UnknownFlag));
    }

    #[test]
    fn flags_are_joined_and_none_is_a_dash() {
        let mut out = Vec::new();
        write(&[Flag::URX, Flag::UF], false, &mut out);
        write(&[], false, &mut out);
        write(&[Flag::DC], true, &mut out);
        assert_eq!(out, b"URX,UF-DownstreamConnectionTermination");
    }
}
