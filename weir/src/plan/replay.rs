//! What a replay needs of a task: records that earlier runs rejected are read and judged again, without those around them.
//!
//! So each rejected row must tell which record it comes from, and no row may be computed from several records: of most of
//! them only one is there. What was published must not be published again.

use std::collections::HashSet;

use datafusion::common::JoinType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, Join, LogicalPlan};
use serde_saphyr::Spanned;

use super::{Draft, published_by, upstream};
use crate::error::{Error, Result};
use crate::lineage::{ColumnLineage, DependencyKind, Lineage};
use crate::route::REASONS;
use crate::sink::BoundSink;
use crate::task::{
    ColumnFrom, FilesSpec, Mode, Read, Requirement, RuleSpec, SinkSpec, SourceSpec, Task, UnknownColumns,
};

/// How a task is replayed.
#[derive(Debug)]
pub(crate) struct ReplayPlan {
    /// For each sink of the task, in its order.
    pub(crate) roles: Vec<Role>,
    pub(crate) quarantines: Vec<Quarantine>,
}

/// What a replay does with a sink.
#[derive(Debug, Clone)]
pub(crate) enum Role {
    /// It is published.
    Publish,
    /// It is published, and a record may have only one row in it.
    PublishOnce(Place),
    /// It has the rejected rows: the replay takes note of them, and leaves the sink as it is.
    Quarantine(Place),
    /// It has no rows of records that are replayed, and stays as it is.
    Leave,
}

/// The records that the rows of a route come from.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) source: String,
    /// The column of the route with the name of the file.
    pub(crate) file: usize,
    /// The column with the number of the line.
    pub(crate) line: usize,
}

/// A sink with the rejected rows of earlier runs.
#[derive(Debug)]
pub(crate) struct Quarantine {
    pub(crate) sink: String,
    pub(crate) source: String,
    /// A source with its rows.
    pub(crate) published: SourceSpec,
    /// Its column with the name of the file.
    pub(crate) file: String,
    /// Its column with the number of the line.
    pub(crate) line: String,
    /// Its column with the reasons, if it has it.
    pub(crate) reasons: Option<String>,
    /// Reasons that another row is the cause of: such a row cannot be judged alone.
    pub(crate) unique: HashSet<String>,
}

impl Draft {
    /// How the task is replayed. Fails if it cannot be without harm.
    pub(crate) fn replay(&self, task: &Task) -> Result<ReplayPlan> {
        let replaying = Replaying::new(self, task)?;
        let roles = self.sinks.iter().map(|sink| replaying.role(sink)).collect::<Result<Vec<_>>>()?;
        let mut quarantines = Vec::new();
        for (sink, role) in self.sinks.iter().zip(&roles) {
            if let Role::Quarantine(place) = role {
                quarantines.push(replaying.quarantine(sink, place)?);
            }
        }
        if quarantines.is_empty() {
            let message =
                format!("{}: no sink has the rejected records of a source with `read: new`", task.source.name());
            let help = "add a sink with `from: SOURCE.rejected` or `from: MODEL.rejected`; what is read by every run is judged \
                        again by every run";
            return Err(Error::usage(message, help));
        }
        Ok(ReplayPlan { roles, quarantines })
    }
}

struct Replaying<'a> {
    draft: &'a Draft,
    task: &'a Task,
    lineage: Lineage,
    /// The sources of which a replay reads only rejected records, and what is computed from them.
    partial: HashSet<String>,
}

impl<'a> Replaying<'a> {
    fn new(draft: &'a Draft, task: &'a Task) -> Result<Self> {
        let sources = &task.spec.sources;
        if let Some((name, source)) = sources.iter().find(|(_, source)| source.value.cursor().is_some()) {
            let error =
                task.error(source, format!("source `{name}` is read by a `cursor`: its rows cannot be replayed"));
            let help = "a repaired rule counts from the next run on; to judge older rows again, read the table without `cursor` in \
                        a task of its own";
            return Err(Box::new(error.with_help(help)).into());
        }
        let is_partial = |name: &str| sources.get(name).is_some_and(|source| is_partial(&source.value));
        let tables = sources.keys().chain(draft.models.iter().map(|model| &model.name));
        let partial = tables.filter(|table| upstream(table, &draft.models).into_iter().any(is_partial));
        Ok(Self { draft, task, lineage: draft.lineage(task), partial: partial.cloned().collect() })
    }

