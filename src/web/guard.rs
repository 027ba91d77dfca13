//! Whether a request comes from a page of the server itself.
//!
//! A page from elsewhere, open in the same browser, can send requests to this machine. The browser says
//! so: by `Origin` and `Sec-Fetch-Site`. A page whose name was made to point at this machine (DNS
//! rebinding) names itself in `Host`: only addresses and `localhost` are served, which nobody can point
//! elsewhere.

use std::net::IpAddr;

use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{HOST, HeaderName, ORIGIN};
use hyper::http::uri::Authority;

use super::{Request, Response};

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Returns the refusal (403) of a request that a page from elsewhere has made.
pub(crate) fn foreign(request: &Request) -> Option<Response> {
    let header = |name: &HeaderName| {
        let mut values = request.headers().get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => value.to_str().map(Some).map_err(|_| ()),
            (Some(_), Some(_)) => Err(()),
        }
    };
    let is_own = || -> Result<bool, ()> {
        let host = header(&HOST)?.ok_or(())?;
        let origin = header(&ORIGIN)?;
        let is_same = origin.is_none_or(|origin| origin == format!("http://{host}"));
        // A link may lead here; all else that another site asks for is not for it.
        let is_link = header(&MODE)? == Some("navigate");
        let site = header(&SITE)?;
        let is_near = site.is_none_or(|site| is_link || matches!(site, "same-origin" | "none"));
        Ok(is_address(host) && is_same && is_near)
    };
    if is_own() == Ok(true) {
        return None;
    }
    let told = "this page is for the browser that opens it by its address\n";
    let mut response = Response::new(Bytes::from_static(told.as_bytes()).into());
    *response.status_mut() = StatusCode::FORBIDDEN;
    Some(response)
}

/// Returns whether a `Host` is an address, or `localhost`.
fn is_address(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority.host();
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    !host.contains('@')
        && (name.eq_ignore_ascii_case("localhost")
            || bare.unwrap_or(name).parse::<IpAddr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_hosts() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:80",
            "[::1]:8080",
            "localhost:1",
            "LOCALHOST",
        ] {
            assert!(is_address(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example:80",
            "localhost.evil",
            "a@127.0.0.1",
        ] {
            assert!(!is_address(host), "{host}");
        }
    }
}
