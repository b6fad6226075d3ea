//! erode, dilate and what is made of them: open, close, morph_gradient, top_hat, black_hat.

use crate::error::Result;
use crate::kernels::extremum::Extremum;
use crate::kernels::morphology_difference::Difference;
use crate::op::{ALPHA, Args, Channels, Group, Op, Param, Step};

const SHAPES: &[&str] = &["rect", "ellipse", "cross"];

const PARAMS: &[Param] = &[
    Param::int(
        "radius",
        0..=500,
        1,
        "the element is 2 radius + 1 pixels wide and high",
    ),
    Param::word("shape", SHAPES, "the element's shape"),
    Param::int(
        "iterations",
        1..=100,
        1,
        "how often each erosion and dilation is repeated",
    ),
    ALPHA,
];

const fn op(
    name: &'static str,
    about: &'static str,
    example: &'static str,
    build: fn(&Args) -> Result<Vec<Step>>,
) -> Op {
    Op {
        name,
        about,
        params: PARAMS,
        example,
        group: Group::Morphology,
        channels: Channels::Each,
        build,
    }
}

/// The least sample under the element.
pub static ERODE: Op = op(
    "erode",
    "Takes the least sample under the element; outside the image counts as nothing.",
    "erode(radius=2)",
    |args| Ok(steps(erosions(args))),
);

/// The greatest sample under the element.
pub static DILATE: Op = op(
    "dilate",
    "Takes the greatest sample under the element; outside the image counts as nothing.",
    "dilate(radius=3, shape=ellipse)",
    |args| Ok(steps(dilations(args))),
);

/// Erosion, then dilation.
pub static OPEN: Op = op(
    "open",
    "Erodes, then dilates: bright spots smaller than the element vanish.",
    "open(radius=2, shape=cross, iterations=2)",
    |args| Ok(steps([erosions(args), dilations(args)].concat())),
);

/// Dilation, then erosion.
pub static CLOSE: Op = op(
    "close",
    "Dilates, then erodes: dark spots smaller than the element vanish.",
    "close(radius=9)",
    |args| Ok(steps([dilations(args), erosions(args)].concat())),
);

/// Dilation minus erosion.
pub static GRADIENT: Op = op(
    "morph_gradient",
    "Dilation minus erosion: outlines.",
    "morph_gradient(radius=2, shape=ellipse)",
    |args| difference(dilations(args), erosions(args)),
);

/// Source minus opening.
pub static TOP_HAT: Op = op(
    "top_hat",
    "The source minus its opening: bright spots smaller than the element.",
    "top_hat(radius=4, shape=ellipse, iterations=2)",
    |args| difference(Vec::new(), [erosions(args), dilations(args)].concat()),
);

/// Closing minus source.
pub static BLACK_HAT: Op = op(
    "black_hat",
    "The closing minus the source: dark spots smaller than the element.",
    "black_hat(radius=2, iterations=3)",
    |args| difference([dilations(args), erosions(args)].concat(), Vec::new()),
);

fn erosions(args: &Args) -> Vec<Extremum> {
    repeated(args, false)
}

fn dilations(args: &Args) -> Vec<Extremum> {
    repeated(args, true)
}

fn steps(passes: Vec<Extremum>) -> Vec<Step> {
    passes.into_iter().map(Step::local).collect()
}

fn difference(plus: Vec<Extremum>, minus: Vec<Extremum>) -> Result<Vec<Step>> {
    Ok(vec![Step::local(Difference::new(plus, minus))])
}

/// All passes of an erosion or dilation. A repeated rectangle is one larger rectangle.
fn repeated(args: &Args, greatest: bool) -> Vec<Extremum> {
    let (radius, iterations) = (args.size("radius"), args.size("iterations"));
    if radius == 0 {
        return Vec::new();
    }
    let (halves, passes) = match args.word("shape") {
        "rect" => {
            let radius = radius * iterations;
            (vec![radius; radius + 1], 1)
        }
        "cross" => {
            let cross = (0..=radius).map(|dy| if dy == 0 { radius } else { 0 });
            (cross.collect(), iterations)
        }
        _ => (ellipse(radius), iterations),
    };
    vec![Extremum::new(&halves, greatest); passes]
}

/// Half-width of the disc's row at each distance from its centre, rounded half to even.
fn ellipse(radius: usize) -> Vec<usize> {
    let r = radius as f64;
    let half = |dy: usize| {
        let dy = dy as f64;
        (r * libm::sqrt((r * r - dy * dy) * (1.0 / (r * r)))).round_ties_even() as usize
    };
    (0..=radius).map(half).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_discs_are_the_usual_ones() {
        assert_eq!(ellipse(1), [1, 0]);
        assert_eq!(ellipse(2), [2, 2, 0]);
        assert_eq!(ellipse(3), [3, 3, 2, 0]);
        assert_eq!(ellipse(4), [4, 4, 3, 3, 0]);
    }

    #[test]
    fn rows_of_a_disc_never_grow_outwards() {
        for radius in 1..=500 {
            assert!(ellipse(radius).windows(2).all(|w| w[0] >= w[1]));
        }
    }
}
