//! How many pixels lie in an inch or a centimetre of the picture.

/// What the numbers of a [`Resolution`] count within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// No length: only their ratio counts.
    None,
    /// Pixels per inch.
    Inch,
    /// Pixels per centimetre.
    Centimetre,
}

/// Pixels per length across and down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resolution {
    /// Across.
    pub x: f64,
    /// Down.
    pub y: f64,
    /// The length.
    pub unit: Unit,
}

impl Resolution {
    /// A resolution of positive finite numbers.
    pub fn new(x: f64, y: f64, unit: Unit) -> Option<Resolution> {
        let sound = |v: f64| v.is_finite() && v > 0.0;
        (sound(x) && sound(y)).then_some(Resolution { x, y, unit })
    }

    /// Of a whole number of pixels per metre, as PNG and BMP have it. Where that stands for a whole
    /// number per inch, it is that number: 11811 a metre are 300 an inch.
    pub fn per_metre(x: u32, y: u32) -> Option<Resolution> {
        let inch = |v: u32| {
            let exact = f64::from(v) * 0.0254;
            let whole = exact.round();
            ((whole / 0.0254).round() == f64::from(v)).then_some(whole)
        };
        match (inch(x), inch(y)) {
            (Some(x), Some(y)) => Resolution::new(x, y, Unit::Inch),
            _ => Resolution::new(f64::from(x) / 100.0, f64::from(y) / 100.0, Unit::Centimetre),
        }
    }

    /// In pixels per metre; none without a length.
    pub fn in_metres(&self) -> Option<(u32, u32)> {
        let scale = match self.unit {
            Unit::None => return None,
            Unit::Inch => 1.0 / 0.0254,
            Unit::Centimetre => 100.0,
        };
        let whole = |v: f64| (v * scale).round().clamp(1.0, f64::from(i32::MAX)) as u32;
        Some((whole(self.x), whole(self.y)))
    }

    /// For a picture whose pixels became so many times as dense across and down.
    pub fn scaled(&self, x: f64, y: f64) -> Option<Resolution> {
        Resolution::new(self.x * x, self.y * y, self.unit)
    }

    /// As JFIF has it: unit, across, down.
    pub fn in_jfif(&self) -> (u8, u16, u16) {
        let whole = |v: f64| v.round().clamp(1.0, 65535.0) as u16;
        let (x, y) = (self.x, self.y);
        match self.unit {
            Unit::Inch => (1, whole(x), whole(y)),
            Unit::Centimetre => {
                // Centimetres hold fewer digits: 118.11 is 300 an inch.
                let near = |v: f64| (v - v.round()).abs() < 1e-6;
                match near(x) && near(y) {
                    true => (2, whole(x), whole(y)),
                    false => (1, whole(x * 2.54), whole(y * 2.54)),
                }
            }
            // A ratio of small whole numbers.
            Unit::None => match x.max(y) <= 65535.0 && x.min(y) >= 1.0 {
                true => (0, whole(x), whole(y)),
                false => (
                    0,
                    whole(1000.0 * x / x.max(y)),
                    whole(1000.0 * y / x.max(y)),
                ),
            },
        }
    }

    /// As EXIF and TIFF have the unit.
    pub fn exif_unit(&self) -> u16 {
        match self.unit {
            Unit::None => 1,
            Unit::Inch => 2,
            Unit::Centimetre => 3,
        }
    }

    /// From EXIF's and TIFF's numbers; the unit of neither means inches.
    pub fn of_exif(x: f64, y: f64, unit: u16) -> Option<Resolution> {
        let unit = match unit {
            1 => Unit::None,
            3 => Unit::Centimetre,
            _ => Unit::Inch,
        };
        Resolution::new(x, y, unit)
    }
}

/// A number as a fraction of two 32-bit numbers.
pub fn fraction(value: f64) -> (u32, u32) {
    for below in [1u32, 10, 100, 10_000, 1_000_000] {
        let above = value * f64::from(below);
        if above > f64::from(u32::MAX) {
            break;
        }
        if (above - above.round()).abs() < 1e-9 * above || below == 1_000_000 {
            return (above.round() as u32, below);
        }
    }
    match value < 4e5 {
        true => ((value * 1e4).round() as u32, 10_000),
        false => (value.min(f64::from(u32::MAX)).round() as u32, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metres_are_inches_where_they_stand_for_them() {
        for dpi in [72u32, 96, 150, 300, 600, 1200] {
            let resolution = Resolution::new(f64::from(dpi), f64::from(dpi), Unit::Inch).unwrap();
            let (x, y) = resolution.in_metres().unwrap();
            assert_eq!(Resolution::per_metre(x, y), Some(resolution));
        }
        let odd = Resolution::per_metre(1000, 1000).unwrap();
        assert_eq!((odd.x, odd.unit), (10.0, Unit::Centimetre));
        assert_eq!(Resolution::per_metre(0, 5), None);
    }

    #[test]
    fn jfif_has_whole_numbers() {
        let of = |x, y, unit| Resolution::new(x, y, unit).unwrap().in_jfif();
        assert_eq!(of(300.0, 299.6, Unit::Inch), (1, 300, 300));
        assert_eq!(of(118.11, 118.11, Unit::Centimetre), (1, 300, 300));
        assert_eq!(of(118.0, 118.0, Unit::Centimetre), (2, 118, 118));
        assert_eq!(of(0.5, 1.0, Unit::None), (0, 500, 1000));
    }

    #[test]
    fn fractions_are_exact_where_they_can_be() {
        assert_eq!(fraction(300.0), (300, 1));
        assert_eq!(fraction(72.5), (725, 10));
        assert_eq!(fraction(118.11), (11811, 100));
        let (a, b) = fraction(100.0 / 3.0);
        assert!((f64::from(a) / f64::from(b) - 100.0 / 3.0).abs() < 1e-6);
    }
}
