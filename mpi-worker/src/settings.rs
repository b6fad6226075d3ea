//! A job's settings, parsed once: pipeline, format, limits.

use crate::atomic::Pending;
use crate::color;
use crate::names::Template;
use crate::task::told;
use imaging::codec::{Format, Header, KeepMetadata, Limits, RowSource, orientation};
use imaging::color::{self as colors, manage};
use imaging::gpu::Choice;
use imaging::metadata::{self, Change};
use imaging::{Error, Limit, Metadata, Pipeline, Plan, Result, Shape, Stored, WarningKind};
use protocol::job::{self, Job};
use protocol::{Pages, Warning};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

/// What every task of a job needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The operations.
    pub pipeline: Pipeline,
    /// The output's format; `None`: the input's.
    pub format: Option<Format>,
    /// Bounds on one image.
    pub limits: Limits,
    /// Which metadata goes into the outputs.
    pub keep: KeepMetadata,
    /// Which pages or frames of a file.
    pub pages: Pages,
    /// Whether a warning is a failure.
    pub strict: bool,
    /// What outputs are called.
    pub names: Option<Template>,
    /// Colours of the outputs.
    pub color: colors::Choice,
    /// The colour, in 16 bits, behind transparent pixels where the output has no alpha; none: white.
    pub background: Option<[u16; 3]>,
    /// Outputs get the times of their inputs.
    pub keep_times: bool,
    /// Outputs get the permissions of their inputs.
    pub keep_mode: bool,
    /// Longest time for one image.
    pub timeout: Option<Duration>,
    /// Cap for the whole process tree, in bytes.
    pub memory: Option<u64>,
    /// Outputs are read and removed soon, and need not outlive a loss of power.
    pub scratch: bool,
    /// Whether images may go to a graphics device.
    pub device: Choice,
    /// Name of this machine, for receipts.
    pub node: String,
}

impl Settings {
    /// Parses the parts of a job. Errors name the operation, parameter or option.
    pub fn of(job: &Job) -> Result<Settings> {
        let defaults = Limits::default();
        let limits = Limits {
            max_pixels: job.limits.max_pixels,
            max_bytes: job
                .limits
                .max_bytes
                .map_or(defaults.max_bytes, |size| size.0),
            ..defaults
        };
        let timeout = match job.limits.timeout_secs {
            None => None,
            Some(secs) => Some(Duration::try_from_secs_f64(secs).map_err(|_| {
                Error::Pipeline(format!(
                    "timeout_secs = {secs} is no time (give seconds above 0)"
                ))
            })?),
        };
        Ok(Settings {
            pipeline: Pipeline::from_json(&job.pipeline.to_value())?,
            // A reduction writes numbers, too, and looks at it itself.
            format: match &job.reduce {
                Some(_) => None,
                None => job.format.as_deref().map(Format::parse).transpose()?,
            },
            limits,
            keep: match job.keep_metadata {
                job::KeepMetadata::All => KeepMetadata::All,
                job::KeepMetadata::None => KeepMetadata::None,
                job::KeepMetadata::Icc => KeepMetadata::Icc,
                job::KeepMetadata::Web => KeepMetadata::Web,
            },
            pages: job.pages,
            strict: job.strict,
            names: (job.names.as_deref().map(Template::parse).transpose())
                .map_err(|wrong| Error::Pipeline(format!("names: {wrong}")))?,
            color: color::choice(job)?,
            background: color::background(job)?,
            keep_times: job.keep_times,
            keep_mode: job.keep_mode,
            timeout,
            memory: job.limits.memory.map(|size| size.0),
            scratch: false,
            device: match job.schedule.device {
                job::Device::Auto => Choice::Auto,
                job::Device::Cpu => Choice::Cpu,
                job::Device::Gpu => Choice::Gpu,
            },
            node: node_name(),
        })
    }

    /// The format of the output of an image with that header.
    pub fn format_for(&self, header: &Header) -> Format {
        self.format.clone().unwrap_or_else(|| Format::like(header))
    }

    /// Opens an output, which is never more readable than its input.
    pub fn pending(&self, output: &Path, input: &Path) -> std::io::Result<Pending> {
        let mut pending = match self.scratch {
            true => Pending::scratch(output),
            false => Pending::create(output),
        }?;
        pending.follow(input, self.keep_times, self.keep_mode)?;
        Ok(pending)
    }

    /// The decoder's colours as the output gets them.
    pub fn manage(
        &self,
        source: Box<dyn RowSource>,
        plan: &Plan,
        format: &Format,
    ) -> Result<Box<dyn RowSource>> {
        let stored = format.stored(plan.output).color;
        manage(source, stored, format.kind(), &self.color, self.keep)
    }

    /// The metadata that an output gets, and what of it could not be kept.
    pub fn carried(
        &self,
        metadata: &Metadata,
        change: &Change,
        format: &Format,
        plan: &Plan,
    ) -> (Metadata, Vec<Warning>) {
        let mut warnings = self.units(metadata.stored, format, plan.output);
        let (mut metadata, noted) =
            metadata::for_output(metadata, change, self.keep, format.kind());
        metadata.background = self.background;
        warnings.extend(plan.warnings.iter().chain(&noted).map(told));
        if !self.pipeline.keeps_units() {
            metadata.stored = None;
        }
        (metadata, warnings)
    }

