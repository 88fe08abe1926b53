//! The declared columns of a source, and the checks of their values.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::{filter_record_batch, nullif};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{col, in_list, lit};
use datafusion::scalar::ScalarValue;
use serde_saphyr::Spanned;

use super::names::{ExpectedName, ExpectedNames, Presence};
use super::text::Unvalued;
pub(crate) use super::value::Typed;
use super::value::{self, Form};
use crate::error::{Error, Result, plain};
use crate::route::{RejectedRoute, SAMPLES};
use crate::task::{
    Characters, ColumnFrom, ColumnSpec, FilesSpec, Format, OnInvalid, Scalar, SourceSpec, SqlType, Task,
    UnknownColumns, mark_json,
};

/// The declaration of a source's records.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) schema: SchemaRef,
    pub(crate) columns: Vec<Arc<Column>>,
    /// Whether files may have further columns.
    pub(crate) ignore_unknown: bool,
    /// Whether blanks around names in files and their case do not matter.
    pub(crate) names_are_loose: bool,
}

/// A declared column.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// Its name in the task.
    pub(crate) name: String,
    /// Its name in the files.
    pub(crate) header: String,
    /// Further names in the files: each file has one of them all.
    pub(crate) other_headers: Vec<String>,
    /// The keys that lead to it in a JSON record, if it is in an object.
    pub(crate) path: Vec<String>,
    /// Its position in the files, from 1, if that counts and not its name.
    pub(crate) position: Option<usize>,
    /// Its characters in the lines of fixed-width files.
    pub(crate) characters: Option<Characters>,
    pub(crate) kind: DataType,
    pub(crate) from: ColumnFrom,
    pub(crate) is_optional: bool,
    /// Its value where files lack it, if not null.
    pub(crate) default: Option<ScalarValue>,
    /// How its texts are read.
    pub(crate) form: Form,
    /// Texts that mean null.
    pub(crate) null_values: Vec<String>,
    /// Whether its fields may have no value that can be read: see `Unvalued`.
    can_be_unvalued: bool,
    not_null: bool,
    /// Whether a value is one of the accepted values.
    accepted: Option<Arc<dyn PhysicalExpr>>,
    on_invalid: OnInvalid,
}

impl Declared {
    /// Reads the columns as the task declares them.
    pub(crate) fn take(task: &Task, spec: &SourceSpec) -> Result<Self> {
        let columns = spec.columns.iter().map(|(name, column)| Column::take(task, spec, name, column).map(Arc::new));
        let mut declared = Self::of(columns.collect::<Result<_>>()?, spec.unknown_columns == UnknownColumns::Ignore);
        declared.names_are_loose = spec.files.as_ref().is_some_and(FilesSpec::has_loose_headers);
        let has_header = spec.files.as_ref().is_none_or(FilesSpec::has_header);
        if let Some((column, message, help)) = declared.names().conflict(has_header) {
            let (name, at) = spec.columns.get_index(column).ok_or_else(|| Error::internal("a column is gone"))?;
            let error = task.error(at, format!("column `{name}`: {message}"));
            return Err(Box::new(error.with_help(help)).into());
        }
        Ok(declared)
    }

    pub(crate) fn of(columns: Vec<Arc<Column>>, ignore_unknown: bool) -> Self {
        let fields = columns.iter().map(|column| column.field());
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Self { schema, columns, ignore_unknown, names_are_loose: false }
    }

    /// The column names that a file must have.
    pub(crate) fn names(&self) -> ExpectedNames {
        let columns = self.columns.iter().map(|column| ExpectedName {
            column: column.name.clone(),
            headers: column.headers().cloned().collect(),
            position: column.position,
            presence: match (column.from, column.is_optional) {
                (ColumnFrom::Column, false) => Presence::Required,
                (ColumnFrom::Column, true) => Presence::Optional,
                _ => Presence::Elsewhere,
            },
        });
        ExpectedNames {
            columns: columns.collect(),
            ignore_unknown: self.ignore_unknown,
            are_loose: self.names_are_loose,
            are_a_line: false,
        }
    }
}

impl Column {
    /// A column without checks, with the same name in the files.
    pub(crate) fn plain(name: &str, kind: DataType) -> Self {
        Self {
            name: name.to_owned(),
            header: name.to_owned(),
            other_headers: vec![],
            path: vec![],
            position: None,
            characters: None,
            form: Form::of(&kind),
            kind,
            from: ColumnFrom::Column,
            is_optional: false,
            default: None,
            null_values: vec![],
            can_be_unvalued: false,
            not_null: false,
            accepted: None,
            on_invalid: OnInvalid::Reject,
        }
    }

