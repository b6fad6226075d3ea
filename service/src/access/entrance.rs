//! The one way in: tokens, and what each user may have.

use super::Tokens;
use crate::audit::Audit;
use crate::rates::{Rates, Shares};

/// Who may come in, and how often. Clones share it.
#[derive(Clone, Debug)]
pub struct Entrance {
    tokens: Tokens,
    rates: Rates,
    audit: Audit,
}

impl Entrance {
    /// For those who have one of these tokens, with these shares for each. What they do is noted in the log.
    pub fn new(tokens: Tokens, shares: Shares) -> Entrance {
        Entrance {
            tokens,
            rates: Rates::new(shares),
            audit: Audit::log(),
        }
    }

    /// The same, with what is done noted elsewhere.
    pub fn with_audit(mut self, audit: Audit) -> Entrance {
        self.audit = audit;
        self
    }

    /// Where it is noted what is done.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// The tokens.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Who asked for how much.
    pub fn rates(&self) -> &Rates {
        &self.rates
    }
}

impl From<Tokens> for Entrance {
    fn from(tokens: Tokens) -> Entrance {
        Entrance::new(tokens, Shares::default())
    }
}
