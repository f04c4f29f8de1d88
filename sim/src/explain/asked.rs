//! A request as rules look at it again, with what is known of its headers.

use http::header::USER_AGENT;
use http::{HeaderName, HeaderValue};
use wavetank_proxy::http::headers::HeaderList;
use wavetank_proxy::record::Record;
use wavetank_proxy::route::RequestHead;

/// What a proxy was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Method.
    pub method: String,
    /// Host as received.
    pub authority: String,
    /// Path with query.
    pub path: String,
    /// The headers that are known.
    headers: HeaderList,
    /// Whether no other header was sent.
    whole: bool,
}

impl Asked {
    /// The request of `record`. `sent` are all headers where the caller is known to have sent no others.
    pub fn of(record: &Record, sent: Option<&[(String, String)]>) -> Self {
        let mut headers = HeaderList::new();
        if let Some(Ok(agent)) = record.user_agent.as_deref().map(HeaderValue::from_str) {
            headers.insert(USER_AGENT, agent);
        }
        for (name, value) in sent.unwrap_or_default() {
            let parts = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value));
            if let (Ok(name), Ok(value)) = parts
                && name != http::header::HOST
                && name != USER_AGENT
            {
                headers.append(name, value);
            }
        }
        Self {
            method: record.method.to_string(),
            authority: record.authority.to_string(),
            path: record.path.to_string(),
            headers,
            whole: sent.is_some(),
        }
    }

    /// The head that rules look at.
    pub fn head(&self) -> RequestHead<'_> {
        RequestHead {
            method: &self.method,
            path_and_query: &self.path,
            authority: &self.authority,
            scheme: "http",
            headers: &self.headers,
        }
    }

    /// The value of a header, as far as it is known.
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether it is known what value the request had for this header, or that it had none. Nobody knows
    /// those that proxies add.
    pub fn knows(&self, name: &HeaderName) -> bool {
        let added = ["x-forwarded-", "x-envoy-", "x-request-id", "x-b3-"];
        let is_added = added.iter().any(|prefix| name.as_str().starts_with(prefix));
        *name == USER_AGENT || self.headers.contains_key(name) || (self.whole && !is_added)
    }
}
