//! `init`: a task to begin with, made from a CSV file.

mod files;
mod guess;
mod sample;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Cli, InitArgs, runtime};
use crate::error::{Error, Result};
use files::Project;
use sample::Sample;

pub(super) fn init(cli: &Cli, args: &InitArgs) -> Result<u8> {
    let name = match &args.name {
        Some(name) => name.clone(),
        None => guess::plain(&args.file.file_stem().unwrap_or_default().to_string_lossy()),
    };
    if !guess::is_plain(&name) || name.len() > files::LONGEST_NAME {
        return Err(Error::usage(
            format!("`{name}` cannot be a task's name"),
            "give it one with --name: lower-case letters, digits and `_`, a letter first, 40 at the most",
        ));
    }
    let sample = runtime(2)?.block_on(Sample::take(&args.file, &cli.functions))?;
    let project = Project { program: cli.name, name: &name, origin: &args.file, sample: &sample };
    write_all(&args.folder, &project.files()?)?;
    if !args.log.quiet {
        say!("{}", project.next_steps(&args.folder)?);
    }
    Ok(0)
}

/// Writes the files, or none of them: not one that is there is touched.
fn write_all(folder: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
    if let Some((there, _)) = files.iter().find(|(path, _)| fs::symlink_metadata(folder.join(path)).is_ok()) {
        return Err(Error::usage(
            format!("{} is there already, and nothing is overwritten", folder.join(there).display()),
            "give another --name or another --folder",
        ));
    }
    let mut written: Vec<PathBuf> = Vec::new();
    for (path, content) in files {
        let path = folder.join(path);
        let mut write = || {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            let mut file = File::create_new(&path)?;
            written.push(path.clone());
            file.write_all(content)
        };
        if let Err(error) = write() {
            written.iter().for_each(|path| drop(fs::remove_file(path)));
            let help = "let this user write to the folder, or name another one with --folder";
            return Err(Error::usage(format!("{}: {error}", path.display()), help));
        }
    }
    Ok(())
}
