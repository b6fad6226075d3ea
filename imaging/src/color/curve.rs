//! Tone curves of profiles, evaluated the same on every machine.

use moxcms::ToneReprCurve;

/// From a device's value to light, both 0..=1.
#[derive(Clone, Debug, PartialEq)]
pub enum Curve {
    /// The same.
    Identity,
    /// Values at even distances, with straight lines between them.
    Table(Vec<f64>),
    /// `(a x + b)^g + e` from `d` on, `c x + f` below (ICC.1:2022, 10.18).
    Formula([f64; 7]),
}

impl Curve {
    /// As a profile has it; none for one that is not sound.
    pub fn of(curve: &ToneReprCurve) -> Option<Curve> {
        match curve {
            ToneReprCurve::Lut(values) => match values[..] {
                [] => Some(Curve::Identity),
                [gamma] => Some(Curve::gamma(f64::from(gamma) / 256.0)),
                _ => {
                    let values = values.iter().map(|&v| f64::from(v) / 65535.0);
                    Some(Curve::Table(values.collect()))
                }
            },
            ToneReprCurve::Parametric(values) => {
                let v: Vec<f64> = values.iter().map(|&v| f64::from(v)).collect();
                Some(Curve::Formula(match v[..] {
                    [g] => [g, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
                    [g, a, b] => [g, a, b, 0.0, -b / a, 0.0, 0.0],
                    [g, a, b, c] => [g, a, b, 0.0, -b / a, c, c],
                    [g, a, b, c, d] => [g, a, b, c, d, 0.0, 0.0],
                    [g, a, b, c, d, e, f] => [g, a, b, c, d, e, f],
                    _ => return None,
                }))
            }
        }
    }

    /// A plain power.
    pub fn gamma(g: f64) -> Curve {
        Curve::Formula([g, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    }

    /// The light of a value.
    pub fn at(&self, x: f64) -> f64 {
        let x = if x.is_nan() { 0.0 } else { x.clamp(0.0, 1.0) };
        match self {
            Curve::Identity => x,
            Curve::Table(values) => {
                let place = x * (values.len() - 1) as f64;
                let below = (place as usize).min(values.len() - 2);
                let part = place - below as f64;
                values[below] * (1.0 - part) + values[below + 1] * part
            }
            Curve::Formula([g, a, b, c, d, e, f]) => {
                let y = match x < *d {
                    true => c * x + f,
                    false => libm::pow((a * x + b).max(0.0), *g) + e,
                };
                if y.is_nan() { 0.0 } else { y.clamp(0.0, 1.0) }
            }
        }
    }

    /// Whether both give nearly the same light.
    pub fn is_near(&self, other: &Curve) -> bool {
        (0..=64).all(|k| {
            let x = f64::from(k) / 64.0;
            (self.at(x) - other.at(x)).abs() < 0.002
        })
    }
}

/// Steps of light in an [`Encoder`].
const STEPS: usize = 65536;

/// From light to a device's value.
#[derive(Clone, Debug)]
pub struct Encoder(Vec<f32>);

impl Encoder {
    /// Undoes a curve that rises; where it is flat, the least value is taken.
    pub fn of(curve: &Curve) -> Encoder {
        let forward: Vec<f64> = (0..=STEPS)
            .map(|k| curve.at(k as f64 / STEPS as f64))
            .collect();
        let mut at = 0;
        let inverse = |k: usize| {
            let light = k as f64 / STEPS as f64;
            while at < STEPS && forward[at + 1] < light {
                at += 1;
            }
            if at >= STEPS {
                return 1.0;
            }
            let (low, high) = (forward[at], forward[at + 1]);
            let part = match high > low {
                true => ((light - low) / (high - low)).clamp(0.0, 1.0),
                false => 0.0,
            };
            ((at as f64 + part) / STEPS as f64) as f32
        };
        Encoder((0..=STEPS).map(inverse).collect())
    }

    /// Bytes held.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        4 * self.0.len()
    }

    /// The value for some light.
    #[inline(always)]
    pub fn at(&self, light: f32) -> f32 {
        // What is no number becomes 0.
        let light = if light > 0.0 { light.min(1.0) } else { 0.0 };
        let place = light * STEPS as f32;
        let below = (place as usize).min(STEPS - 1);
        let part = place - below as f32;
        let (low, high) = (self.0[below], self.0[below + 1]);
        low + (high - low) * part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoders_undo_curves() {
        let curves = [
            Curve::Identity,
            Curve::gamma(1.8),
            Curve::Formula([
                2.4,
                1.0 / 1.055,
                0.055 / 1.055,
                1.0 / 12.92,
                0.04045,
                0.0,
                0.0,
            ]),
            Curve::Table(vec![0.0, 0.1, 0.3, 1.0]),
        ];
        for curve in curves {
            let encoder = Encoder::of(&curve);
            for k in 0..=255 {
                let x = f64::from(k) / 255.0;
                let back = encoder.at(curve.at(x) as f32);
                assert!((f64::from(back) - x).abs() < 0.0015, "{curve:?} {k} {back}");
            }
            assert_eq!((encoder.at(1.0), encoder.at(-1.0)), (1.0, 0.0));
        }
        assert_eq!(Curve::gamma(2.0).at(f64::NAN), 0.0);
    }
}
