//! Numbers as decimal digits, without the machinery of `fmt`: a line has many.

/// Appends `value`.
pub(super) fn write(value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        digits[at] = digit(rest % 10);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends the last `width` digits of `value`, with zeros before it.
pub(super) fn padded(value: u64, width: usize, out: &mut Vec<u8>) {
    let end = out.len() + width;
    out.resize(end, b'0');
    let mut rest = value;
    for place in out.iter_mut().rev().take(width) {
        *place = digit(rest % 10);
        rest /= 10;
    }
}

fn digit(value: u64) -> u8 {
    b'0' + u8::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn digits_are_those_of_display() {
        for value in [0, 7, 10, 999, 1_000, u64::MAX] {
            let mut out = b"x".to_vec();
            super::write(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("x{value}"));
        }
        let mut out = Vec::new();
        super::padded(42, 4, &mut out);
        super::padded(123_456, 3, &mut out);
        assert_eq!(out, b"0042456");
    }
}
