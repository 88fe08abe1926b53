//! `init`: creates a new task from files and tables.
//!
//! An `object` of a store is brought here. `input` finds the files and their columns, by `sniff` and `json`; `reading` reads
//! them to the end, and `guess` has what their values tell; `sample` has their first rows; `files` are the files of the task,
//! with the `beginning` of each input as its sample. `database` has tables of databases, of which no row
//! is read.

#[cfg(feature = "avro")]
mod avro;
mod beginning;
mod database;
mod files;
mod guess;
mod input;
mod json;
mod object;
mod reading;
mod sample;
mod sniff;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Cli, InitArgs, runtime};
use crate::error::{Error, Result};
use crate::task::is_object_url;
pub(super) use database::{Connections, DatabaseTable};
pub(super) use files::declaration;
pub(super) use input::Input;
pub(super) use object::Objects;
pub(super) use reading::{Reader, Rows, SOURCE, Types};
pub(super) use sample::Column;
pub(super) use sniff::Form;

use database::GivenTable;
use files::{Origin, Project, Table};
use sample::Sample;

/// What the user names.
enum Given<'a> {
    Files(&'a Path),
    /// The URL of an object.
    Object(&'a str),
    Table(GivenTable),
}

pub(super) fn init(cli: &Cli, args: &InitArgs) -> Result<u8> {
    let mut connections = Connections::of(&args.folder);
    let given = args.inputs.iter().map(|input| {
        if let Some(url) = input.to_str().filter(|url| is_object_url(url)) {
            return Ok(Given::Object(url));
        }
        let table = connections.table(input)?;
        Ok(table.map_or(Given::Files(input), Given::Table))
    });
    let given: Vec<Given> = given.collect::<Result<_>>()?;
    let names = table_names(args, &given)?;
    let name = match (&args.name, names.as_slice()) {
        (Some(name), _) | (None, [name]) => name.clone(),
        _ => return Err(Error::usage("a task of several tables needs a name", "set one with --name")),
    };
    check_name(&name)?;
    names.iter().try_for_each(|name| check_name(name))?;
    let runtime = runtime(2)?;
    let (mut objects, mut tables) = (Objects::default(), Vec::new());
    for (name, given) in names.into_iter().zip(given) {
        let functions = &cli.functions;
        let origin = runtime.block_on(async {
            Ok::<_, Error>(match given {
                Given::Files(path) => Origin::Files(Sample::take(Input::open(path)?, functions).await?),
                Given::Object(url) => Origin::Files(objects.sample(connections.project()?, url, functions).await?),
                Given::Table(table) => Origin::Database(DatabaseTable::take(table, functions).await?),
            })
        })?;
        tables.push(Table { name, origin });
    }
    let project = Project { program: cli.name, name: &name, tables: &tables, connections: &connections };
    let files = project.files()?;
    write_all(&args.folder, &files)?;
    if !args.log.quiet {
        say!("{}", project.next_steps(&args.folder, &files)?);
    }
    Ok(0)
}

/// The name of each table: that of the file or of the table there, and of a single one that of the task.
fn table_names(args: &InitArgs, given: &[Given]) -> Result<Vec<String>> {
    if let ([_], Some(name)) = (given, &args.name) {
        return Ok(vec![name.clone()]);
    }
    let name = |given: &Given| match given {
        Given::Files(path) => name_of_file(path),
        Given::Object(url) => name_of_file(Path::new(url)),
        Given::Table(table) => table.plain_name(),
    };
    let names: Vec<String> = given.iter().map(name).collect();
    let Some((i, name)) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) else {
        return Ok(names);
    };
    Err(match &given[i] {
        Given::Files(path) => Error::usage(
            format!("{}: another file has the name `{name}`, too", path.display()),
            "give the files different names, or name their folder if they are of one table",
        ),
        Given::Object(url) => Error::usage(
            format!("{url}: another object has the name `{name}`, too"),
            "create a task for each of them, with --name",
        ),
        Given::Table(_) => Error::usage(
            format!("two of the tables have the name `{name}`"),
            "create a task for each of them, with --name",
        ),
    })
}

pub(super) fn name_of_file(path: &Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let name = whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem =
        if whole.is_dir() { name.as_str() } else { name.split('.').find(|part| !part.is_empty()).unwrap_or_default() };
    guess::plain(stem)
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