    fn role(&self, sink: &BoundSink) -> Result<Role> {
        let table = sink.route.table.as_str();
        if !self.partial.contains(table) {
            return Ok(Role::Leave);
        }
        let place = self.place(sink);
        if sink.route.rejected {
            return place.map(Role::Quarantine).ok_or_else(|| {
                let help = format!(
                    "declare `file: {{type: string, from: file}}` and `line: {{type: bigint, from: line}}` for the source, select both \
                     in model `{table}`, and let the sink have them"
                );
                self.refused(sink, "its rows do not tell which record they come from", &help)
            });
        }
        if let Some((model, what)) = self.computed_from_several(table) {
            let message = format!("model `{model}` has {what}: in a replay it would not see the other rows");
            let help = "run the task anew over the files whose records were repaired";
            return Err(self.refused(sink, &message, help));
        }
        let spec = &self.spec(sink)?.value;
        if let Some(rule) = self.unique_by_others(table, &spec.primary_key) {
            let message = format!(
                "rule `{rule}` rejects rows with the same key, and without the other rows it rejects none: they would be there twice"
            );
            let help = "let the sink merge by the columns of that rule";
            return Err(self.refused(sink, &message, help));
        }
        match sink.mode {
            Mode::Overwrite | Mode::Replace => {
                let message = format!("`mode: {}` would replace its rows by those of the replay", sink.mode.name());
                let help =
                    "run the task anew; a replay adds to what `append`, `merge`, `insert` and `scd2` have written";
                Err(self.refused(sink, &message, help))
            }
            Mode::Merge | Mode::Scd2 if spec.update_key.is_none() => {
                let message = "an older record could replace a newer row";
                let help = "name the column that is greater in newer rows with `update_key`";
                Err(self.refused(sink, message, help))
            }
            Mode::Merge | Mode::Scd2 | Mode::Insert => Ok(Role::Publish),
            Mode::Append => self.append(sink, place),
        }
    }

    /// A sink that keeps all rows: none that it has may come again.
    fn append(&self, sink: &BoundSink, place: Option<Place>) -> Result<Role> {
        let table = sink.route.table.as_str();
        let help = "let the sink merge by a key";
        let Some(place) = place else {
            let help = format!(
                "select the columns of the source with `from: file` and `from: line` in model `{table}`; or {help}"
            );
            let message = "it appends, and whether a record is there already cannot be told";
            return Err(self.refused(sink, message, &help));
        };
        for other in self.draft.sinks.iter().filter(|other| other.route.rejected) {
            let rejecting = other.route.table.as_str();
            if self.partial.contains(rejecting) && self.reaches(table, &place.source, rejecting) {
                let message =
                    format!("it appends, and has the rows that `{rejecting}` rejects: they would be there twice");
                return Err(self.refused(sink, &message, help));
            }
        }
        Ok(Role::PublishOnce(place))
    }

    /// The rule that rejects rows with the same key, of a table that is not written by that key, or of one that it is made of.
    fn unique_by_others(&self, table: &str, key: &[String]) -> Option<&str> {
        let above = upstream(table, &self.draft.models);
        let judged = self.task.spec.quality.iter().filter(|(name, _)| above.contains(name.as_str()));
        let rules = judged.flat_map(|(name, quality)| quality.value.reject_unless.iter().map(move |rule| (name, rule)));
        let is_key =
            |columns: &[String]| columns.len() == key.len() && columns.iter().all(|column| key.contains(column));
        let mut others = rules.filter(|(name, (_, rule))| match &rule.value.requirement {
            Requirement::Unique(columns, _) => *name != table || !is_key(columns),
            _ => false,
        });
        others.next().map(|(_, (rule, _))| rule.as_str())
    }

    /// Whether rows of a source come to a table by a way that does not lead through another one.
    fn reaches(&self, table: &str, source: &str, without: &str) -> bool {
        if table == without {
            return false;
        }
        let model = self.draft.models.iter().find(|model| model.name == table);
        table == source || model.is_some_and(|model| model.reads.iter().any(|read| self.reaches(read, source, without)))
    }

    /// The record that each row of a sink's route comes from.
    fn place(&self, sink: &BoundSink) -> Option<Place> {
        let table = sink.route.table.as_str();
        if self.task.spec.sources.contains_key(table) {
            let at = |from| {
                self.task.spec.sources[table].value.columns.values().position(|column| column.value.from == from)
            };
            let (file, line) = match sink.route.rejected {
                // `_file` and `_line`.
                true => (0, 1),
                false => (at(ColumnFrom::File)?, at(ColumnFrom::Line)?),
            };
            return Some(Place { source: table.to_owned(), file, line });
        }
        let columns = &self.lineage.table(table)?.from_sources.columns;
        let files =
            columns.iter().enumerate().filter_map(|(at, column)| Some((at, self.taken(column, ColumnFrom::File)?)));
        let mut files = files.filter(|(_, source)| self.partial.contains(*source));
        let (file, source) = files.next()?;
        let line = columns.iter().position(|column| self.taken(column, ColumnFrom::Line) == Some(source))?;
        Some(Place { source: source.to_owned(), file, line })
    }

