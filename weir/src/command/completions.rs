//! `completions` and `man`: shell completions and manual pages of the command line.

use std::io::Write;
use std::path::Path;

use clap_complete::generate;
use clap_mangen::Man;

use super::{Cli, CompletionsArgs, ManArgs};
use crate::error::{Error, Result};
use crate::system::disk::write_whole;

pub(super) fn completions(cli: &Cli, args: &CompletionsArgs) -> Result<u8> {
    let mut script = vec![];
    generate(args.shell, &mut cli.parser(), cli.name, &mut script);
    // A closed pipe is not an error.
    let _ = std::io::stdout().write_all(&script);
    Ok(0)
}

pub(super) fn man(cli: &Cli, args: &ManArgs) -> Result<u8> {
    let mut parser = cli.parser().disable_help_subcommand(true);
    parser.build();
    let failed = |path: &Path, error: std::io::Error| {
        let help = "specify a writable folder";
        Error::usage(format!("{}: {error}", path.display()), help)
    };
    let Some(folder) = &args.folder else {
        let mut page = vec![];
        Man::new(parser).render(&mut page).map_err(|error| failed("the page".as_ref(), error))?;
        let _ = std::io::stdout().write_all(&page);
        return Ok(0);
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    let page = |name: String, command: clap::Command| {
        let path = folder.join(format!("{name}.1"));
        let mut page = vec![];
        Man::new(command).title(name).render(&mut page).map_err(|error| failed(&path, error))?;
        write_whole(&path, &page).map_err(|error| failed(&path, error))
    };
    for verb in parser.get_subcommands() {
        page(format!("{}-{}", cli.name, verb.get_name()), verb.clone())?;
    }
    page(cli.name.to_owned(), parser)?;
    Ok(0)
}