    /// What becomes of samples that were stored in a type of their own.
    pub fn units(&self, stored: Option<Stored>, format: &Format, output: Shape) -> Vec<Warning> {
        if let Some(narrowed) = format.narrowed(output) {
            let (from, to) = (output.sample.bits(), narrowed.bits());
            let (name, color) = (format.kind().name(), output.color.name());
            return Vec::from([told(&imaging::Warning::new(
                WarningKind::Converted,
                format!(
                    "{from}-bit samples became {to}-bit ones: {name} is written with {color} of {to} bits alone (png and tiff keep them)"
                ),
            ))]);
        }
        // Fewer bits are spread over the range of their carrier, which loses nothing.
        let Some(stored) = stored.filter(|s| !matches!(s, Stored::Unsigned(..=16))) else {
            return Vec::new();
        };
        let because = match self.pipeline.leaves_units() {
            Some(op) => op,
            None if format.keeps_stored() => return Vec::new(),
            None => format.kind().name(),
        };
        let became = match Stored::of(format.stored(output).sample) {
            Stored::Float(bits) => format!("{bits}-bit floats"),
            Stored::Unsigned(bits) | Stored::Signed(bits) => format!("{bits}-bit integers"),
        };
        Vec::from([told(&imaging::Warning::new(
            WarningKind::Converted,
            format!("{stored} samples became {became} ({because})"),
        ))])
    }

    /// Refuses what is only warned of, where the job is strict.
    pub fn tolerate(&self, warnings: &[Warning]) -> Result<()> {
        let Some(first) = warnings.first().filter(|_| self.strict) else {
            return Ok(());
        };
        let more = match warnings.len() {
            1 => String::new(),
            n => format!("; and {} more", n - 1),
        };
        Err(Error::Unsuitable(format!(
            "{}{more} (a warning is a failure with --strict)",
            first.text
        )))
    }

    /// The plan for an image, and by how much its decoder may shrink it.
    pub fn plan(&self, header: &Header) -> Result<(Plan, u32)> {
        let turns = orientation::steps(header.orientation);
        let upright = Plan::from_steps(&turns, header.shape)?.output;
        let shrink = match header.kind.codec().shrinks {
            true => Plan::decode_shrink(&self.pipeline, upright) as u32,
            false => 1,
        };
        let stored = header.shrunk(shrink);
        let reduced = Plan::from_steps(&turns, stored)?.output;
        let mut steps = turns;
        steps.extend(Plan::shrunk_steps(&self.pipeline, upright, reduced)?);
        let plan = Plan::from_steps(&steps, stored)?;
        self.check_size(&plan)?;
        Ok((plan, shrink))
    }

    /// An output must obey the limit of an input: resize and pad can ask for anything.
    fn check_size(&self, plan: &Plan) -> Result<()> {
        let stages = plan.stages.iter();
        let shapes = stages.flat_map(|s| s.segment.shapes.iter().chain([&s.segment.input]));
        for shape in shapes {
            let pixels = shape.rows as u64 * shape.cols as u64;
            if pixels > self.limits.max_pixels {
                return Err(Limit::Pixels.exceeded(format!(
                    "the pipeline makes {} x {} pixels, more than --max-pixels {} (raise it to {pixels})",
                    shape.cols, shape.rows, self.limits.max_pixels
                )));
            }
        }
        Ok(())
    }
}

/// The name of this machine.
pub fn node_name() -> String {
    static NAME: LazyLock<String> = LazyLock::new(|| {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        match name.trim() {
            "" => "localhost".into(),
            name => name.into(),
        }
    });
    NAME.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use imaging::codec::FormatKind;
    use imaging::{Color, SampleType};

    #[test]
    fn what_becomes_of_samples_of_their_own_type_is_told() {
        let told = |pipeline: &str, format: FormatKind, stored| {
            let job = Job {
                pipeline: pipeline.into(),
                ..Job::default()
            };
            let settings = Settings::of(&job).unwrap();
            let shape = Shape::new(2, 2, Color::Gray, SampleType::F32);
            let warnings = settings.units(Some(stored), &Format::of(format), shape);
            warnings.into_iter().map(|warning| warning.text).next()
        };
        let int16 = Stored::Signed(16);
        assert_eq!(
            told("autocontrast", FormatKind::Tiff, int16).as_deref(),
            Some("int16 samples became 32-bit floats (autocontrast)")
        );
        assert_eq!(told("gaussian(sigma=1)", FormatKind::Tiff, int16), None);
        assert_eq!(
            told("gaussian(sigma=1)", FormatKind::Png, int16).as_deref(),
            Some("int16 samples became 16-bit integers (png)")
        );
        let packed = Stored::Unsigned(12);
        assert_eq!(told("autocontrast", FormatKind::Png, packed), None);
        // A format that has such samples, but not with alpha.
        let settings = Settings::of(&Job::default()).unwrap();
        let shape = Shape::new(2, 2, Color::Rgba, SampleType::U16);
        let units = |kind| settings.units(None, &Format::of(kind), shape);
        let warnings = units(FormatKind::Jxl);
        assert!(
            warnings[0]
                .text
                .contains("jxl is written with rgba of 8 bits alone"),
            "{warnings:?}"
        );
        assert!(units(FormatKind::Png).is_empty());
    }
}
