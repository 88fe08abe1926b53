//! Rows from a fetcher that the program registers.
//!
//! They are fetched completely, into the run's scratch folder, and read from there like files: so they can be read
//! twice and by several readers at once, and records that cannot be parsed are rejected with their reasons.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use miette::Diagnostic;
use serde_saphyr::Spanned;

use super::Source;
use super::origin::{Opened, Opening, Origin};
use crate::error::{Error, FetchFailed, Result, TaskError, state_io};
use crate::format::split::FilePart;
use crate::format::{self, FileForm};
use crate::place::{FoundFile, found};
use crate::system::stop::Stop;
use crate::task::{Format, SourceSpec, Task};

/// A fetcher that a section adds: an API, a device, a format of its own.
///
/// A task refers to it under `fetch`, with the columns that its rows have. [`Cli::fetch`](crate::Cli::fetch) registers
/// it with the command line:
///
/// ```
/// use std::io::Write;
/// use weir::fetch::{Fetch, FetchError, Options};
/// use weir::task::Format;
///
/// /// The squares of the first numbers.
/// #[derive(Debug)]
/// struct Squares;
///
/// #[weir::fetch::async_trait]
/// impl Fetch for Squares {
///     fn name(&self) -> &str {
///         "squares"
///     }
///
///     fn format(&self) -> Format {
///         Format::Csv
///     }
///
///     async fn fetch(&self, options: &Options, into: &mut (dyn Write + Send)) -> Result<(), FetchError> {
///         let most: u64 = options.parsed("most")?;
///         writeln!(into, "number,square")?;
///         for number in 1..=most {
///             writeln!(into, "{number},{}", number * number)?;
///         }
///         Ok(())
///     }
/// }
///
/// # let folder = tempfile::tempdir()?;
/// # let at = |path: &str| folder.path().join(path).display().to_string();
/// std::fs::write(at("task.yaml"), r#"
/// name: squares
/// params: {most: {type: integer, default: 3}, output: {type: string}}
/// sources:
///   square:
///     fetch: {with: squares, options: {most: "${most}"}}
///     columns: {number: bigint, square: bigint}
/// sinks:
///   squares: {from: square, mode: overwrite, files: {path: "${output}", format: csv}}
/// "#)?;
///
/// let cli = weir::Cli::new("section").fetch(Squares);
/// let output = format!("--param=output={}", at("out"));
/// assert_eq!(cli.main_from(["section", "run", "--quiet", "--task-config", &at("task.yaml"), &output]), 0);
///
/// assert_eq!(std::fs::read_to_string(at("out/part-00000.csv"))?, "number,square\n1,1\n2,4\n3,9\n");
/// # Ok::<(), std::io::Error>(())
/// ```
#[async_trait]
pub trait Fetch: fmt::Debug + Send + Sync {
    /// The name by which tasks refer to it.
    fn name(&self) -> &str;

    /// The format of the rows.
    fn format(&self) -> Format;

    /// Writes all rows, with their column names. The future is dropped when the run is stopped.
    ///
    /// # Errors
    /// Any error ends the run before anything is published. Transient failures are to be retried here.
    async fn fetch(&self, options: &Options, into: &mut (dyn Write + Send)) -> Result<(), FetchError>;
}

/// Why rows could not be fetched, with a remedy if one is known.
#[derive(Debug)]
pub struct FetchError(Box<dyn Diagnostic + Send + Sync>);

impl FetchError {
    /// A section's own error, its help included.
    pub fn new(error: impl Diagnostic + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }
}

impl From<OptionError> for FetchError {
    fn from(error: OptionError) -> Self {
        Self::new(error)
    }
}

/// The rows could not be written to the scratch folder.
impl From<std::io::Error> for FetchError {
    fn from(error: std::io::Error) -> Self {
        Self::new(Error::usage(error, "free some space on the disk of the state folder, then start the run again"))
    }
}

/// The `options` of a task, parameters filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options(BTreeMap<String, String>);

/// The last value of a name counts.
impl FromIterator<(String, String)> for Options {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(options: I) -> Self {
        Self(options.into_iter().collect())
    }
}

impl Options {
    /// The value of an option, if it is given and not empty.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// The value of an option, parsed as another type.
    ///
    /// # Errors
    /// If the option is missing or cannot be parsed.
    pub fn parsed<T: FromStr<Err: fmt::Display>>(&self, name: &str) -> Result<T, OptionError> {
        self.parsed_by(name, T::from_str)?
            .ok_or_else(|| OptionError { message: format!("the option `{name}` is missing") })
    }

