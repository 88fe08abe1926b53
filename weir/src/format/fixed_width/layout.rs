//! The characters of each column of a line.

use std::ops::Range;
use std::sync::Arc;

use crate::format::columns::Declared;
use crate::task::{Characters, ColumnFrom, Format, SourceSpec, Task, TaskError};

/// The characters of the columns, counted from 0.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// In the order of their characters.
    columns: Arc<[Place]>,
    /// The index of each of them among the columns that are read.
    targets: Vec<Option<usize>>,
    /// The characters that no column has, if they must be blank; the last ones have no end.
    others: Arc<[Range<usize>]>,
}

/// The characters of a column.
#[derive(Debug)]
pub(super) struct Place {
    column: usize,
    pub(super) start: usize,
    /// `usize::MAX` for the end of the line.
    pub(super) end: usize,
    pub(super) is_optional: bool,
}

impl Place {
    /// The least number of characters of a line that has the column.
    pub(super) fn least(&self) -> usize {
        if self.end == usize::MAX { self.start } else { self.end }
    }
}

impl Layout {
    pub(super) fn new(declared: &Declared) -> Self {
        let place = |(column, declared): (usize, &Arc<crate::format::columns::Column>)| {
            let Characters { first, last } = declared.characters?;
            let end = last.map_or(usize::MAX, |last| last as usize);
            Some(Place { column, start: first as usize - 1, end, is_optional: declared.is_optional })
        };
        let mut columns: Vec<Place> = declared.columns.iter().enumerate().filter_map(place).collect();
        columns.sort_by_key(|place| place.start);
        let mut others = Vec::new();
        let mut end = 0;
        for place in &columns {
            if place.start > end {
                others.push(end..place.start);
            }
            end = place.end;
        }
        if end < usize::MAX {
            others.push(end..usize::MAX);
        }
        if declared.ignore_unknown {
            others.clear();
        }
        Self {
            targets: columns.iter().map(|place| Some(place.column)).collect(),
            columns: columns.into(),
            others: others.into(),
        }
    }

    /// Whether lines can have a declared column.
    pub(super) fn has(&self, column: usize) -> bool {
        self.columns.iter().any(|place| place.column == column)
    }

    /// The layout for a scan that reads some of the columns.
    pub(super) fn project(&self, target: &dyn Fn(usize) -> Option<usize>) -> Self {
        Self { targets: self.columns.iter().map(|place| target(place.column)).collect(), ..self.clone() }
    }

    /// The columns, with their index among those that are read.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&Place, Option<usize>)> {
        self.columns.iter().zip(self.targets.iter().copied())
    }

    /// The characters that must be blank.
    pub(super) fn others(&self) -> &[Range<usize>] {
        &self.others
    }
}

/// Fails if the columns of a source have no characters of their own, or have some in files that are no lines of them.
pub(crate) fn check(task: &Task, spec: &SourceSpec, format: Format) -> Result<(), TaskError> {
    let mut before: Vec<(&String, Characters)> = Vec::new();
    for (name, column) in &spec.columns {
        let is_in_lines = format == Format::FixedWidth && column.value.from == ColumnFrom::Column;
        let wrong =
            |what: String, help: String| Err(task.error(column, format!("column `{name}`: {what}")).with_help(help));
        let here = match column.value.characters {
            None if is_in_lines => {
                let help = "specify those of a line that it has, such as `{type: string, characters: 1-8}`; the first one is 1";
                return wrong("`characters` is missing".to_owned(), help.to_owned());
            }
            None => continue,
            Some(_) if !is_in_lines => {
                let what = "`characters` is for columns of files with `format: fixed_width`";
                return wrong(what.to_owned(), "remove it".to_owned());
            }
            Some(here) => here,
        };
        if !column.value.header.is_empty() {
            let help = "remove `header`: the characters tell where its values are";
            return wrong("`header` is for files with the names of their columns".to_owned(), help.to_owned());
        }
        if let Some((other, there)) = before.iter().find(|(_, there)| there.overlap(here)) {
            let help = "let each column have its own; SQL takes a value apart, with `substr(value, 1, 2)`".to_owned();
            return wrong(format!("its characters {here} overlap those of `{other}`, {there}"), help);
        }
        before.push((name, here));
    }
    Ok(())
}
