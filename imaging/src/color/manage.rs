//! Which colours an output gets, and with which profile: between a decoder and what follows.

use super::build::{self, counterpart};
use super::profile::{Space, Way, space_of};
use super::transform::{TABLES_BYTES, Transform, cached};
use crate::codec::{Format, FormatKind, Header, KeepMetadata, RowSource, parallel};
use crate::error::{Error, Result};
use crate::image::{Color, Metadata, Shape};
use crate::metadata::Coding;
use crate::warning::{Warning, WarningKind};
use crate::window::Band;
use std::sync::Arc;

/// The colours of outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Those of the input, as far as the format can say them.
    #[default]
    Keep,
    /// sRGB.
    Srgb,
    /// Display P3.
    DisplayP3,
    /// Those of a profile.
    Profile(Arc<Vec<u8>>),
}

impl Choice {
    /// Of a profile's bytes; an error unless colours can be written in it.
    pub fn profile(icc: Vec<u8>) -> Result<Choice> {
        let space = space_of(&icc);
        let way = match space {
            Some(Space::Rgb | Space::Gray) => Way::of(&icc),
            _ => None,
        };
        match (space, way) {
            (None, _) => Err(Error::Pipeline("is no ICC profile".into())),
            (_, Some(Way::Matrix(..) | Way::Gray(_))) => Ok(Choice::Profile(Arc::new(icc))),
            (_, Some(Way::Lut(lut))) if lut.back.is_some() => Ok(Choice::Profile(Arc::new(icc))),
            (Some(Space::Rgb | Space::Gray), _) => Err(Error::Pipeline(
                "is a profile for reading alone: it has no tables to its colours (give one that has, or one of primaries and curves)"
                    .into(),
            )),
            (Some(space), _) => Err(Error::Pipeline(format!(
                "is a profile for {} colours (give one for RGB)",
                space.name()
            ))),
        }
    }

    fn target(&self) -> Option<Vec<u8>> {
        match self {
            Choice::Keep => None,
            Choice::Srgb => Some(build::srgb()),
            Choice::DisplayP3 => Some(build::display_p3()),
            Choice::Profile(icc) => Some(icc.to_vec()),
        }
    }
}

/// Whether files of that kind hold an ICC profile.
pub fn holds_profile(kind: FormatKind) -> bool {
    Format::of(kind).keeps().icc
}

/// Bytes of the tables by which the colours of an image with that header may have to be converted. They are made once for
/// all images of a process that need the same.
pub fn tables_bytes(header: &Header, kind: FormatKind, choice: &Choice) -> usize {
    let may = match choice {
        Choice::Keep => header.has_icc && !holds_profile(kind),
        Choice::Srgb => header.has_icc,
        Choice::DisplayP3 | Choice::Profile(_) => true,
    };
    match may && header.shape.color.bands().is_none() {
        true => TABLES_BYTES,
        false => 0,
    }
}

/// A decoder whose colours are those that the output gets, with the profile that fits what is written: gray
/// or RGB as `stored` is.
pub fn manage(
    source: Box<dyn RowSource>,
    stored: Color,
    kind: FormatKind,
    choice: &Choice,
    keep: KeepMetadata,
) -> Result<Box<dyn RowSource>> {
    let shape = source.shape();
    let mut metadata = source.metadata().clone();
    let mut warnings = source.warnings().to_vec();
    let mut warn = |text: String| warnings.push(Warning::new(WarningKind::Color, text));
    let transform = plan(&mut metadata, shape, stored, kind, choice, keep, &mut warn);
    if transform.is_none() && metadata == *source.metadata() && warnings == source.warnings() {
        return Ok(source);
    }
    Ok(Box::new(Managed {
        told: source.warnings().len(),
        source,
        metadata,
        warnings,
        transform,
    }))
}