    /// As the engine has it.
    fn field(&self) -> Field {
        let field = Field::new(&self.name, self.kind.clone(), true);
        if matches!(self.form, Form::Json) { mark_json(field) } else { field }
    }

    /// All its names in the files.
    pub(crate) fn headers(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.header).chain(&self.other_headers)
    }

    /// A column of a type, with the same name in the files.
    #[cfg(test)]
    pub(crate) fn typed(name: &str, sql_type: SqlType) -> Self {
        Self { form: Form::of_type(sql_type), ..Self::plain(name, sql_type.arrow()) }
    }

    /// The same column with these texts for null.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn with_null_values(&self, null_values: &[String]) -> Self {
        Self { null_values: null_values.to_vec(), ..self.clone() }
    }

    fn take(task: &Task, source: &SourceSpec, name: &str, spec: &Spanned<ColumnSpec>) -> Result<Self> {
        let wrong = |message: String, help: &str| {
            Box::new(task.error(spec, format!("column `{name}`: {message}")).with_help(help))
        };
        let column = &spec.value;
        if column.not_null && column.on_invalid == OnInvalid::SetNull {
            let help = "use `on_invalid: reject` or `fail`, or remove `not_null`";
            return Err(wrong("`on_invalid: set_null` cannot repair a null".to_owned(), help).into());
        }
        let form = Form::take(column, source).map_err(|(message, help)| wrong(message, help))?;
        let accepted =
            match &column.accepted_values {
                None => None,
                Some(values) => Some(accepted(values, column.sql_type).map_err(|message| {
                    wrong(message, "write every value in the canonical form of the column's type")
                })?),
            };
        let default = column.default.as_ref().map(|Scalar(text)| {
            value::value(text, &Form::of_type(column.sql_type)).ok_or_else(|| {
                let help = "write it in the canonical form of the column's type";
                wrong(format!("its default `{text}` is not a {}", column.sql_type), help)
            })
        });
        let header = column.path.as_ref().or(column.header.first());
        Ok(Self {
            name: name.to_owned(),
            header: header.cloned().unwrap_or_else(|| name.to_owned()),
            path: column.path.iter().flat_map(|path| path.split('.')).map(str::to_owned).collect(),
            other_headers: column.header.get(1..).unwrap_or_default().to_vec(),
            position: column.position.map(|position| position as usize),
            characters: column.characters,
            kind: column.sql_type.arrow(),
            from: column.from,
            is_optional: column.optional,
            default: default.transpose()?,
            form,
            null_values: column.values.null_values.as_ref().unwrap_or(&source.null_values).clone(),
            can_be_unvalued: source.files.as_ref().is_some_and(|files| files.format == Format::Excel),
            not_null: column.not_null,
            accepted,
            on_invalid: column.on_invalid,
        })
    }

    /// Whether a text means null.
    pub(crate) fn is_null_value(&self, text: &[u8]) -> bool {
        self.null_values.iter().any(|null| null.as_bytes() == text)
    }

    /// Whether a text can be invalid in this column.
    pub(crate) fn can_reject_text(&self) -> bool {
        let can_reject = self.form.can_reject() || self.can_be_unvalued;
        (can_reject && self.from == ColumnFrom::Column) || self.has_checks()
    }

    /// Whether the texts of a block are its values, unchanged and without any check.
    fn is_plain(&self) -> bool {
        let is_text = matches!(self.form, Form::Text { empty_as_null: false });
        is_text
            && !self.can_be_unvalued
            && !self.has_checks()
            && self.from == ColumnFrom::Column
            && self.default.is_none()
    }

    /// Whether its values have checks other than their type.
    pub(crate) fn has_checks(&self) -> bool {
        self.not_null || self.accepted.is_some()
    }

    /// Whether an invalid value becomes null.
    pub(crate) fn sets_null(&self) -> bool {
        self.on_invalid == OnInvalid::SetNull
    }

    /// Keeps a few of the texts that are no values of its type, to find out how the task could declare it.
    pub(crate) fn keep_unread(&self, texts: &ArrayRef, typed: &Typed, rejected: &RejectedRoute) {
        let Some(texts) = texts.as_string_view_opt().filter(|_| !typed.invalid.is_empty()) else { return };
        let others_are_read = texts.len() - texts.null_count() > typed.invalid.len();
        let invalid = typed.invalid.iter().map(|row| texts.value(*row).as_bytes());
        rejected.unread.add(&format!("invalid_{}", self.name), invalid, others_are_read);
    }

    /// The rows with invalid values, in order, with the reasons; some may have no value that can be read.
    fn findings(&self, typed: &Typed, unvalued: &[Finding]) -> Result<Vec<Finding>, ArrowError> {
        let mut findings: Vec<_> = typed.invalid.iter().map(|row| (*row, "invalid_")).collect();
        findings.extend_from_slice(unvalued);
        findings.sort_unstable_by_key(|(row, _)| *row);
        if !self.has_checks() {
            return Ok(findings);
        }
        let is_invalid = findings.clone();
        let fits = |row: &usize| is_invalid.binary_search_by_key(row, |(row, _)| *row).is_err();
        let values = &typed.values;
        if self.not_null && values.null_count() > 0 {
            let missing = (0..values.len()).filter(|row| values.is_null(*row)).filter(fits);
            findings.extend(missing.map(|row| (row, "missing_")));
        }
        if let Some(accepted) = &self.accepted {
            let schema = Schema::new(vec![Field::new(VALUE, self.kind.clone(), true)]);
            let batch = RecordBatch::try_new(Arc::new(schema), vec![values.clone()])?;
            let answer = accepted.evaluate(&batch).and_then(|answer| answer.into_array(values.len()));
            let answer = answer.map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
            let answer = answer.as_boolean();
            let other = (0..values.len()).filter(|row| values.is_valid(*row) && !answer.value(*row)).filter(fits);
            findings.extend(other.map(|row| (row, "unaccepted_")));
        }
        findings.sort_unstable_by_key(|(row, _)| *row);
        Ok(findings)
    }
}

