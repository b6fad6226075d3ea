//! Which output each input comes to, and that no two come to the same.

use super::{Probed, Target};
use crate::atomic;
use crate::inputs::Input;
use crate::names::{self, Facts, Wish};
use crate::settings::Settings;
use imaging::{Error, Result};
use protocol::job::OnClash;
use protocol::name;
use rayon::prelude::*;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Clashes that are told of at once.
const LISTED: usize = 3;

/// The output of each input, as far as its header could be read.
pub(super) fn of(
    inputs: &[Input],
    probed: &[Result<Probed>],
    target: &Target,
    settings: &Settings,
) -> Vec<Result<PathBuf>> {
    let directory = match target {
        Target::File(path) => return inputs.iter().map(|_| Ok(path.clone())).collect(),
        Target::Directory(path) => path,
    };
    let template = settings.names.as_ref();
    let needs_hash = template.is_some_and(names::Template::needs_hash);
    let output = |(index, (input, probed)): (usize, (&Input, &Result<Probed>))| {
        let image = probed.as_ref().map_err(Clone::clone)?;
        let sha256 = match needs_hash {
            true => atomic::digest_file(&input.path)?.sha256,
            false => String::new(),
        };
        let relative = name::to_text(&input.relative);
        let facts = facts(index, &relative, image, &sha256);
        let name = names::name(template, &facts).map_err(Error::Pipeline)?;
        Ok(directory.join(name::to_path(&name)))
    };
    let all = inputs.par_iter().zip(probed).enumerate();
    all.map(output).collect()
}

fn facts<'a>(index: usize, relative: &'a str, image: &Probed, sha256: &'a str) -> Facts<'a> {
    Facts {
        relative,
        own: image.header.kind,
        format: image.format.kind(),
        index: index as u64 + 1,
        page: None,
        size: (image.plan.output.cols, image.plan.output.rows),
        sha256,
    }
}

/// Gives each output to one input. Errors name both inputs of a clash and what mends it.
pub(super) fn settle(
    outputs: &mut [Result<PathBuf>],
    inputs: &[Input],
    probed: &[Result<Probed>],
    on_clash: OnClash,
) -> Result<()> {
    let wishes = outputs.iter().enumerate().filter_map(|(input, output)| {
        let output = output.as_ref().ok()?;
        Some(Wish {
            input,
            keeps_name: output.file_name() == inputs[input].path.file_name(),
            output: name::to_text(output),
        })
    });
    let mut wishes: Vec<Wish> = wishes.collect();
    if on_clash == OnClash::Number {
        names::number(&mut wishes);
        for wish in wishes {
            outputs[wish.input] = Ok(name::to_path(&wish.output));
        }
        return Ok(());
    }
    let clashes = names::clashes(&wishes);
    let Some(first) = clashes.first() else {
        return Ok(());
    };
    let shown = |input: usize| name::to_text(&inputs[input].path);
    let listed = clashes.iter().take(LISTED).map(|clash| {
        let output = &wishes[clash.wish].output;
        let (owner, other) = (shown(clash.owner), shown(clash.other));
        format!("{owner} and {other} would both be {output}")
    });
    let mut text = listed.collect::<Vec<_>>().join("; ");
    if clashes.len() > LISTED {
        text += &format!("; and {} more", clashes.len() - LISTED);
    }
    let relative = |input: usize| name::to_text(&inputs[input].relative);
    let (owner, other) = (relative(first.owner), relative(first.other));
    let of = |input: usize, relative| {
        let image = probed[input].as_ref().ok()?;
        Some(facts(input, relative, image, ""))
    };
    let way_out = match (of(first.owner, &owner), of(first.other, &other)) {
        (Some(owner), Some(other)) => names::mending(&owner, &other),
        _ => "give --on-clash number".into(),
    };
    Err(Error::Pipeline(format!(
        "{text} ({way_out}; nothing was written)"
    )))
}

/// Inputs by where they really lie, if any output is there already.
pub(super) fn originals(
    inputs: &[Input],
    outputs: &[Result<PathBuf>],
) -> HashMap<PathBuf, PathBuf> {
    let exists = |output: &Result<PathBuf>| output.as_ref().is_ok_and(|output| output.exists());
    if !outputs.par_iter().any(exists) {
        return HashMap::new();
    }
    let real = |input: &Input| Some((input.path.canonicalize().ok()?, input.path.clone()));
    inputs.par_iter().filter_map(real).collect()
}

/// Refuses an output in the place of an input.
pub(super) fn check(
    output: &Path,
    input: &Input,
    originals: &HashMap<PathBuf, PathBuf>,
) -> Result<()> {
    if originals.is_empty() {
        return Ok(());
    }
    let real = output.canonicalize().ok();
    let replaced = real.and_then(|real| originals.get(&real));
    let what = match replaced {
        None => return Ok(()),
        Some(replaced) if *replaced == input.path => "this input".to_owned(),
        Some(replaced) => format!("{}, another input", name::to_text(replaced)),
    };
    Err(Error::Io(format!(
        "the output would replace {what} (give another -o, so that the original stays)"
    )))
}
