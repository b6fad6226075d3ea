//! How a job names the colours of its outputs; a profile's file becomes part of the job, so that whoever does the
//! work needs no file, and a job that comes from elsewhere cannot name one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use imaging::color::Choice;
use imaging::{Error, Result};
use protocol::job::Job;
use std::path::Path;

const INLINE: &str = "icc:";
/// Largest profile that is read from a file.
const MOST: u64 = 4 << 20;

/// Colours as a job names them.
pub fn choice(job: &Job) -> Result<Choice> {
    match job.color.as_deref() {
        None | Some("keep") => Ok(Choice::Keep),
        Some("srgb") => Ok(Choice::Srgb),
        Some("display-p3") => Ok(Choice::DisplayP3),
        Some(text) => match text.strip_prefix(INLINE) {
            Some(coded) => match STANDARD.decode(coded) {
                Ok(icc) => Choice::profile(icc).map_err(|error| wrong("the profile", error)),
                Err(_) => Err(Error::Pipeline("color: the profile is no base64".into())),
            },
            None => Err(Error::Pipeline(format!(
                "color: `{text}` is none of keep, srgb, display-p3 (and no file of a profile here)"
            ))),
        },
    }
}

/// Puts the profile that a job names by its file into the job.
pub fn embed(job: &mut Job) -> Result<()> {
    let Some(name) = &job.color else {
        return Ok(());
    };
    if matches!(name.as_str(), "keep" | "srgb" | "display-p3") || name.starts_with(INLINE) {
        return Ok(());
    }
    let path = Path::new(name);
    let read = || -> std::io::Result<Vec<u8>> {
        match path.metadata()?.len() {
            0..=MOST => std::fs::read(path),
            more => Err(std::io::Error::other(format!(
                "{more} bytes are too many for a profile, {MOST} at most"
            ))),
        }
    };
    let icc = read().map_err(|error| {
        Error::Pipeline(format!(
            "color: `{name}` is none of keep, srgb, display-p3, and as a file: {error}"
        ))
    })?;
    let coded = format!("{INLINE}{}", STANDARD.encode(&icc));
    Choice::profile(icc).map_err(|error| wrong(name, error))?;
    job.color = Some(coded);
    Ok(())
}

fn wrong(name: &str, error: Error) -> Error {
    Error::Pipeline(format!("color: {name} {error}"))
}

/// The colour behind transparent pixels in 16 bits; none: white.
pub fn background(job: &Job) -> Result<Option<[u16; 3]>> {
    let Some(text) = &job.background else {
        return Ok(None);
    };
    match imaging::color::parse(text) {
        Ok(rgb) => Ok(Some(rgb.map(|v| u16::from(v) * 257))),
        Err(wrong) => Err(Error::Pipeline(format!("`{text}` {wrong}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(color: &str) -> Job {
        Job {
            color: Some(color.into()),
            ..Job::default()
        }
    }

    #[test]
    fn a_profile_travels_in_the_job() {
        let dir = std::env::temp_dir().join(format!("sundog-color-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("p.icc");
        let name = path.to_string_lossy().into_owned();
        let icc = imaging::color::display_p3();
        std::fs::write(&path, &icc).unwrap();
        let mut named = job(&name);
        assert!(
            choice(&named)
                .unwrap_err()
                .to_string()
                .contains("none of keep")
        );
        embed(&mut named).unwrap();
        assert!(named.color.as_deref().unwrap().starts_with("icc:"));
        assert_eq!(choice(&named).unwrap(), Choice::profile(icc).unwrap());
        std::fs::write(&path, b"no profile").unwrap();
        let error = embed(&mut job(&name)).unwrap_err().to_string();
        assert!(error.ends_with("p.icc is no ICC profile"), "{error}");
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(
            embed(&mut job(&name))
                .unwrap_err()
                .to_string()
                .contains("as a file")
        );
    }

    #[test]
    fn colours_have_names() {
        for (name, wanted) in [
            ("keep", Choice::Keep),
            ("srgb", Choice::Srgb),
            ("display-p3", Choice::DisplayP3),
        ] {
            let mut named = job(name);
            embed(&mut named).unwrap();
            assert_eq!(choice(&named).unwrap(), wanted);
        }
        let mut job = Job::default();
        assert_eq!(background(&job).unwrap(), None);
        job.background = Some("#ff8000".into());
        assert_eq!(background(&job).unwrap(), Some([65535, 128 * 257, 0]));
        job.background = Some("blu".into());
        assert!(
            background(&job)
                .unwrap_err()
                .to_string()
                .contains("`blu` is no colour")
        );
    }
}
