//! Metadata for an output: what is kept, changed as the pixels were.

use super::affine::Affine;
use super::{Resolution, Unit, fit, xmp};
use crate::codec::{FormatKind, KeepMetadata, exif};
use crate::image::{Metadata, Shape};
use crate::plan::Plan;
use crate::warning::{Warning, WarningKind};

/// What became of an image on its way from a file to another.
#[derive(Clone, Debug)]
pub struct Change {
    /// Size of the image in its file.
    pub from: (usize, usize),
    /// Shape of the output.
    pub to: Shape,
    /// Where the output's pixels lay in the file's image, as far as that can be said.
    pub geometry: Option<Affine>,
}

impl Change {
    /// By a plan for an image of which `stored` is the shape in its file and which its decoder shrinks by `shrink`.
    pub fn of(stored: Shape, plan: &Plan, shrink: u32) -> Change {
        let shrink = f64::from(shrink.max(1));
        let larger = Affine {
            m: [[shrink, 0.0, 0.0], [0.0, shrink, 0.0]],
        };
        Change {
            from: (stored.cols, stored.rows),
            to: plan.output,
            geometry: plan.geometry().map(|geometry| geometry.then(&larger)),
        }
    }

    fn resizes(&self) -> bool {
        self.from != (self.to.cols, self.to.rows)
    }
}

/// What of `metadata` goes into an output of that kind, with what could not.
pub fn for_output(
    metadata: &Metadata,
    change: &Change,
    keep: KeepMetadata,
    kind: FormatKind,
) -> (Metadata, Vec<Warning>) {
    let mut warnings = Vec::new();
    let mut warn = |text: String| warnings.push(Warning::new(WarningKind::Metadata, text));
    let mut new = keep.filter(metadata);
    if metadata.exif.is_some() && new.exif.is_none() && keep == KeepMetadata::All {
        warn("the EXIF block is woven around its thumbnail and was left out with it".into());
    }
    new.resolution = new.resolution.and_then(|r| resolution(r, change));
    if let Some(geo) = new.geo.take() {
        new.geo = change.geometry.and_then(|g| geo.adapted(&g)).map(Box::new);
        if new.geo.is_none() {
            warn("the pipeline keeps no rows and columns: GeoTIFF tags were left out".into());
        }
    }
    if let Some(text) = new.exif.as_deref().and_then(exif::description) {
        match description(&text, change) {
            Some(same) if same == text => {}
            Some(other) => new.exif = Some(exif::with_text(new.exif, 270, &other)),
            None => {
                warn("the description names another size than the output's: left out".into());
                new.exif = Some(exif::with_text(new.exif, 270, ""));
            }
        }
    }
    let new = sized(new, change.to);
    (fit(new, kind, &mut warnings), warnings)
}

/// With the sizes that EXIF and XMP name those of `shape`.
pub fn sized(mut metadata: Metadata, shape: Shape) -> Metadata {
    let resolution = metadata.resolution;
    metadata.exif = (metadata.exif)
        .map(|block| exif::adapted(block, (shape.cols, shape.rows), resolution.as_ref()));
    metadata.xmp = (metadata.xmp).map(|packet| xmp::adapted(&packet, shape.cols, shape.rows));
    metadata
}

/// The picture stays as large on paper.
fn resolution(old: Resolution, change: &Change) -> Option<Resolution> {
    let Some(geometry) = change.geometry else {
        return (!change.resizes()).then_some(old);
    };
    let turned = match geometry.swaps() {
        true => Resolution {
            x: old.y,
            y: old.x,
            ..old
        },
        false => old,
    };
    let (x, y) = geometry.steps();
    match old.unit {
        // Only the ratio counts.
        Unit::None if x == y => Some(turned),
        Unit::None => turned.scaled(1.0, x / y),
        _ => turned.scaled(1.0 / x, 1.0 / y),
    }
}

