//! What is remembered from one start to the next: theme, text size, window, output, format.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What is remembered. Unknown keys of a later program are passed over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remembered {
    /// The theme; none: the system's.
    pub dark: Option<bool>,
    /// The size of text.
    pub zoom: Option<f32>,
    /// Width and height of the window.
    pub size: Option<(f32, f32)>,
    /// Where results went.
    pub output: String,
    /// The format with its options.
    pub format: String,
    /// Whether histograms are shown.
    pub histograms: Option<bool>,
}

/// The user's folder for the program's own files.
pub fn folder() -> Option<PathBuf> {
    let variable = |name| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    let config = variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")));
    Some(config?.join("sundog"))
}

impl Remembered {
    /// What was remembered last; nothing where there is no such file or it cannot be read.
    pub fn load(path: Option<PathBuf>) -> Remembered {
        let text = path.and_then(|path| std::fs::read(path).ok());
        text.and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    /// Remembers; that this fails is no reason not to close.
    pub fn store(&self, path: PathBuf) {
        let written = serde_json::to_vec_pretty(self).map_err(std::io::Error::other);
        let stored = written.and_then(|bytes| {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(path, bytes)
        });
        drop(stored);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sundog/window.json");
        assert_eq!(Remembered::load(Some(path.clone())), Remembered::default());
        let kept = Remembered {
            dark: Some(true),
            size: Some((1280.0, 800.0)),
            output: "/out".into(),
            ..Remembered::default()
        };
        kept.store(path.clone());
        assert_eq!(Remembered::load(Some(path.clone())), kept);
        std::fs::write(&path, "{broken").unwrap();
        assert_eq!(Remembered::load(Some(path)), Remembered::default());
    }
}
