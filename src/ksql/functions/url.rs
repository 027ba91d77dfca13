//! URLs and their parts.

use super::{Call, Outcome, Scalar, strict};
use crate::ksql::value::Value;

pub(super) const FUNCTIONS: &[Scalar] = &[
    strict(
        "URL_DECODE_PARAM(text STRING) STRING",
        "A parameter's value as it was before it was encoded.",
        |call| Ok(decoded(call.text(0), true)?.into()),
    ),
    strict(
        "URL_ENCODE_PARAM(text STRING) STRING",
        "A text as the value of a parameter.",
        |call| {
            let mut encoded = String::new();
            for byte in call.text(0).bytes() {
                match byte {
                    b' ' => encoded.push('+'),
                    b'-' | b'_' | b'.' | b'*' => encoded.push(char::from(byte)),
                    _ if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
                    _ => encoded.push_str(&format!("%{byte:02X}")),
                }
            }
            Ok(encoded.into())
        },
    ),
    strict(
        "URL_EXTRACT_FRAGMENT(url STRING) STRING",
        "What stands behind #.",
        |call| part(call, |url| url.fragment),
    ),
    strict("URL_EXTRACT_HOST(url STRING) STRING", "The host.", |call| {
        part(call, |url| url.host())
    }),
    strict(
        "URL_EXTRACT_PARAMETER(url STRING, name STRING) STRING",
        "The value of a parameter.",
        |call| {
            let query = Url::parse(call.text(0))?.query.unwrap_or_default();
            for pair in query.split('&') {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                if decoded(name, true)? == call.text(1) {
                    return Ok(decoded(value, true)?.into());
                }
            }
            Ok(Value::Null)
        },
    ),
    strict("URL_EXTRACT_PATH(url STRING) STRING", "The path.", |call| {
        part(call, |url| Some(url.path))
    }),
    strict(
        "URL_EXTRACT_PORT(url STRING) INT",
        "The port, if one is named.",
        |call| {
            let port = Url::parse(call.text(0))?
                .port()
                .and_then(|port| port.parse().ok());
            Ok(port.map_or(Value::Null, Value::Int))
        },
    ),
    strict(
        "URL_EXTRACT_PROTOCOL(url STRING) STRING",
        "The protocol.",
        |call| part(call, |url| url.scheme),
    ),
    strict(
        "URL_EXTRACT_QUERY(url STRING) STRING",
        "What stands between ? and #.",
        |call| part(call, |url| url.query),
    ),
];

fn part(call: &Call, part: impl for<'u> FnOnce(Url<'u>) -> Option<&'u str>) -> Outcome {
    match part(Url::parse(call.text(0))?) {
        Some(text) => Ok(decoded(text, false)?.into()),
        None => Ok(Value::Null),
    }
}

/// scheme://authority/path?query#fragment
struct Url<'u> {
    scheme: Option<&'u str>,
    authority: Option<&'u str>,
    path: &'u str,
    query: Option<&'u str>,
    fragment: Option<&'u str>,
}

impl<'u> Url<'u> {
    fn parse(text: &'u str) -> Result<Self, String> {
        let is_wrong = |c: char| c.is_whitespace() || "<>\"{}|\\^`".contains(c);
        if text.contains(is_wrong) {
            return Err(format!("{text} is not a URL"));
        }
        let (rest, fragment) = split(text, '#');
        let (rest, query) = split(rest, '?');
        let scheme_end = rest
            .find(':')
            .filter(|end| rest.find('/').is_none_or(|slash| *end < slash));
        let (scheme, rest) = match scheme_end {
            Some(end) => (Some(&rest[..end]), &rest[end + 1..]),
            None => (None, rest),
        };
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                (Some(&rest[..end]), &rest[end..])
            }
            None => (None, rest),
        };
        Ok(Url {
            scheme,
            authority,
            path,
            query,
            fragment,
        })
    }

    /// The authority without a user, cut before the port.
    fn split_authority(&self) -> Option<(&'u str, Option<&'u str>)> {
        let authority = self.authority?;
        let host = authority.rsplit('@').next().unwrap_or(authority);
        let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        Some(match host.rsplit_once(':') {
            Some((host, port)) if is_port(port) => (host, Some(port)),
            _ => (host, None),
        })
    }

    fn host(self) -> Option<&'u str> {
        self.split_authority().map(|(host, _)| host)
    }

    fn port(&self) -> Option<&'u str> {
        self.split_authority()?.1
    }
}

fn split(text: &str, mark: char) -> (&str, Option<&str>) {
    match text.split_once(mark) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

/// Undoes %XX, and + where it stands for a blank.
fn decoded(text: &str, plus_is_blank: bool) -> Result<String, String> {
    let invalid = || format!("{text}: % is not followed by two hexadecimal digits");
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let mut digit = || {
                    rest.next()
                        .and_then(|byte| char::from(byte).to_digit(16))
                        .ok_or_else(invalid)
                };
                bytes.push((digit()? * 16 + digit()?) as u8);
            }
            b'+' if plus_is_blank => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