/// A row, and the reason for its rejection before the name of the column.
type Finding = (usize, &'static str);

/// The name of a value in the expression of its column's accepted values.
const VALUE: &str = "value";

fn accepted(values: &[Scalar], sql_type: SqlType) -> Result<Arc<dyn PhysicalExpr>, String> {
    if values.is_empty() {
        return Err("the list of accepted values is empty".to_owned());
    }
    let schema = Schema::new(vec![Field::new(VALUE, sql_type.arrow(), true)]);
    let parsed = values.iter().map(|Scalar(text)| {
        value::value(text, &Form::of_type(sql_type)).map(lit).ok_or_else(|| format!("`{text}` is not a {sql_type}"))
    });
    let parsed = parsed.collect::<Result<Vec<_>, _>>()?;
    let value = col(VALUE, &schema).map_err(|error| plain(&error))?;
    in_list(value, parsed, &false, &schema).map_err(|error| plain(&error))
}

/// The columns that a scan reads: first the requested ones.
#[derive(Debug)]
pub(crate) struct ReadColumns {
    pub(crate) schema: SchemaRef,
    pub(crate) columns: Vec<Arc<Column>>,
    /// Whether the texts of a block are the values of all of them, and none can be invalid.
    pub(crate) are_plain: bool,
    /// The index of each among the declared columns.
    declared: Vec<usize>,
    asked: usize,
}

/// Rows after the checks of their columns.
pub(crate) struct Checked {
    /// The rows that are kept.
    pub(crate) batch: RecordBatch,
    /// The rejected rows, in order, with their reasons.
    pub(crate) rejected: Vec<(usize, String)>,
    /// Values of kept rows that became null, by reason.
    pub(crate) nulled: Vec<NulledRows>,
    /// The first row with a value that ends the run; its column and reason.
    pub(crate) failed: Option<(usize, String, String)>,
}

/// Values that became null for one reason.
pub(crate) struct NulledRows {
    pub(crate) reason: String,
    pub(crate) rows: u64,
    /// A sample of the rows.
    pub(crate) samples: Vec<usize>,
}

impl ReadColumns {
    pub(crate) fn new(
        declared: &Declared,
        asked: &[usize],
        unasked: impl Iterator<Item = usize>,
    ) -> Result<Self, ArrowError> {
        let read: Vec<usize> = asked.iter().copied().chain(unasked).collect();
        let columns: Vec<_> = read.iter().map(|column| declared.columns[*column].clone()).collect();
        Ok(Self {
            schema: Arc::new(declared.schema.project(&read)?),
            are_plain: columns.iter().all(|column| column.is_plain()),
            columns,
            declared: read,
            asked: asked.len(),
        })
    }

    /// The index of a declared column among those that are read.
    pub(crate) fn place(&self, declared: usize) -> Option<usize> {
        self.declared.iter().position(|read| *read == declared)
    }

    /// The columns of files that have a default.
    pub(crate) fn with_default(&self) -> impl Iterator<Item = usize> {
        let columns = self.columns.iter().enumerate();
        columns.filter(|(_, column)| column.default.is_some() && column.from == ColumnFrom::Column).map(|(at, _)| at)
    }

    /// The declared index of each column that is read.
    pub(crate) fn declared(&self) -> &[usize] {
        &self.declared
    }

    pub(crate) fn asked_schema(&self) -> Result<SchemaRef, ArrowError> {
        Ok(Arc::new(self.schema.project(&(0..self.asked).collect::<Vec<_>>())?))
    }

    /// The requested columns of a batch of those that were read.
    pub(crate) fn asked(&self, batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
        match batch.num_columns() == self.asked {
            true => Ok(batch),
            false => batch.project(&(0..self.asked).collect::<Vec<_>>()),
        }
    }

    /// Checks rows with the checks of their columns; some fields may have no value.
    pub(crate) fn check(
        &self,
        mut typed: Vec<Typed>,
        rows: usize,
        unvalued: &[Unvalued],
    ) -> Result<Checked, ArrowError> {
        let mut reasons: Vec<Option<String>> = Vec::new();
        let mut nulls: Vec<(String, Vec<usize>)> = Vec::new();
        let mut failed: Option<(usize, String, String)> = None;
        // In declared order: the reasons of a row must not depend on the query.
        let mut places: Vec<usize> = (0..typed.len()).collect();
        places.sort_unstable_by_key(|place| self.declared[*place]);
        for place in places {
            let (column, typed) = (&self.columns[place], &mut typed[place]);
            let unvalued = unvalued.iter().filter(|field| field.column == place).map(|field| (field.row, field.kind));
            let findings = column.findings(typed, &unvalued.collect::<Vec<_>>())?;
            let Some((first, kind)) = findings.first() else { continue };
            match column.on_invalid {
                OnInvalid::Reject => {
                    reasons.resize(rows, None);
                    for (row, kind) in findings {
                        let reasons = reasons[row].get_or_insert_default();
                        if !reasons.is_empty() {
                            reasons.push(';');
                        }
                        reasons.push_str(kind);
                        reasons.push_str(&column.name);
                    }
                }
                OnInvalid::SetNull => {
                    let mut wrong = vec![false; rows];
                    findings.iter().for_each(|(row, _)| wrong[*row] = true);
                    typed.values = nullif(&typed.values, &BooleanArray::from(wrong))?;
                    let mut kinds: Vec<&str> = findings.iter().map(|finding| finding.1).collect();
                    kinds.sort_unstable();
                    kinds.dedup();
                    for kind in kinds {
                        let rows = findings.iter().filter(|finding| finding.1 == kind).map(|finding| finding.0);
                        nulls.push((format!("{kind}{}", column.name), rows.collect()));
                    }
                }
                OnInvalid::Fail if failed.as_ref().is_none_or(|(row, ..)| first < row) => {
                    failed = Some((*first, column.name.clone(), format!("{kind}{}", column.name)));
                }
                OnInvalid::Fail => {}
            }
        }
        let columns = typed.into_iter().map(|typed| typed.values).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let mut batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        if !reasons.is_empty() {
            let kept = BooleanBuffer::from_iter(reasons.iter().map(Option::is_none));
            batch = filter_record_batch(&batch, &BooleanArray::new(kept, None))?;
            nulls.iter_mut().for_each(|(_, rows)| rows.retain(|row| reasons[*row].is_none()));
        }
        let nulled = nulls.into_iter().filter(|(_, rows)| !rows.is_empty()).map(|(reason, mut wrong)| {
            let rows = wrong.len() as u64;
            wrong.truncate(SAMPLES);
            NulledRows { reason, rows, samples: wrong }
        });
        Ok(Checked {
            batch,
            rejected: reasons.into_iter().enumerate().filter_map(|(row, reason)| Some((row, reason?))).collect(),
            nulled: nulled.collect(),
            failed,
        })
    }
}
