//! `x-request-id`: a random UUID (version 4, RFC 9562 §5.4) where there is none, or none to be believed.

use http::HeaderValue;
use wavetank_platform::RandomStream;

use super::list::HeaderList;
use crate::http::names::X_REQUEST_ID;
use crate::snapshot::listener::HttpManager;

/// Sets the request's id if `manager` wants one: a missing one always, a client's own at the edge (in its
/// place) unless external ids are kept.
pub fn set(headers: &mut HeaderList, manager: &HttpManager, edge: bool, random: &mut RandomStream) {
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
    let mut id = [b'-'; 36];
    for (byte, place) in bytes.into_iter().zip(PLACES) {
        id[place] = DIGITS[usize::from(byte >> 4)];
        id[place + 1] = DIGITS[usize::from(byte & 0x0f)];
    }
    HeaderValue::from_bytes(&id).unwrap_or_else(|_| unreachable!("digits and hyphens"))
}

/// Where the two digits of each byte begin.
const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

const DIGITS: &[u8; 16] = b"0123456789abcdef";
