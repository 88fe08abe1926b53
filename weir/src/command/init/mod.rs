//! `init`: creates a new task from files.
//!
//! `input` finds the files and their columns, by `sniff` and `json`; `sample` reads them to the end, and `guess` has what
//! their values tell; `files` are the files of the task, with the `beginning` of each input as its sample.

#[cfg(feature = "avro")]
mod avro;
mod beginning;
mod files;
mod guess;
mod input;
mod json;
mod sample;
mod sniff;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Cli, InitArgs, runtime};
use crate::error::{Error, Result};
use files::{Project, Table};
use input::Input;
use sample::Sample;

pub(super) fn init(cli: &Cli, args: &InitArgs) -> Result<u8> {
    let names = table_names(args)?;
    let name = match (&args.name, names.as_slice()) {
        (Some(name), _) | (None, [name]) => name.clone(),
        _ => return Err(Error::usage("a task of several files needs a name", "set one with --name")),
    };
    check_name(&name)?;
    names.iter().try_for_each(|name| check_name(name))?;
    let runtime = runtime(2)?;
    let mut tables = Vec::new();
    for (name, path) in names.into_iter().zip(&args.files) {
        let sample = runtime.block_on(async { Sample::take(Input::open(path)?, &cli.functions).await })?;
        tables.push(Table { name, sample });
    }
    let project = Project { program: cli.name, name: &name, tables: &tables };
    let files = project.files()?;
    write_all(&args.folder, &files)?;
    if !args.log.quiet {
        say!("{}", project.next_steps(&args.folder, &files)?);
    }
    Ok(0)
}

/// The name of each file's table: that of the file, and of a single one that of the task.
fn table_names(args: &InitArgs) -> Result<Vec<String>> {
    if let ([_], Some(name)) = (args.files.as_slice(), &args.name) {
        return Ok(vec![name.clone()]);
    }
    let name = |path: &PathBuf| {
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let name = whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stem = if whole.is_dir() {
            name.as_str()
        } else {
            name.split('.').find(|part| !part.is_empty()).unwrap_or_default()
        };
        guess::plain(stem)
    };
    let names: Vec<String> = args.files.iter().map(name).collect();
    match names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
        None => Ok(names),
        Some((i, name)) => Err(Error::usage(
            format!("{}: another file has the name `{name}`, too", args.files[i].display()),
            "give the files different names, or name their folder if they are of one table",
        )),
    }
}

fn check_name(name: &str) -> Result<()> {
    match guess::is_plain(name) && name.len() <= files::LONGEST_NAME {
        true => Ok(()),
        false => Err(Error::usage(
            format!("`{name}` is not a valid task name"),
            "set one with --name: lower-case letters, digits and `_`, a letter first, at most 40 characters",
        )),
    }
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
