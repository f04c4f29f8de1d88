//! Socket addresses as Envoy shows them: `10.0.0.1:80`, `[::1]:80`. An IPv4 address mapped into IPv6 is shown as IPv4.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::number;

/// Appends address and port.
pub(super) fn whole(address: SocketAddr, out: &mut Vec<u8>) {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => v4(ip, out),
        IpAddr::V6(ip) => {
            out.push(b'[');
            v6(ip, out);
            out.push(b']');
        }
    }
    out.push(b':');
    number::write(address.port().into(), out);
}

/// Appends the address alone.
pub(super) fn ip(address: SocketAddr, out: &mut Vec<u8>) {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => v4(ip, out),
        IpAddr::V6(ip) => v6(ip, out),
    }
}

fn v4(ip: Ipv4Addr, out: &mut Vec<u8>) {
    // `255.255.255.255` at most, and a dot more.
    let (mut text, mut length) = ([0; 16], 0);
    for octet in ip.octets() {
        for (least, divisor) in [(100, 100), (10, 10), (0, 1)] {
            if octet >= least {
                text[length] = b'0' + octet / divisor % 10;
                length += 1;
            }
        }
        text[length] = b'.';
        length += 1;
    }
    out.extend_from_slice(&text[..length - 1]);
}

fn v6(ip: Ipv6Addr, out: &mut Vec<u8>) {
    // Writing into a vector never fails.
    drop(write!(out, "{ip}"));
}

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_are_those_of_display() {
        for (address, shown) in [
            ("10.0.255.1:80", "10.0.255.1:80 10.0.255.1"),
            ("0.9.10.100:65535", "0.9.10.100:65535 0.9.10.100"),
            ("255.255.255.255:0", "255.255.255.255:0 255.255.255.255"),
            ("[::1]:443", "[::1]:443 ::1"),
            ("[::ffff:1.2.3.4]:5", "1.2.3.4:5 1.2.3.4"),
        ] {
            let mut out = Vec::new();
            super::whole(address.parse().unwrap(), &mut out);
            out.push(b' ');
            super::ip(address.parse().unwrap(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), shown);
        }
    }
}
