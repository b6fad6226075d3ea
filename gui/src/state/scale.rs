//! The scale of numbers: sliders that are logarithmic, and lengths that shrink with a picture.

use imaging::op::{Group, Kind, Value};
use imaging::pipeline::Pipeline;

/// Whether a slider for that range should be logarithmic: its ends are some powers of ten apart and neither is 0 or below.
pub fn logarithmic(kind: &Kind) -> bool {
    let wide = |min: f64, max: f64| min > 0.0 && max / min >= 100.0;
    match kind {
        Kind::Int { min, max, .. } => wide(*min as f64, *max as f64),
        Kind::Float { min, max, .. } => wide(*min, *max),
        _ => false,
    }
}

/// The pipeline for an image whose sides are `scale` of the real ones: lengths in pixels shrink with it, as far as the
/// registry says that a parameter is one.
pub fn scaled(pipeline: &Pipeline, scale: f64) -> Pipeline {
    let mut scaled = pipeline.clone();
    for call in &mut scaled.calls {
        for ((_, value), param) in call.args.0.iter_mut().zip(call.op.params) {
            let sizes = call.op.group == Group::Geometry && matches!(param.kind, Kind::Int { .. });
            if !sizes && !param.about.contains("pixel") {
                continue;
            }
            match (value, &param.kind) {
                (Value::Int(v), Kind::Int { min, max, .. }) if *v != 0 => {
                    *v = ((*v as f64 * scale).round() as i64).clamp(*min, *max);
                }
                (Value::Float(v), Kind::Float { min, max, .. }) => {
                    *v = (*v * scale).clamp(*min, *max);
                }
                _ => {}
            }
        }
    }
    scaled
}

#[cfg(test)]
mod tests {
    use super::*;
    use imaging::ops;

    #[test]
    fn lengths_shrink_with_the_picture() {
        let pipeline =
            Pipeline::parse("gaussian(sigma=8) | median(radius=8) | gamma(gamma=2)").unwrap();
        let text = scaled(&pipeline, 0.25).to_string();
        assert!(
            text.starts_with("gaussian(sigma=2) | median(radius=2) | gamma"),
            "{text}"
        );
        assert!(logarithmic(&ops::find("gaussian").unwrap().params[0].kind));
    }
}
