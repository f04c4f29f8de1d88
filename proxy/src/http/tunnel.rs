//! A connection that has changed its protocol: bytes both ways until either side ends.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::open_record::OpenRecord;
use super::reply::Aborted;
use crate::tcp::relay::{self, Relayed};
use crate::upstream::clusters::Active;
use crate::upstream::lease::Lease;

/// Joins the caller's side with the endpoint's and closes the record when both are done.
pub(crate) async fn run(ours: OnUpgrade, mut record: OpenRecord, mut lent: (Lease, Active)) {
    let (Ok(ours), Some(theirs)) = (ours.await, lent.0.take_stream()) else { return };
    let Relayed { received, sent, .. } = relay::both_ways(TokioIo::new(ours), theirs, || {}).await;
    drop(lent);
    record.record.bytes_sent = sent;
    record.note_received(received);
    let ended = Aborted::by_client();
    record.flag(ended.flag);
    record.log_broken();
    record.record.details = ended.details;
    record.close();
}
