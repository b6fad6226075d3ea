//! What members of which groups may do, and what users of a provider are called here.

use serde_json::Value;
use std::collections::HashSet;
use std::fmt::Write as _;

/// Members of some groups, or everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members(Vec<String>);

impl Members {
    /// Names of groups; `*` is everybody whom the provider lets in.
    pub fn of(groups: Vec<String>) -> Members {
        Members(groups)
    }

    /// Whether somebody of these groups is one.
    pub(super) fn has(&self, groups: &HashSet<&str>) -> bool {
        let mut all = self.0.iter();
        all.any(|group| group == "*" || groups.contains(group.as_str()))
    }
}

/// Who may do what: who may see to everything may submit, and who may submit may look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// See to everybody's affairs.
    pub admin: Members,
    /// Look.
    pub read: Members,
    /// Make and change.
    pub submit: Members,
}

impl Roles {
    pub(super) fn nobody(&self) -> bool {
        [&self.admin, &self.read, &self.submit]
            .iter()
            .all(|members| members.0.is_empty())
    }
}

/// The groups of a claim: a list, or one alone.
pub(super) fn groups(claim: Option<&Value>) -> HashSet<&str> {
    match claim {
        Some(Value::String(one)) => HashSet::from([one.as_str()]),
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => HashSet::new(),
    }
}

/// What a user is called here: letters, digits, `-` and `.` stay, all else is `_` and its bytes in hexadecimal, so that two
/// users of a provider are never one here.
pub(super) fn user_name(claim: &str) -> Option<String> {
    let mut name = String::new();
    for (at, byte) in claim.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || byte == b'-' || (byte == b'.' && at > 0);
        match plain {
            true => name.push(byte.into()),
            false => write!(name, "_{byte:02x}").ok()?,
        }
    }
    crate::access::user_name(&name).ok()
}
