//! Socket addresses as Envoy shows them: `10.0.0.1:80`, `[::1]:80`. An IPv4 address mapped into IPv6 is shown as IPv4.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use super::number;

/// Appends address and port.
pub(super) fn whole(address: SocketAddr, out: &mut Vec<u8>) {
    match address.ip().to_canonical() {
        IpAddr::V4(_) => ip(address, out),
        IpAddr::V6(_) => {
            out.push(b'[');
            ip(address, out);
            out.push(b']');
        }
    }
    out.push(b':');
    number::write(address.port().into(), out);
}

/// Appends the address alone.
pub(super) fn ip(address: SocketAddr, out: &mut Vec<u8>) {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => {
            let [first, rest @ ..] = ip.octets();
            number::write(first.into(), out);
            for octet in rest {
                out.push(b'.');
                number::write(octet.into(), out);
            }
        }
        // Writing into a vector never fails.
        IpAddr::V6(ip) => drop(write!(out, "{ip}")),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_are_those_of_display() {
        for (address, shown) in [
            ("10.0.255.1:80", "10.0.255.1:80 10.0.255.1"),
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
