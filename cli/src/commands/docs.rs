//! `sundog docs`: reference pages, made from the lists of operations and formats so that they cannot drift.

use super::ops::{default, range};
use crate::output;
use client::exit::{Exit, Result};
use imaging::ops;
use std::fmt::Write as _;

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// The page
    #[arg(value_enum)]
    page: Page,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Page {
    /// docs/operations.md
    Operations,
    /// docs/formats.md
    Formats,
}

/// Prints the page.
pub fn run(args: Args) -> Result {
    match args.page {
        Page::Operations => output::text_block(&operations()),
        Page::Formats => output::text_block(&imaging::codec::page()),
    }
    Ok(Exit::Ok)
}

fn operations() -> String {
    let mut page = String::from(
        "# Operations\n\n\
         <!-- Made by `sundog docs operations > docs/operations.md`; edit the operations, not this page. -->\n\n\
         A pipeline is a list of these, applied in order: `equalize | gaussian(sigma=2)`. Parameters that\n\
         are not given have their defaults. All take 8-bit, 16-bit and float samples, gray or RGB, with or\n\
         without alpha; alpha passes through untouched, and moves with the pixels where they move.\n",
    );
    let mut group = None;
    for op in ops::ALL {
        if group != Some(op.group) {
            let _ = write!(page, "\n## {}\n", op.group.title());
            group = Some(op.group);
        }
        let _ = write!(page, "\n### {}\n\n{}\n\n", op.name, op.about);
        if !op.params.is_empty() {
            page.push_str("| parameter | meaning | values | default |\n|---|---|---|---|\n");
            for param in op.params {
                let default = default(param).unwrap_or_else(|| "required".into());
                let values = range(&param.kind);
                let _ = writeln!(
                    page,
                    "| {} | {} | {values} | {default} |",
                    param.name, param.about
                );
            }
            page.push('\n');
        }
        let _ = writeln!(page, "Example: `{}`", op.example);
    }
    page
}
