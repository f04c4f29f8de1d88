//! Bodies of requests: `body: text`, or `body: {size: 64KiB}`.

use bytes::Bytes;
use wavetank_control::config::yaml::Node;

use super::fields::{Findings, Keys};

pub(super) const BODY: Keys = Keys { of: "body", known: &["size"], later: &["json", "file"] };

/// Bytes of one body at most.
const SIZE_MAX: u64 = 16 << 20;

/// Reads a body; one that has a size only is that many `x`.
pub(super) fn read(node: &Node, findings: &mut Findings) -> Option<Bytes> {
    if node.as_mapping().is_none() {
        return findings.text(node, "body").map(|text| Bytes::copy_from_slice(text.as_bytes()));
    }
    let Some(size) = findings.mapping(node, &BODY)?.get("size") else {
        findings.missing(&node.span, "body is text, or has the key `size`");
        return None;
    };
    let bytes = findings.read(size, "size", bytes)?;
    Some(vec![b'x'; usize::try_from(bytes).ok()?].into())
}

/// `10B`, `64KiB`, `1MB`.
fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size like `64KiB`");
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("kB", 1000), ("MB", 1_000_000), ("B", 1)];
    let (number, unit) =
        units.into_iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, size))).ok_or_else(wrong)?;
    let number: u64 = number.trim().parse().map_err(|_| wrong())?;
    let size = number.checked_mul(unit).filter(|size| *size <= SIZE_MAX);
    size.ok_or_else(|| format!("`{text}` is more than {SIZE_MAX} bytes, the most that a request has"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_its_unit_and_its_limit() {
        let rows = [("0B", 0), ("10B", 10), ("64KiB", 65_536), ("2 MB", 2_000_000), ("16MiB", SIZE_MAX)];
        for (text, wanted) in rows {
            assert_eq!(bytes(text), Ok(wanted), "{text}");
        }
        for text in ["", "10", "-1B", "1.5MB", "17MiB", "99999999999999999999MB", "KiB", "64kb"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
