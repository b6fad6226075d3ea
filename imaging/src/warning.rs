//! What is told of an image that was made all the same.

/// What a warning is about: what a reader of many filters by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WarningKind {
    /// The file breaks its format's rules; all pixels are there.
    Damaged,
    /// Metadata were unreadable, cut, or could not be carried over.
    Metadata,
    /// Pages, frames or layers that the output does not have.
    Dropped,
    /// Samples changed their type or lost precision.
    Converted,
    /// Samples beyond what the output can hold were clipped.
    Range,
    /// A colour profile was replaced, converted or dropped.
    Color,
}

impl WarningKind {
    /// All of them.
    pub const ALL: [WarningKind; 6] = [
        WarningKind::Damaged,
        WarningKind::Metadata,
        WarningKind::Dropped,
        WarningKind::Converted,
        WarningKind::Range,
        WarningKind::Color,
    ];

    /// The name in events and receipts.
    pub fn name(self) -> &'static str {
        match self {
            WarningKind::Damaged => "damaged",
            WarningKind::Metadata => "metadata",
            WarningKind::Dropped => "dropped",
            WarningKind::Converted => "converted",
            WarningKind::Range => "range",
            WarningKind::Color => "color",
        }
    }
}

/// Something about an image that its owner should know and that did not stop it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What it is about.
    pub kind: WarningKind,
    /// What happened, with its numbers, and the way out where there is one.
    pub text: String,
}

impl Warning {
    /// A warning of that kind.
    pub fn new(kind: WarningKind, text: impl Into<String>) -> Warning {
        Warning {
            kind,
            text: text.into(),
        }
    }
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}
