//! Flags that say what a job does, the same for `sundog run` and `sundog submit`.

use clap::ValueEnum;
use protocol::{Pages, Size};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// What is done to each image, and what is refused.
#[derive(clap::Args)]
pub struct JobFlags {
    /// Operations in order: 'op(param=value, …) | op …'; without: only convert
    #[arg(short, long, value_name = "PIPELINE")]
    pipeline: Option<String>,
    /// A job file (TOML, YAML or JSON); flags override it
    #[arg(long, value_name = "FILE")]
    pub spec: Option<PathBuf>,
    /// A name for the job
    #[arg(long)]
    name: Option<String>,
    /// jpeg(quality=90,subsampling=420), png(compression=fast), tiff(compression=deflate),
    /// webp(quality=80) or webp(lossless), bmp, pnm; of reductions also txt, csv, npy; default: the input's
    #[arg(long, value_name = "F")]
    format: Option<String>,
    /// How images are spread over ranks [default: auto]
    #[arg(long, value_enum, value_name = "MODE")]
    mode: Option<Mode>,
    /// Largest number of pixels of one image [default: 500 million]
    #[arg(long, value_name = "N", value_parser = count)]
    max_pixels: Option<u64>,
    /// Largest input file, such as 64MiB
    #[arg(long, value_name = "SIZE")]
    max_bytes: Option<Size>,
    /// Longest time for one image, such as 30s, 500ms or 2m
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    timeout: Option<f64>,
    /// Pages or frames of files of several: all, first, or N..M from 1 [default: all]
    #[arg(long, value_name = "PAGES")]
    pages: Option<Pages>,
    /// Make a warning the failure of its image, before anything of it is stored
    #[arg(long)]
    strict: bool,
    /// What outputs are called, such as '{stem}-{ext}.{format}': {dir}, {stem}, {ext}, {name}, {format}, {page}, {index},
    /// {width}, {height}, {hash8}; without {dir} or / in the directory of the input [default: the input's name with the
    /// format's extension]
    #[arg(long, value_name = "TEMPLATE")]
    names: Option<String>,
    /// What happens when two inputs come to the same output [default: refuse]
    #[arg(long, value_enum, value_name = "WHAT")]
    on_clash: Option<OnClash>,
    /// What computes: a graphics device where it is predicted to be faster, the processor, or a graphics device
    /// wherever it can; results are the same bytes [default: auto]
    #[arg(long, value_enum, value_name = "DEVICE")]
    device: Option<Device>,
    /// Metadata that outputs keep [default: all]
    #[arg(long, value_enum, value_name = "WHICH")]
    keep_metadata: Option<KeepMetadata>,
    /// Colours of outputs: keep, srgb, display-p3, or the file of an ICC profile [default: keep]
    #[arg(long, value_name = "WHICH")]
    color: Option<String>,
    /// What lies behind transparent pixels where the format has no alpha: a name or #rrggbb [default: white]
    #[arg(long, value_name = "COLOUR")]
    background: Option<String>,
}

/// How images are spread over ranks.
#[derive(Clone, Copy, ValueEnum)]
pub enum Mode {
    /// Chosen per image
    Auto,
    /// A rank per image
    Images,
    /// All ranks share each image
    Rows,
}

/// What computes.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Device {
    /// Where it is predicted to be faster, a graphics device
    Auto,
    /// The processor
    Cpu,
    /// A graphics device wherever it can
    Gpu,
}

#[derive(Clone, Copy, ValueEnum)]
enum OnClash {
    /// An error before anything is written
    Refuse,
    /// Later ones get numbers
    Number,
}

#[derive(Clone, Copy, ValueEnum)]
enum KeepMetadata {
    /// All, adapted to what was done to the pixels
    All,
    /// None
    None,
    /// The ICC profile alone
    Icc,
    /// What colours mean, and the copyright
    Web,
}

impl JobFlags {
    /// The keys of a job that flags set.
    pub fn flags(&self) -> Vec<(&'static str, Value)> {
        let flags = [
            ("pipeline", self.pipeline.clone().map(Value::from)),
            ("name", self.name.clone().map(Value::from)),
            ("format", self.format.clone().map(Value::from)),
            ("mode", self.mode.map(choice)),
            ("limits.max_pixels", self.max_pixels.map(Value::from)),
            (
                "limits.max_bytes",
                self.max_bytes.map(|v| v.to_string().into()),
            ),
            ("limits.timeout_secs", self.timeout.map(Value::from)),
            ("pages", self.pages.map(|pages| pages.to_string().into())),
            ("strict", self.strict.then_some(true.into())),
            ("names", self.names.clone().map(Value::from)),
            ("on_clash", self.on_clash.map(choice)),
            ("keep_metadata", self.keep_metadata.map(choice)),
            ("schedule.device", self.device.map(choice)),
            ("color", self.color.clone().map(Value::from)),
            ("background", self.background.clone().map(Value::from)),
        ];
        let given = flags.into_iter().filter_map(|(k, v)| Some((k, v?)));
        given.collect()
    }
}

/// The name of a choice, as in a job file.
pub fn choice(value: impl ValueEnum) -> Value {
    let name = value.to_possible_value().map(|v| v.get_name().to_owned());
    name.map_or(Value::Null, Value::String)
}

/// A whole number; underscores may group its digits.
fn count(text: &str) -> Result<u64, String> {
    let digits = text.replace('_', "");
    digits.parse().map_err(|_| "not a whole number".into())
}

/// A time with its unit; seconds without.
/// A time in seconds, as people write it.
pub fn seconds(text: &str) -> Result<f64, String> {
    let units = [
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
        ("d", 86400.0),
        ("", 1.0),
    ];
    let found = units
        .iter()
        .find_map(|(u, scale)| Some((text.strip_suffix(u)?, scale)));
    let (number, scale) = found.unwrap_or((text, &1.0));
    match number.trim().parse::<f64>() {
        Ok(v) if v > 0.0 && v.is_finite() => Ok(v * scale),
        _ => Err("not a time above 0, such as 30s, 500ms or 2m".into()),
    }
}

/// The life of a link: from a second to the seven days that object stores allow.
pub fn life(text: &str) -> Result<Duration, String> {
    let secs = seconds(text)?;
    match (1.0..=7.0 * 86400.0).contains(&secs) {
        true => Ok(Duration::from_secs(secs as u64)),
        false => Err("a link lives from 1s to 7d".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(seconds("30"), Ok(30.0));
        assert_eq!(seconds("30s"), Ok(30.0));
        assert_eq!(seconds("500ms"), Ok(0.5));
        assert_eq!(seconds("2m"), Ok(120.0));
        for wrong in ["", "0", "-1s", "soon", "inf"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn links_live_at_most_a_week() {
        assert_eq!(life("2h"), Ok(Duration::from_secs(7200)));
        assert_eq!(life("7d"), Ok(Duration::from_secs(7 * 86400)));
        assert!(life("8d").is_err() && life("10ms").is_err());
    }
}
