//! Connections that are of no use, and whether the next one would be of any.

use super::super::super::wire::bytes::Garbled;
use super::super::super::wire::connection::Cut;

/// Why a connection is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Useless {
    /// In words.
    pub reason: String,
    /// Why the next one would be of no use either, if it would not.
    pub lasting: Option<Lasting>,
}

/// Why no connection to a broker is of any use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    /// It cannot be trusted, or does not trust this client.
    Untrusted,
    /// It refuses the login.
    Login,
}

impl From<String> for Useless {
    fn from(reason: String) -> Self {
        Useless {
            reason,
            lasting: None,
        }
    }
}

impl From<&str> for Useless {
    fn from(reason: &str) -> Self {
        reason.to_owned().into()
    }
}

impl From<Garbled> for Useless {
    fn from(garbled: Garbled) -> Self {
        garbled.to_string().into()
    }
}

impl From<Cut> for Useless {
    fn from(cut: Cut) -> Self {
        Useless {
            lasting: matches!(cut, Cut::Untrusted(_)).then_some(Lasting::Untrusted),
            reason: cut.to_string(),
        }
    }
}
