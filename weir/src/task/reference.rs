//! `ref:` of a source: what another task publishes.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use serde_saphyr::Spanned;

use super::params::ParamChoice;
use super::project::PROJECT_FILE;
use super::source::{SourceSpec, UnknownColumns};
use super::{Place, Task, TaskError, TaskSpec, name_line, parse_spec, read};
use crate::error::{Error, Result, SourceText};

/// A sink of another task, as `task.sink`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct ReferenceSpec {
    /// The name of the task.
    pub task: String,
    /// The name of its sink.
    pub sink: String,
}

/// The sink of another task that publishes what a source reads.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) by: ReferenceSpec,
    /// The task and its environment, as its manifests have them.
    pub(crate) owner: String,
    /// Its folder, if it writes one.
    pub(crate) folder: Option<String>,
    /// The file of the task.
    pub(crate) task_file: String,
}

impl Published {
    /// The error of a source that needs what is not published yet.
    pub(crate) fn nothing(&self, place: &str) -> Error {
        let ReferenceSpec { task, sink } = &self.by;
        let message = format!("task `{task}` has not published its sink `{sink}` yet");
        let or = if self.folder.is_some() { ", or specify `if_missing: skip` or `empty`" } else { "" };
        Error::input(place, message, format!("run {} first{or}", self.task_file))
    }
}

impl<'de> Deserialize<'de> for ReferenceSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.split_once('.') {
            Some((task, sink)) if !task.is_empty() && !sink.is_empty() && !sink.contains('.') => {
                Ok(Self { task: task.to_owned(), sink: sink.to_owned() })
            }
            _ => Err(de::Error::custom(format!("`{text}` is no sink of another task: write `task.sink`"))),
        }
    }
}

impl SourceSpec {
    /// The key that a source with a `ref` has, and that is for the other task to say.
    fn not_with_reference(&self) -> Option<&'static str> {
        let keys = [
            ("files", self.files.is_some()),
            ("postgres", self.postgres.is_some()),
            ("mysql", self.mysql.is_some()),
            ("fetch", self.fetch.is_some()),
            ("columns", !self.columns.is_empty()),
            ("archive", self.archive.is_some()),
            ("archive_private", self.archive_private),
            ("unknown_columns", self.unknown_columns != UnknownColumns::Fail),
            ("date_format", self.date_format.is_some()),
            ("timestamp_format", self.timestamp_format.is_some()),
        ];
        let own = keys.iter().find(|(_, is_set)| *is_set).map(|(key, _)| *key);
        own.or_else(|| self.values().any_key())
    }
}

/// Checks the sources that read what other tasks publish, and lets the task be run after those.
pub(super) fn follow(source: &SourceText, spec: &mut TaskSpec) -> Result<()> {
    let error =
        |at: &Spanned<ReferenceSpec>, message: String| TaskError::new(source, Place::of(at.referenced), message);
    for (name, of) in &spec.sources {
        let Some(reference) = &of.value.reference else { continue };
        if let Some(key) = of.value.not_with_reference() {
            let message = format!("source `{name}`: `{key}` is not for a source with `ref`");
            let help = "remove it: the columns, their types and the place are those of the sink";
            return Err(Box::new(error(reference, message).with_help(help)).into());
        }
        if reference.value.task == spec.name.value {
            let message = format!("source `{name}` reads what this task publishes");
            let help =
                "declare its files or its table as a source, if a run is to read what the runs before have written";
            return Err(Box::new(error(reference, message).with_help(help)).into());
        }
        if spec.after.iter().all(|before| before.value != reference.value.task) {
            let (referenced, defined) = (reference.referenced, reference.defined);
            spec.after.push(Spanned { value: reference.value.task.clone(), referenced, defined });
        }
    }
    Ok(())
}

impl Task {
    /// Whether a source reads what another task publishes.
    pub(crate) fn has_references(&self) -> bool {
        self.spec.sources.values().any(|source| source.value.reference.is_some())
    }

    /// The task of a reference: the one of that name in the folder of this one, in the same environment, with the parameters
    /// of the command line that it has, too, and in the same window if its windows are as long.
    pub(crate) fn referenced(&self, reference: &Spanned<ReferenceSpec>) -> Result<Self> {
        let name = &reference.value.task;
        let path = self.file_of(name).ok_or_else(|| {
            let folder = if self.folder.as_os_str().is_empty() { Path::new(".") } else { &self.folder };
            let error = self.error(reference, format!("there is no task `{name}` in {}", folder.display()));
            Box::new(error.with_help("put its file into the folder of this one; its name is what it has under `name`"))
        })?;
        let text = read(&path)?;
        let spec = parse_spec(&SourceText::new(&path, text.clone()))?;
        let every = |spec: &TaskSpec| spec.window.as_ref().map(|window| window.value.every.value);
        let window = self.window.as_ref().filter(|_| every(&spec) == every(&self.spec));
        let given = self.params.given().filter(|(name, _)| spec.params.contains_key(*name));
        let choice = ParamChoice {
            environment: Some(self.environment.clone()).filter(|name| name != "default"),
            values: given.map(|(name, text)| (name.to_owned(), text.to_owned())).collect(),
            due: None,
            window: window.map(|window| window.label.clone()),
        };
        Ok(Self { project: self.project.clone(), ..Self::parse(&path, text, &choice)? })
    }

    /// The files that say what the task is, and those of the tasks that it reads from: task files, `weir.yaml` and SQL.
    pub(crate) fn files(&self) -> Result<BTreeSet<PathBuf>> {
        let mut files = BTreeSet::from([self.folder.join(PROJECT_FILE)]);
        files.retain(|project| project.exists());
        let mut open = vec![PathBuf::from(self.source.name())];
        while let Some(path) = open.pop() {
            if !files.insert(path.clone()) {
                continue;
            }
            let text = if path == Path::new(self.source.name()) { self.source.text().to_owned() } else { read(&path)? };
            let spec = parse_spec(&SourceText::new(&path, text))?;
            files.extend(spec.models.values().map(|model| self.folder.join(&model.value)));
            let references = spec.sources.values().filter_map(|source| source.value.reference.as_ref());
            open.extend(references.filter_map(|reference| self.file_of(&reference.value.task)));
        }
        Ok(files)
    }

    /// The file in the folder of this task that has the task of a name.
    fn file_of(&self, name: &str) -> Option<PathBuf> {
        let folder = if self.folder.as_os_str().is_empty() { Path::new(".") } else { &self.folder };
        let names = std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.file_name()));
        let is_task = |file: &Path| {
            let is_yaml = file.extension().is_some_and(|of| of == "yaml" || of == "yml");
            let is_other = |file: &Path| file.as_os_str() == PROJECT_FILE || file.file_stem().is_some_and(is_fixture);
            is_yaml && !is_other(file)
        };
        let mut files: Vec<PathBuf> = names.map(PathBuf::from).filter(|file| is_task(file)).collect();
        files.sort_by_key(|file| (file.file_stem() != Some(OsStr::new(name)), file.clone()));
        let mut paths = files.into_iter().map(|file| self.folder.join(file));
        paths.find(|path| read(path).is_ok_and(|text| name_line(&text).is_some_and(|found| found == name)))
    }
}

fn is_fixture(stem: &OsStr) -> bool {
    stem.as_encoded_bytes().ends_with(b".test")
}
