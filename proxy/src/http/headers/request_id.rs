//! `x-request-id`: a random UUID (version 4, RFC 9562 §5.4) where there is none, or none to be believed.

use http::{HeaderMap, HeaderValue};
use wavetank_platform::RandomStream;

use super::order::text;
use crate::http::names::X_REQUEST_ID;
use crate::snapshot::listener::HttpManager;

/// Sets the request's id if `manager` wants one: a missing one always, a client's own at the edge (in its
/// place) unless external ids are kept.
pub fn set(headers: &mut HeaderMap, manager: &HttpManager, edge: bool, random: &mut RandomStream) {
    if !manager.generate_request_id {
        return;
    }
    let believed = !edge || manager.preserve_external_request_id;
    if !(believed && headers.get(&X_REQUEST_ID).is_some_and(|id| !id.is_empty())) {
        headers.insert(X_REQUEST_ID, uuid(random));
    }
}

/// A new id.
pub fn uuid(random: &mut RandomStream) -> HeaderValue {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut id = String::with_capacity(36);
    for (at, byte) in bytes.into_iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            id.push('-');
        }
        for nibble in [byte >> 4, byte & 0x0f] {
            id.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    text(&id)
}