/// Puts the profile of the output in the place of the input's.
fn plan(
    metadata: &mut Metadata,
    shape: Shape,
    stored: Color,
    kind: FormatKind,
    choice: &Choice,
    keep: KeepMetadata,
    warn: &mut dyn FnMut(String),
) -> Option<Arc<Transform>> {
    let data = |color: Color| color.bands().is_some();
    if data(shape.color) || shape.sample == crate::SampleType::F64 {
        // Data have no colours; what is chosen of them neither.
        if !data(stored)
            && metadata
                .icc
                .as_deref()
                .is_some_and(|icc| !fits(icc, stored))
        {
            metadata.icc = None;
            warn("the colour profile does not fit the bands chosen and was left out".into());
        }
        return None;
    }
    if data(stored) {
        return None;
    }
    let mut wanted = choice.target();
    let gray = shape.color.is_gray() || stored.is_gray();
    if let Some(target) = &wanted
        && gray
        && matches!(Way::of(target), Some(Way::Lut(_)))
    {
        warn("the profile chosen is one of tables for RGB, which gray images cannot have: their colours were kept".into());
        wanted = None;
    }
    // A profile that fits goes on as it is, whatever is in it.
    let carried = |icc: &Vec<u8>| fits(icc, shape.color) && fits(icc, stored);
    let coded = metadata.coding.cicp.is_some() && kind != FormatKind::Png;
    if wanted.is_none()
        && holds_profile(kind)
        && !coded
        && metadata.icc.as_ref().is_some_and(carried)
    {
        return None;
    }
    let input = input_profile(metadata, kind, shape.color.is_gray(), warn);
    if wanted.is_none() && !keep.keeps_color() {
        return None;
    }
    let mut target = wanted.clone();
    if target.is_none() && holds_profile(kind) {
        let Some(icc) = &input else {
            return None;
        };
        match counterpart(icc, stored.is_gray()) {
            Some(fitting) => {
                if metadata.icc.is_some() || kind != FormatKind::Png {
                    metadata.icc = Some(fitting);
                }
                return None;
            }
            None => {
                warn(
                    "the colour profile fits no gray image: colours were converted to sRGB".into(),
                );
                target = Some(build::srgb());
            }
        }
    }
    // A format without profiles is taken for sRGB.
    let target = target.unwrap_or_else(build::srgb);
    let to = Way::of(&target)?;
    let from = match &input {
        None => Way::srgb(),
        Some(icc) => Way::of(icc)?,
    };
    let changes = !from.is_near(&to);
    if changes || wanted.is_some() {
        let tagged = input.is_some() || changes;
        metadata.icc = (tagged && holds_profile(kind))
            .then(|| counterpart(&target, stored.is_gray()))
            .flatten();
        metadata.coding = Coding::default();
    }
    if !changes {
        return None;
    }
    if let Some(exif) = metadata.exif.take() {
        let srgb = Way::srgb().is_near(&to);
        metadata.exif = Some(crate::codec::exif::with_color_space(exif, srgb));
    }
    if wanted.is_none() && !holds_profile(kind) {
        let name = kind.name();
        warn(format!(
            "{name} holds no colour profile: colours were converted to sRGB"
        ));
    }
    let gray = shape.color.is_gray();
    cached(input.as_deref().unwrap_or(b""), &target, gray, || {
        Transform::new(&from, &to, gray)
    })
}

fn fits(icc: &[u8], color: Color) -> bool {
    match space_of(icc) {
        Some(Space::Gray) => color.is_gray(),
        Some(Space::Rgb) => !color.is_gray(),
        _ => false,
    }
}

/// The profile of the decoded pixels: the file's, or one made of what a PNG says. What cannot be used is
/// taken out of the metadata with a warning.
fn input_profile(
    metadata: &mut Metadata,
    kind: FormatKind,
    gray: bool,
    warn: &mut dyn FnMut(String),
) -> Option<Vec<u8>> {
    let coding = metadata.coding;
    if let Some(code) = coding.cicp {
        if let Some(icc) = build::of_cicp(code) {
            return Some(icc).filter(|icc| *icc != build::srgb());
        }
        if kind != FormatKind::Png && metadata.icc.is_none() {
            warn(format!(
                "code points {}/{} of the colours have no profile and were left out",
                code[0], code[1]
            ));
        }
    }
    if let Some(icc) = &metadata.icc {
        let usable = match space_of(icc) {
            Some(Space::Gray | Space::Rgb) => Way::of(icc).is_some(),
            _ => false,
        };
        if usable {
            // A file's gray pixels with a profile for RGB, and the other way round.
            return match fits(icc, if gray { Color::Gray } else { Color::Rgb }) {
                true => Some(icc.clone()),
                false => {
                    let fitting = counterpart(icc, gray);
                    if fitting.is_none() {
                        warn("the colour profile does not fit the file's own pixels and was left out".into());
                        metadata.icc = None;
                    }
                    fitting
                }
            };
        }
        let space = space_of(icc).map_or("unknown", Space::name);
        warn(format!(
            "a colour profile for {space} colours that says nothing of these pixels was left out"
        ));
        metadata.icc = None;
        return None;
    }
    match (coding.srgb, coding.gamma) {
        (Some(_), _) => None,
        // What sRGB's writers give beside it, and what programs take for sRGB.
        (None, Some(45_455)) if coding.chromaticities.is_none() => None,
        (None, Some(gamma)) => build::of_gamma(gamma, coding.chromaticities)
            .filter(|icc| !Way::of(icc).is_some_and(|way| way.is_near(&Way::srgb()))),
        _ => None,
    }
}

struct Managed {
    source: Box<dyn RowSource>,
    metadata: Metadata,
    /// The source's when it was opened, and those about colours.
    warnings: Vec<Warning>,
    /// How many of them are the source's.
    told: usize,
    transform: Option<Arc<Transform>>,
}

impl RowSource for Managed {
    fn shape(&self) -> Shape {
        self.source.shape()
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn read(&mut self, band: &mut Band<'_>) -> Result<()> {
        self.source.read(band)?;
        for warning in &self.source.warnings()[self.told..] {
            self.warnings.push(warning.clone());
            self.told += 1;
        }
        let Some(transform) = &self.transform else {
            return Ok(());
        };
        let (channels, rows) = (band.shape.channels(), band.range());
        let step = rows.len().div_ceil(2 * parallel::threads()).max(1);
        let mut parts = Vec::new();
        let mut rest = band.part(rows.clone());
        while rest.count > 0 {
            let count = step.min(rest.count);
            let (part, after) = rest.split(count);
            parts.push(part);
            rest = after;
        }
        parallel::map(parts, |_, part: Band<'_>| {
            transform.apply(part.data, channels)
        });
        Ok(())
    }

    fn release(&mut self) {
        self.source.release();
    }

    fn seek_row(&mut self, row: usize) -> Result<bool> {
        self.source.seek_row(row)
    }

    fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}
