//! `init`: creates a new task from a CSV file.

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
            format!("`{name}` is not a valid task name"),
            "set one with --name: lower-case letters, digits and `_`, a letter first, at most 40 characters",
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

/// Writes all files or none; existing files are not touched.
fn write_all(folder: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
    if let Some((there, _)) = files.iter().find(|(path, _)| fs::symlink_metadata(folder.join(path)).is_ok()) {
        return Err(Error::usage(
            format!("{} exists already, and nothing is overwritten", folder.join(there).display()),
            "use another --name or another --folder",
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
            let help = "give this user write access to the folder, or use another one with --folder";
            return Err(Error::usage(format!("{}: {error}", path.display()), help));
        }
    }
    Ok(())
}
