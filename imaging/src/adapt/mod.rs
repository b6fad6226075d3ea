//! What the planner puts around steps for images that kernels do not know: bands, 64-bit floats, floats
//! beyond 0..1, and colours that are to be weighted by alpha.
//!
//! A kernel is written for gray and colour of 8 bits, 16 bits and floats. Here it is made to fit, so that no operation
//! says more than what it is.

mod bands;
mod narrow;
pub mod span;
mod weighted;

pub use narrow::Narrow;
pub use weighted::Weighted;

use crate::error::{Error, Result};
use crate::image::{Color, SampleType, Shape};
use crate::op::{Collective, Local, Measured};
use std::sync::Arc;

/// One band of an image of bands.
pub fn plane(shape: Shape) -> Shape {
    Shape {
        color: Color::Gray,
        ..shape
    }
}

/// Steps that do on an image of that shape what `local` says, each fit for what it gets.
pub fn local(local: &Arc<dyn Local>, input: Shape) -> Vec<Arc<dyn Local>> {
    if input.sample == SampleType::F64 && !local.takes_f64() {
        return vec![Arc::new(Narrow), local.clone()];
    }
    if let Some(steps) = local.parts(input) {
        return steps;
    }
    match input.color.bands() {
        Some(_) if !local.takes_bands() => {
            vec![Arc::new(bands::EachLocal::all(local.clone()))]
        }
        _ => vec![local.clone()],
    }
}

/// `measured` made fit for images of that shape, whose samples are not F64 unless it takes them.
pub fn measured(measured: &Arc<dyn Measured>, input: Shape) -> Arc<dyn Measured> {
    let spanned: Arc<dyn Measured> = match input.sample.is_float() && measured.spans() {
        true => Arc::new(span::Spanned(measured.clone())),
        false => measured.clone(),
    };
    match input.color.bands() {
        Some(count) => Arc::new(bands::EachMeasured::all(spanned, count)),
        None => spanned,
    }
}

/// `collective` made fit for images of that shape.
pub fn collective(collective: &Arc<dyn Collective>, input: Shape) -> Arc<dyn Collective> {
    let spanned: Arc<dyn Collective> = match input.sample.is_float() && collective.spans() {
        true => Arc::new(span::SpannedCollective(collective.clone())),
        false => collective.clone(),
    };
    match input.color.bands() {
        Some(_) if !collective.takes_bands() => Arc::new(bands::EachCollective(spanned)),
        _ => spanned,
    }
}

/// The error of a step that knows gray and colours only.
pub fn no_colors(name: &str, shape: Shape) -> Error {
    let channels = shape.channels();
    let example = match channels {
        1 | 2 => "1",
        _ => "1, 2, 3",
    };
    Error::Unsuitable(format!(
        "`{name}` needs gray or colour, and the image has {channels} bands (choose before it: select(bands=[{example}]))"
    ))
}

/// Goes before the steps of an operation that mixes channels: refuses bands, and is dropped from all other plans.
pub struct Colors {
    /// The operation's name.
    pub name: &'static str,
}

impl Local for Colors {
    fn output(&self, input: Shape) -> Result<Shape> {
        match input.color.bands() {
            Some(_) => Err(no_colors(self.name, input)),
            None => Ok(input),
        }
    }

    fn is_identity(&self, _input: Shape) -> bool {
        true
    }

    fn takes_bands(&self) -> bool {
        true
    }

    fn takes_f64(&self) -> bool {
        true
    }

    fn apply(
        &self,
        _input: &crate::window::Window<'_>,
        _out: &mut crate::window::Band<'_>,
        _scratch: &mut crate::window::Scratch,
    ) {
        unreachable!("the planner drops it")
    }
}
