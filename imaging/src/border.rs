//! What lies beyond an image's edge.

/// The rule that gives samples outside the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// `dcb|abcd|cba`: mirrored without repeating the edge.
    Reflect101,
    /// `cba|abcd|dcb`: mirrored with the edge repeated.
    Reflect,
    /// `aaa|abcd|ddd`: the edge continued.
    Replicate,
    /// Every sample outside is zero.
    Constant,
}

impl Border {
    /// The names in pipelines.
    pub const NAMES: &'static [&'static str] = &["reflect101", "reflect", "replicate", "constant"];

    /// The rule of that name; `None` for any other text.
    pub fn from_name(name: &str) -> Option<Border> {
        Some(match name {
            "reflect101" => Border::Reflect101,
            "reflect" => Border::Reflect,
            "replicate" => Border::Replicate,
            "constant" => Border::Constant,
            _ => return None,
        })
    }

    /// The index inside `0..n` that stands for index `i`; `None` where the rule gives a constant.
    /// `n` must be at least 1.
    pub fn index(self, i: isize, n: usize) -> Option<usize> {
        let len = n as isize;
        if (0..len).contains(&i) {
            return Some(i as usize);
        }
        let mapped = match self {
            Border::Constant => return None,
            Border::Replicate => i.clamp(0, len - 1),
            Border::Reflect => {
                let at = i.rem_euclid(2 * len);
                if at < len { at } else { 2 * len - 1 - at }
            }
            Border::Reflect101 if len == 1 => 0,
            Border::Reflect101 => {
                let at = i.rem_euclid(2 * len - 2);
                if at < len { at } else { 2 * len - 2 - at }
            }
        };
        Some(mapped as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(border: Border, n: usize) -> Vec<Option<usize>> {
        (-4..n as isize + 4).map(|i| border.index(i, n)).collect()
    }

    #[test]
    fn borders_follow_their_pictures() {
        let some = |v: &[usize]| v.iter().map(|&i| Some(i)).collect::<Vec<_>>();
        assert_eq!(
            row(Border::Reflect101, 3),
            some(&[0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2])
        );
        assert_eq!(
            row(Border::Reflect, 3),
            some(&[2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0])
        );
        assert_eq!(
            row(Border::Replicate, 2),
            some(&[0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
        );
        assert_eq!(row(Border::Constant, 1)[3..6], [None, Some(0), None]);
        assert!((-9..9).all(|i| Border::Reflect101.index(i, 1) == Some(0)));
    }
}