/// A description with the sizes that programs read from it changed; `None` where they cannot be.
fn description(text: &str, change: &Change) -> Option<String> {
    if text.contains("<OME") && text.matches("<Pixels").count() == 1 {
        let mut new = xmp::set(text, "SizeX", &change.to.cols.to_string());
        new = xmp::set(&new, "SizeY", &change.to.rows.to_string());
        let steps = change.geometry.map(|g| (g.steps(), g.swaps()));
        if let Some(((x, y), swaps)) = steps {
            let read = |name: &str| -> Option<f64> { xmp::get(text, name)?.parse().ok() };
            let (across, down) = (read("PhysicalSizeX"), read("PhysicalSizeY"));
            let (across, down) = if swaps {
                (down, across)
            } else {
                (across, down)
            };
            let sizes = [("PhysicalSizeX", across, x), ("PhysicalSizeY", down, y)];
            for (name, size, step) in sizes {
                if let Some(size) = size.filter(|_| step != 1.0 || swaps) {
                    new = xmp::set(&new, name, &(size * step).to_string());
                }
            }
        }
        return Some(new);
    }
    if text.starts_with("{\"shape\":") && change.resizes() {
        let mut value: serde_json::Value = serde_json::from_str(text).ok()?;
        let shape = value.get_mut("shape")?.as_array_mut()?;
        let sizes = shape.get_mut(..2).filter(|s| {
            (s[0].as_u64(), s[1].as_u64())
                == (Some(change.from.1 as u64), Some(change.from.0 as u64))
        })?;
        sizes[0] = change.to.rows.into();
        sizes[1] = change.to.cols.into();
        return Some(value.to_string());
    }
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Color, SampleType};
    use crate::metadata::Geo;
    use crate::pipeline::Pipeline;

    fn change(text: &str) -> Change {
        let shape = Shape::new(20, 30, Color::Gray, SampleType::U8);
        let plan = Plan::new(&Pipeline::parse(text).unwrap(), shape).unwrap();
        Change::of(shape, &plan, 1)
    }

    fn with(text: &str, metadata: &Metadata) -> (Metadata, Vec<Warning>) {
        for_output(metadata, &change(text), KeepMetadata::All, FormatKind::Tiff)
    }

    #[test]
    fn the_picture_stays_as_large_on_paper() {
        let metadata = Metadata {
            resolution: Resolution::new(300.0, 150.0, Unit::Inch),
            ..Metadata::default()
        };
        let dpi = |text: &str| {
            let r = with(text, &metadata).0.resolution.unwrap();
            (r.x, r.y)
        };
        assert_eq!(
            dpi("gaussian(sigma=1) | crop(width=10, height=10)"),
            (300.0, 150.0)
        );
        assert_eq!(dpi("resize(width=15)"), (150.0, 75.0));
        assert_eq!(dpi("resize(width=60, height=20)"), (600.0, 150.0));
        assert_eq!(dpi("rotate(degrees=90)"), (150.0, 300.0));
        assert_eq!(
            dpi("thumbnail(size=15) | rotate(degrees=270) | invert"),
            (75.0, 150.0)
        );
    }

    #[test]
    fn pixels_stay_where_they_are_on_the_ground() {
        let metadata = Metadata {
            geo: Some(Box::new(Geo {
                scale: Some([10.0, 10.0, 0.0]),
                ties: vec![[0.0, 0.0, 0.0, 500_000.0, 6_000_000.0, 0.0]],
                ..Geo::default()
            })),
            ..Metadata::default()
        };
        let text =
            "median(radius=1) | crop(x=4, y=2, width=20, height=10) | otsu | resize(width=10)";
        let (new, warnings) = with(text, &metadata);
        let geo = new.geo.unwrap();
        assert_eq!(geo.scale, Some([20.0, 20.0, 0.0]));
        assert_eq!(geo.ties[0][3..5], [500_040.0, 5_999_980.0]);
        assert_eq!(warnings, []);
        let (new, warnings) = with("rotate(degrees=30)", &metadata);
        assert_eq!((new.geo, warnings.len()), (None, 1));
        assert_eq!(warnings[0].kind, WarningKind::Metadata);
        let (new, _) = with("pad(left=2, top=1)", &metadata);
        assert_eq!(new.geo.unwrap().ties[0][3..5], [499_980.0, 6_000_010.0]);
    }

    #[test]
    fn descriptions_name_the_new_size() {
        let ome = r#"<OME><Image><Pixels SizeX="30" SizeY="20" PhysicalSizeX="0.5" PhysicalSizeY="0.25"/></Image></OME>"#;
        let of = |text: &str, pipeline: &str| {
            let metadata = Metadata {
                exif: Some(exif::with_text(None, 270, text)),
                ..Metadata::default()
            };
            let (new, warnings) = with(pipeline, &metadata);
            (exif::description(&new.exif.unwrap()), warnings.len())
        };
        let half = r#"<OME><Image><Pixels SizeX="15" SizeY="10" PhysicalSizeX="1" PhysicalSizeY="0.5"/></Image></OME>"#;
        assert_eq!(of(ome, "resize(width=15)"), (Some(half.into()), 0));
        assert_eq!(of(ome, "invert"), (Some(ome.into()), 0));
        let json = r#"{"shape": [20, 30]}"#;
        assert_eq!(of(json, "invert"), (Some(json.into()), 0));
        let cut = "crop(width=7, height=5)";
        assert_eq!(of(json, cut), (Some(r#"{"shape":[5,7]}"#.into()), 0));
        assert_eq!(of(r#"{"shape": [3, 20, 30]}"#, cut), (None, 1));
    }
}
