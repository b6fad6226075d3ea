//! The one way in: tokens, and what each user may have.

use super::oidc::Oidc;
use super::{Tokens, User, shown};
use crate::audit::Audit;
use crate::problem::Problem;
use crate::rates::{Rates, Shares};
use http::HeaderMap;

/// Who may come in, and how often. Clones share it.
#[derive(Clone, Debug)]
pub struct Entrance {
    tokens: Tokens,
    oidc: Option<Oidc>,
    rates: Rates,
    audit: Audit,
}

impl Entrance {
    /// For those who have one of these tokens, with these shares for each. What they do is noted in the log.
    pub fn new(tokens: Tokens, shares: Shares) -> Entrance {
        Entrance {
            tokens,
            oidc: None,
            rates: Rates::new(shares),
            audit: Audit::log(),
        }
    }

    /// The same, with what is done noted elsewhere.
    pub fn with_audit(mut self, audit: Audit) -> Entrance {
        self.audit = audit;
        self
    }

    /// The same, for those too who sign in at a provider.
    pub fn with_oidc(mut self, oidc: Option<Oidc>) -> Entrance {
        self.oidc = oidc;
        self
    }

    /// The provider where people sign in, if there is one.
    pub fn oidc(&self) -> Option<&Oidc> {
        self.oidc.as_ref()
    }

    /// Whose request this is, by its header.
    pub async fn who(&self, headers: &HeaderMap) -> Result<User, Problem> {
        if let Some(oidc) = &self.oidc
            && let Some(token) = shown(headers)?
            && Oidc::is_token(token)
        {
            return oidc.user(token).await;
        }
        self.tokens.of(headers)
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
