//! Which output each input comes to, and that no two come to the same.

use super::{Probed, Target};
use crate::atomic;
use crate::inputs::Input;
use crate::names::{self, Facts, Wish};
use crate::settings::Settings;
use crate::task::OutputFile;
use imaging::{Error, Result};
use protocol::job::OnClash;
use protocol::name;
use rayon::prelude::*;
use std::collections::HashMap;
use std::path::PathBuf;

/// Clashes that are told of at once.
const LISTED: usize = 3;

/// The outputs of each input, as far as its header could be read.
pub(super) fn of(
    inputs: &[Input],
    probed: &[Result<Probed>],
    target: &Target,
    settings: &Settings,
) -> Vec<Result<Vec<OutputFile>>> {
    let template = settings.names.as_ref();
    let needs_hash = template.is_some_and(names::Template::needs_hash);
    let outputs = |(index, (input, probed)): (usize, (&Input, &Result<Probed>))| {
        let image = probed.as_ref().map_err(Clone::clone)?;
        let directory = match target {
            Target::File(path) => return Ok(image.files(&name::to_text(path))),
            Target::Directory(path) => path,
        };
        let sha256 = match needs_hash {
            true => atomic::digest_file(&input.path)?.sha256,
            false => String::new(),
        };
        let relative = name::to_text(&input.relative);
        let files = image.selection.outputs.iter().map(|pages| {
            let facts = facts(index, &relative, image, pages[0], &sha256);
            let name = names::name(template, &facts).map_err(Error::Pipeline)?;
            Ok(OutputFile {
                output: name::to_text(&directory.join(name::to_path(&name))),
                pages: pages.clone(),
            })
        });
        files.collect()
    };
    let all = inputs.par_iter().zip(probed).enumerate();
    all.map(outputs).collect()
}

fn facts<'a>(
    index: usize,
    relative: &'a str,
    image: &Probed,
    page: u32,
    sha256: &'a str,
) -> Facts<'a> {
    let size = image.picture(page).map(|picture| picture.plan.output);
    Facts {
        relative,
        own: image.kind,
        format: image.format.kind(),
        index: index as u64 + 1,
        page: image.selection.numbered.then_some(page + 1),
        size: size.map_or((0, 0), |size| (size.cols, size.rows)),
        sha256,
    }
}

/// Gives each output to one input. Errors name both inputs of a clash and what mends it.
pub(super) fn settle(
    outputs: &mut [Result<Vec<OutputFile>>],
    inputs: &[Input],
    probed: &[Result<Probed>],
    on_clash: OnClash,
) -> Result<()> {
    let (mut wishes, mut places) = (Vec::new(), Vec::new());
    for (input, files) in outputs.iter().enumerate() {
        let own = inputs[input].path.file_name();
        for (number, file) in files.iter().flatten().enumerate() {
            places.push((input, number));
            wishes.push(Wish {
                input,
                keeps_name: name::to_path(&file.output).file_name() == own,
                output: file.output.clone(),
            });
        }
    }
    if on_clash == OnClash::Number {
        names::number(&mut wishes);
        for (wish, (input, number)) in wishes.into_iter().zip(places) {
            if let Ok(files) = &mut outputs[input] {
                files[number].output = wish.output;
            }
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
        let page = image.pictures.first()?.page;
        Some(facts(input, relative, image, page, ""))
    };
    let way_out = match (of(first.owner, &owner), of(first.other, &other)) {
        (Some(owner), Some(other)) => names::mending(&owner, &other),
        _ => "give --on-clash number".into(),
    };
    Err(Error::Pipeline(format!(
        "{text} ({way_out}; nothing was written)"
    )))
}

/// Whether all outputs of an input are there.
pub(super) fn exist(files: &[OutputFile]) -> bool {
    (files.iter()).all(|file| name::to_path(&file.output).exists())
}

/// Inputs by where they really lie, if any output is there already.
pub(super) fn originals(
    inputs: &[Input],
    outputs: &[Result<Vec<OutputFile>>],
) -> HashMap<PathBuf, PathBuf> {
    let exists = |file: &OutputFile| name::to_path(&file.output).exists();
    if !(outputs.par_iter()).any(|files| files.iter().flatten().any(exists)) {
        return HashMap::new();
    }
    let real = |input: &Input| Some((input.path.canonicalize().ok()?, input.path.clone()));
    inputs.par_iter().filter_map(real).collect()
}

/// Refuses an output in the place of an input.
pub(super) fn check(
    files: &[OutputFile],
    input: &Input,
    originals: &HashMap<PathBuf, PathBuf>,
) -> Result<()> {
    if originals.is_empty() {
        return Ok(());
    }
    let real = |file: &OutputFile| name::to_path(&file.output).canonicalize().ok();
    let mut replaced = files.iter().filter_map(|file| originals.get(&real(file)?));
    let what = match replaced.next() {
        None => return Ok(()),
        Some(replaced) if *replaced == input.path => "this input".to_owned(),
        Some(replaced) => format!("{}, another input", name::to_text(replaced)),
    };
    Err(Error::Io(format!(
        "the output would replace {what} (give another -o, so that the original stays)"
    )))
}