    /// The source whose column of a kind a column is, unchanged.
    fn taken(&self, column: &'a ColumnLineage, from: ColumnFrom) -> Option<&'a str> {
        let [only] = &column.values[..] else { return None };
        let of_source = self.task.spec.sources.get(&only.table)?.value.columns.get(&only.column)?;
        let is_it = of_source.value.from == from && only.kinds == [DependencyKind::Identity];
        is_it.then_some(only.table.as_str())
    }

    fn quarantine(&self, sink: &BoundSink, place: &Place) -> Result<Quarantine> {
        let table = &sink.route.table;
        let columns = sink.target.columns();
        let written = |at: usize| columns.iter().find(|column| column.index == at && !sink.protects(at));
        let (Some(file), Some(line)) = (written(place.file), written(place.line)) else {
            let help = "let `columns` of the sink have the file and the line of the record";
            return Err(self.refused(sink, "it has not the file and the line of its rows", help));
        };
        let quality = self.task.spec.quality.get(table);
        let rules = quality.into_iter().flat_map(|quality| &quality.value.reject_unless);
        let unique = rules.filter(|(_, rule)| is_unique(&rule.value)).map(|(name, _)| name.clone());
        let (file, line) = (file.name.clone(), line.name.clone());
        let reasons = columns.iter().find(|column| column.of_route == REASONS).map(|column| column.name.clone());
        let mut published = published_by(self.task, self.draft, &sink.name)?;
        if published.files.as_ref().is_none_or(FilesSpec::has_header) {
            // The others may have been other ones when the rows were written.
            published.columns.retain(|name, _| *name == file || *name == line || Some(name) == reasons.as_ref());
            if published.files.is_some() {
                published.unknown_columns = UnknownColumns::Ignore;
            }
        }
        let (sink, source) = (sink.name.clone(), place.source.clone());
        Ok(Quarantine { sink, source, published, file, line, reasons, unique: unique.collect() })
    }

    /// The first of the models that a table is made of which needs more than the record that a row comes from, and what for.
    fn computed_from_several(&self, table: &str) -> Option<(&str, &'static str)> {
        let above = upstream(table, &self.draft.models);
        let models = self.draft.models.iter().filter(|model| above.contains(model.name.as_str()));
        models
            .filter_map(|model| Some((model.name.as_str(), self.several(self.draft.queries.get(&model.name)?)?)))
            .next()
    }

    fn several(&self, plan: &LogicalPlan) -> Option<&'static str> {
        let mut found = None;
        let walked = plan.apply_with_subqueries(|node| {
            found = match node {
                LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_) if self.is_partial(node) => Some("an aggregate"),
                LogicalPlan::Window(_) if self.is_partial(node) => Some("a window function"),
                LogicalPlan::Limit(_) if self.is_partial(node) => Some("a limit"),
                LogicalPlan::RecursiveQuery(_) if self.is_partial(node) => Some("a recursive query"),
                LogicalPlan::Sort(sort) if sort.fetch.is_some() && self.is_partial(node) => Some("a limit"),
                LogicalPlan::Join(join) => self.join(join),
                other => self.has_partial_subquery(other).then_some("a subquery over the records"),
            };
            Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        });
        // A plan that cannot be walked counts as one that needs other rows.
        walked.map_or(Some("a query that cannot be followed"), |_| found)
    }

    /// A join of records with others of them, or one that has rows without any record.
    fn join(&self, join: &Join) -> Option<&'static str> {
        let (left, right) = (self.is_partial(&join.left), self.is_partial(&join.right));
        let keeps_left =
            matches!(join.join_type, JoinType::Left | JoinType::Full | JoinType::LeftAnti | JoinType::LeftMark);
        let keeps_right =
            matches!(join.join_type, JoinType::Right | JoinType::Full | JoinType::RightAnti | JoinType::RightMark);
        match (left, right) {
            (true, true) => Some("a join of the records with each other"),
            (false, true) if keeps_left => Some("rows without a record, of an outer join"),
            (true, false) if keeps_right => Some("rows without a record, of an outer join"),
            _ => None,
        }
    }

    fn has_partial_subquery(&self, node: &LogicalPlan) -> bool {
        let mut found = false;
        let _ = node.apply_expressions(|expression| {
            expression.apply(|part| {
                let subquery = match part {
                    Expr::ScalarSubquery(subquery) => Some(subquery),
                    Expr::Exists(exists) => Some(&exists.subquery),
                    Expr::InSubquery(of) => Some(&of.subquery),
                    _ => None,
                };
                found |= subquery.is_some_and(|subquery| self.is_partial(&subquery.subquery));
                Ok(TreeNodeRecursion::Continue)
            })
        });
        found
    }

    /// Whether a plan scans what has only the records that are replayed.
    fn is_partial(&self, plan: &LogicalPlan) -> bool {
        let mut found = false;
        let _ = plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node {
                found |= self.partial.contains(scan.table_name.table());
            }
            Ok(TreeNodeRecursion::Continue)
        });
        found
    }

    fn spec(&self, sink: &BoundSink) -> Result<&Spanned<SinkSpec>> {
        self.task.spec.sinks.get(&sink.name).ok_or_else(|| Error::internal(format!("there is no sink `{}`", sink.name)))
    }

    fn refused(&self, sink: &BoundSink, message: &str, help: &str) -> Error {
        match self.spec(sink) {
            Ok(spec) => {
                let error = self.task.error(spec, format!("sink `{}` cannot be replayed: {message}", sink.name));
                Box::new(error.with_help(help)).into()
            }
            Err(error) => error,
        }
    }
}

/// Whether a replay reads only the rejected records of a source.
pub(crate) fn is_partial(source: &SourceSpec) -> bool {
    source.files.is_some() && source.read == Read::New
}

fn is_unique(rule: &RuleSpec) -> bool {
    matches!(rule.requirement, Requirement::Unique(..))
}