    /// The value of an option, if it is given and not empty, parsed by `parse`.
    ///
    /// # Errors
    /// If it cannot be parsed.
    pub fn parsed_by<T, E: fmt::Display>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, OptionError> {
        let wrong = |text: &str, error| OptionError { message: format!("the option `{name}`: `{text}`: {error}") };
        self.find(name).map(|text| parse(text).map_err(|error| wrong(text, error))).transpose()
    }

    /// Fails if there is an option that is not among these: a misspelt one would be ignored.
    ///
    /// # Errors
    /// If there is one.
    pub fn only(&self, names: &[&str]) -> Result<(), OptionError> {
        match self.0.keys().find(|name| !names.contains(&name.as_str())) {
            None => Ok(()),
            Some(unknown) => {
                let message = format!("unknown option `{unknown}`; known options: {}", names.join(", "));
                Err(OptionError { message })
            }
        }
    }
}

/// An option is missing or wrong.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
#[diagnostic(help("see `options` of the source in the task file"))]
pub struct OptionError {
    message: String,
}

/// The registered fetchers, by name.
pub(crate) type Fetchers = Arc<[Arc<dyn Fetch>]>;

/// A fetched source, as the task declares it.
#[derive(Debug)]
pub(super) struct Fetching {
    /// The source's name.
    source: String,
    with: String,
    options: Options,
    /// The error if there is no fetcher of that name.
    unknown: TaskError,
}

impl Fetching {
    pub(super) fn declare(task: &Task, source: &str, spec: &SourceSpec) -> Result<Self> {
        let Some(spec) = &spec.fetch else {
            return Err(Error::internal(format!("source `{source}` has no `fetch`")));
        };
        let mut options = BTreeMap::new();
        for (name, value) in &spec.options {
            let text = Spanned { value: value.value.0.clone(), referenced: value.referenced, defined: value.defined };
            options.insert(name.clone(), task.params.fill(&task.source, &text)?);
        }
        let with = spec.with.value.clone();
        let unknown = task.error(&spec.with, format!("source `{source}`: unknown fetcher `{with}`"));
        Ok(Self { source: source.to_owned(), with, options: Options(options), unknown })
    }

    /// The fetcher, if this program has it.
    fn among<'a>(&self, fetchers: &'a Fetchers) -> Result<&'a dyn Fetch> {
        fetchers.iter().find(|fetcher| fetcher.name() == self.with).map(AsRef::as_ref).ok_or_else(|| {
            let names: Vec<&str> = fetchers.iter().map(|fetcher| fetcher.name()).collect();
            let error = match names.is_empty() {
                true => {
                    self.unknown.clone().with_help("run the task with the section's own command, which registers it")
                }
                false => self.unknown.clone().nearest(&self.with, names),
            };
            Box::new(error).into()
        })
    }

    /// Fetches the rows into a folder.
    async fn fetch(&self, fetchers: &Fetchers, folder: &Path, stop: &Stop) -> Result<(FoundFile, FileForm)> {
        let fetcher = self.among(fetchers)?;
        let form = FileForm::of(fetcher.format());
        let path = folder.join(format!("fetched-{}.{}", self.source, form.format.extension()));
        let mut into = BufWriter::new(File::create(&path).map_err(state_io(&path))?);
        let mut stop = stop.clone();
        tokio::select! {
            fetched = fetcher.fetch(&self.options, &mut into) => fetched.map_err(|error| self.failed(error))?,
            () = stop.wanted() => return Err(Error::Interrupted),
        }
        into.flush().map_err(state_io(&path))?;
        drop(into);
        Ok((found(self.source.clone(), &path)?, form))
    }

    fn failed(&self, FetchError(error): FetchError) -> Error {
        FetchFailed { source: self.source.clone(), error }.into()
    }
}

#[async_trait]
impl Origin for Fetching {
    async fn open(&self, source: &Source, opening: &mut Opening<'_>) -> Result<Opened> {
        self.among(opening.fetchers)?;
        let summary = format!("is fetched by `{}` when the task runs", self.with);
        let mut opened = Opened { table: None, bytes: 0, summary, files: vec![], nothing_to_do: None };
        if opening.run.is_some() {
            let (file, form) = self.fetch(opening.fetchers, opening.scratch, opening.stop).await?;
            opened.bytes = file.size();
            let Source { declared, rejected, progress, .. } = source;
            opened.table = Some(format::open(vec![file], &form, declared, rejected, progress, &FilePart::Whole)?);
        }
        Ok(opened)
    }

    fn check(&self, fetchers: &Fetchers) -> Result<()> {
        self.among(fetchers).map(drop)
    }
}
