//! `sundog man`: the manual page, all commands on one page (`sundog man | man -l -`).

use crate::args::Cli;
use crate::output;
use clap::CommandFactory as _;
use clap_mangen::Man;
use client::exit::{Exit, Failure, Result};

/// Prints the page in roff.
pub fn run() -> Result {
    let mut command = Cli::command().after_help(crate::args::WELCOME);
    command.build();
    let mut page = Vec::new();
    let render = || -> std::io::Result<()> {
        Man::new(command.clone()).render(&mut page)?;
        for sub in command.get_subcommands().filter(|c| !c.is_hide_set()) {
            if sub.get_name() == "help" {
                continue;
            }
            let name = sub.get_name().to_uppercase();
            page.extend(format!(".SH \"SUNDOG {name}\"\n").bytes());
            let man = Man::new(sub.clone());
            man.render_synopsis_section(&mut page)?;
            man.render_description_section(&mut page)?;
            man.render_options_section(&mut page)?;
        }
        Ok(())
    };
    let mut render = render;
    render().map_err(|e| Failure::failed(format!("cannot write the manual page: {e}")))?;
    // Sections of a command become subsections of its own.
    let text = String::from_utf8_lossy(&page).into_owned();
    output::text_block(&nested(&text));
    Ok(Exit::Ok)
}

/// Below the first command's heading, other headings go down a level.
fn nested(text: &str) -> String {
    let mut inside = false;
    let mut result = String::with_capacity(text.len());
    for line in text.lines() {
        let heading = line.strip_prefix(".SH ");
        let own = heading.is_some_and(|h| h.starts_with("\"SUNDOG "));
        inside |= own;
        match heading {
            Some(title) if inside && !own => result.push_str(&format!(".SS {title}\n")),
            _ => {
                result.push_str(line);
                result.push('\n');
            }
        }
    }
    result
}
