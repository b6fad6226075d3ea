//! Presets: job files without inputs, shipped with the program or kept in the user's configuration.

use crate::state::job::to_toml;
use protocol::Job;
use std::path::{Path, PathBuf};

/// A preset.
#[derive(Clone, Debug)]
pub struct Preset {
    /// Its name.
    pub name: String,
    /// Whether it is the user's own.
    pub own: bool,
    /// Pipeline and format; the rest is left as it is.
    pub job: Job,
}

/// The presets that are shipped.
const SHIPPED: [&str; 10] = [
    include_str!("../presets/web-photo.toml"),
    include_str!("../presets/thumbnails.toml"),
    include_str!("../presets/low-light.toml"),
    include_str!("../presets/crisp.toml"),
    include_str!("../presets/document.toml"),
    include_str!("../presets/black-and-white.toml"),
    include_str!("../presets/sepia.toml"),
    include_str!("../presets/edges.toml"),
    include_str!("../presets/microscopy.toml"),
    include_str!("../presets/archive-png.toml"),
];

/// All presets.
#[derive(Debug, Default)]
pub struct Presets {
    /// The shipped ones, then the user's.
    pub all: Vec<Preset>,
    folder: Option<PathBuf>,
}

impl Presets {
    /// The shipped ones and those of a folder.
    pub fn load(folder: Option<PathBuf>) -> Presets {
        let shipped = SHIPPED.iter().filter_map(|text| {
            let file = worker::jobfile::parse::<Job>("preset.toml", (*text).to_owned());
            let job = file.ok()?.typed;
            let name = job.name.clone();
            Some(Preset {
                name,
                own: false,
                job,
            })
        });
        let mut all: Vec<Preset> = shipped.collect();
        all.extend(folder.as_deref().map(own).unwrap_or_default());
        Presets { all, folder }
    }

    /// Keeps a preset of the user's; the same name again replaces it.
    pub fn keep(&mut self, name: &str, mut job: Job) -> Result<PathBuf, String> {
        let name = name.trim();
        if name.is_empty() {
            return Err("give the preset a name".into());
        }
        let folder = self
            .folder
            .as_ref()
            .ok_or("there is no folder for presets (set HOME or XDG_CONFIG_HOME)")?;
        let letter = |c: char| {
            if c.is_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        };
        let path = folder.join(format!(
            "{}.toml",
            name.chars().map(letter).collect::<String>()
        ));
        job.name = name.to_owned();
        let text = to_toml(&job)?;
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, text))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        self.all.retain(|preset| !preset.own || preset.name != name);
        self.all.push(Preset {
            name: name.to_owned(),
            own: true,
            job,
        });
        Ok(path)
    }
}

fn own(folder: &Path) -> Vec<Preset> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    let preset = |path: PathBuf| {
        let job = worker::jobfile::read::<Job>(&path).ok()?.typed;
        let name = match job.name.is_empty() {
            true => path.file_stem()?.to_string_lossy().into_owned(),
            false => job.name.clone(),
        };
        Some(Preset {
            name,
            own: true,
            job,
        })
    };
    paths.into_iter().filter_map(preset).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use imaging::Pipeline;
    use imaging::codec::Format;

    #[test]
    fn the_shipped_ones_are_sound() {
        let presets = Presets::load(None);
        assert_eq!(presets.all.len(), SHIPPED.len());
        for preset in &presets.all {
            let pipeline = Pipeline::from_json(&preset.job.pipeline.to_value());
            assert!(
                pipeline.is_ok_and(|p| !p.calls.is_empty() || preset.job.format.is_some()),
                "{}",
                preset.name
            );
            let format = preset.job.format.as_deref().map(Format::parse);
            assert!(format.is_none_or(|f| f.is_ok()), "{}", preset.name);
            assert!(!preset.name.is_empty());
        }
    }

    #[test]
    fn own_ones_are_kept_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let mut presets = Presets::load(Some(folder.path().into()));
        let job = |text: &str| Job {
            pipeline: text.into(),
            ..Job::default()
        };
        assert!(presets.keep(" ", job("invert")).is_err());
        presets.keep("My look", job("invert")).unwrap();
        presets.keep("My look", job("sepia")).unwrap();
        let again = Presets::load(Some(folder.path().into()));
        assert_eq!(again.all.len(), SHIPPED.len() + 1);
        let last = again.all.last().unwrap();
        assert_eq!((last.name.as_str(), last.own), ("My look", true));
        assert_eq!(last.job.pipeline, "sepia".into());
    }
}
