//! Numbers as decimal digits, without the machinery of `fmt`: a line has many, most of them short.

/// The digits of 0 to 99, two for each.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut value = 0;
    while value < 100 {
        pairs[value as usize] = [b'0' + value / 10, b'0' + value % 10];
        value += 1;
    }
    pairs
};

/// Appends `value`.
pub(super) fn write(value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let begin = put(value, &mut digits);
    out.extend_from_slice(&digits[begin..]);
}

/// Puts the digits of `value` at the end of `digits`; where they begin.
pub(super) fn put(value: u64, digits: &mut [u8; 20]) -> usize {
    let (mut rest, mut at) = (value, digits.len());
    while rest >= 100 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(pair(rest % 100));
        rest /= 100;
    }
    let last = pair(rest);
    at -= 1;
    digits[at] = last[1];
    if rest >= 10 {
        at -= 1;
        digits[at] = last[0];
    }
    at
}

/// Appends the last `width` digits of `value`, with zeros before it.
pub(super) fn padded(value: u64, width: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    put(value, &mut digits);
    out.extend_from_slice(&digits[digits.len() - width.min(digits.len())..]);
}

/// The two digits of a value below 100.
pub(super) fn pair(value: u64) -> &'static [u8; 2] {
    usize::try_from(value).ok().and_then(|value| PAIRS.get(value)).unwrap_or(&PAIRS[0])
}

#[cfg(test)]
mod tests {
    #[test]
    fn digits_are_those_of_display() {
        for value in [0, 7, 10, 99, 100, 101, 999, 1_000, 65_535, 123_456, u64::MAX] {
            let mut out = b"x".to_vec();
            super::write(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("x{value}"));
        }
        let mut out = Vec::new();
        super::padded(42, 4, &mut out);
        super::padded(123_456, 3, &mut out);
        super::padded(0, 2, &mut out);
        assert_eq!(out, b"004245600");
    }
}
