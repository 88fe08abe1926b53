//! `sources:` the inputs of a task.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_saphyr::Spanned;

use super::column::ColumnSpec;
use super::files::FilesSpec;
use super::reference::{Published, ReferenceSpec};
use super::sql_type::SqlType;
use super::text::Scalar;
use super::values::{Formats, Negative, ValueSpec};

/// A source: one entry under `sources`, a table that models read in SQL by the source's name. Its rows come from files
/// (`files`), from a database table (`postgres`, `mysql`), from a fetcher of the program that runs the task (`fetch`), or from
/// what another task publishes (`ref`); exactly one of them is given.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Source")]
pub struct SourceSpec {
    /// The files to read.
    #[serde(default)]
    pub files: Option<FilesSpec>,
    /// The table or view of a PostgreSQL database to read.
    #[serde(default)]
    pub postgres: Option<PostgresSourceSpec>,
    /// The table or view of a MySQL or MariaDB database to read.
    #[serde(default)]
    pub mysql: Option<MysqlSourceSpec>,
    /// The fetcher to call.
    #[serde(default)]
    pub fetch: Option<FetchSpec>,
    /// The sink of another task, as `task.sink`: what it has published is read, with its columns and their types. The task is
    /// found by its name, in the folder of this one, and `weir schedule` runs it before this one, as if it were under `after`.
    /// What its sink protects is read as it was published; what is `public` there stays private here.
    #[serde(default, rename = "ref")]
    #[schemars(with = "Option<ReferenceSpec>", example = &"customers.customer")]
    pub reference: Option<Spanned<ReferenceSpec>>,
    /// Which of the matching files are read.
    #[serde(default)]
    pub read: Read,
    /// With `read: new`: what to do about a file whose content differs from when a run read it under the same path.
    #[serde(default)]
    pub if_changed: IfChanged,
    /// With `read: new`: what to do about a file with the content of another one that a run has read, or that is read by the
    /// same run. A file whose former path is gone was renamed: it is not read again, except with `read`.
    #[serde(default)]
    pub if_copied: IfCopied,
    /// What to do when there is no file to read. Default: `skip` for a source with `read: new` or `archive`, otherwise
    /// `fail`.
    #[serde(default)]
    pub if_missing: Option<IfMissing>,
    /// What to do about a file without content, of zero bytes or of blank lines only. Default: `fail`; a JSON Lines file
    /// without content has no rows.
    #[serde(default)]
    pub if_empty: Option<IfEmpty>,
    /// The folder to which files are moved after the run that read them is published; for objects one in their bucket.
    /// `${param}` is replaced.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"${input}/done")]
    pub archive: Option<Spanned<String>>,
    /// Whether the archive may hold files with private columns as they are: it keeps what no sink writes.
    #[serde(default)]
    pub archive_private: bool,
    /// What to do about a column that a file has and `columns` does not declare.
    #[serde(default)]
    pub unknown_columns: UnknownColumns,
    /// Texts that mean null, in addition to the empty field. In CSV a quoted text is null only in columns of other types
    /// than `string`.
    #[serde(default)]
    #[schemars(example = json!(["NA", "-"]))]
    pub null_values: Vec<String>,
    /// Whether the empty text of a `string` column is null. In every other type an empty text is always null.
    #[serde(default)]
    pub empty_as_null: Option<bool>,
    /// The words for true in `boolean` columns, in any case, in addition to `true`.
    #[serde(default)]
    #[schemars(example = json!(["Y", "1"]))]
    pub true_values: Option<Vec<Scalar>>,
    /// The words for false in `boolean` columns, in any case, in addition to `false`.
    #[serde(default)]
    #[schemars(example = json!(["N", "0"]))]
    pub false_values: Option<Vec<Scalar>>,
    /// The decimal point of numbers. Default: `.`.
    #[serde(default)]
    #[schemars(example = &",")]
    pub decimal_point: Option<String>,
    /// The character between groups of digits, which numbers may have: `1,234.50`. A blank stands for all kinds of it.
    /// Default: none.
    #[serde(default)]
    #[schemars(example = &".")]
    pub thousands: Option<String>,
    /// Texts that may stand before or behind a number, such as a currency or a unit.
    #[serde(default)]
    #[schemars(example = json!(["EUR", "%"]))]
    pub strip: Option<Vec<String>>,
    /// Ways in which a negative number is written, in addition to a minus sign before it.
    #[serde(default)]
    #[schemars(example = json!(["parentheses"]))]
    pub negative: Option<Vec<Negative>>,
    /// The time zone of timestamps without an offset, by its IANA name: they become UTC. A time that the clocks of the
    /// zone never show, or show twice, is invalid.
    #[serde(default)]
    #[schemars(example = &"Europe/Berlin")]
    pub timezone: Option<String>,
    /// How `date` columns are written, unless they have a `format` of their own.
    #[serde(default)]
    pub date_format: Option<Formats>,
    /// How `timestamp` and `timestamptz` columns are written, unless they have a `format` of their own.
    #[serde(default)]
    pub timestamp_format: Option<Formats>,
    /// The columns by name, in the order of the table; files may have them in another order. Required, but for `ref`.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, ColumnSpec>", example = json!({"name": "string", "amount": {"type": "decimal(12,2)"}}))]
    pub columns: IndexMap<String, Spanned<ColumnSpec>>,
    /// What its `ref` led to.
    #[serde(skip)]
    #[schemars(skip)]
    pub(crate) published: Option<Published>,
}

/// A table, a view or the result of a query of a PostgreSQL database to read; either `table` or `query` is given. A run reads a consistent snapshot (REPEATABLE READ): everything it
/// reads over one connection is from the same transaction.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PostgresSource")]
pub struct PostgresSourceSpec {
    /// The name of a connection in `weir.yaml`.
    #[schemars(with = "String", example = &"shop")]
    pub connection: Spanned<String>,
    /// The table or view, with its schema if that is not on the connection's search path: `sales` or `shop.sales`.
    /// `${param}` is replaced.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"shop.sales")]
    pub table: Option<Spanned<String>>,
    /// One `select` in the SQL of the server. `$param` is the value of a parameter, as a literal of its type.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"select id, tags::text as tags from shop.item where made >= $since")]
    pub query: Option<Spanned<String>>,
    /// Incremental reading: a run reads only the rows that are newer than those that published runs have read.
    #[serde(default)]
    pub cursor: Option<CursorSpec>,
}

/// A table, a view or the result of a query of a MySQL or MariaDB database to read; either `table` or `query` is given. A
/// run reads a consistent snapshot: everything it reads over one connection is from the same transaction, except tables of
/// engines without transactions, such as MyISAM.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MysqlSource")]
pub struct MysqlSourceSpec {
    /// The name of a connection in `weir.yaml`.
    #[schemars(with = "String", example = &"shop")]
    pub connection: Spanned<String>,
    /// The table or view, with its database if that is not the one of the connection: `sales` or `archive.sales`.
    /// `${param}` is replaced.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"sales")]
    pub table: Option<Spanned<String>>,
    /// One `select` in the SQL of the server. `$param` is the value of a parameter, as a literal of its type.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = &"select id, st_astext(place) as place from shop where made >= $since")]
    pub query: Option<Spanned<String>>,
    /// Incremental reading: a run reads only the rows that are newer than those that published runs have read.
    #[serde(default)]
    pub cursor: Option<CursorSpec>,
    /// What a date of which a part is zero is, such as `0000-00-00` or `2024-05-00`.
    #[serde(default)]
    pub zero_dates: ZeroDates,
    /// Whether the values of `datetime` columns are in UTC: they can then be declared as `timestamptz`. Sinks write these so.
    #[serde(default)]
    pub utc_datetimes: bool,
}

/// What a date is of which a part is zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ZeroDates {
    /// An invalid value: its row is rejected.
    #[default]
    Reject,
    /// Null.
    Null,
}

/// The column by which a source is read incrementally.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Cursor")]
pub struct CursorSpec {
    /// A column that is greater in newer rows: a whole number, `numeric`, a date or a timestamp. It must not be null. The
    /// greatest value that a run has read is kept in the ledger with the run, and counts once the run is published.
    #[schemars(with = "String", example = &"updated_at")]
    pub column: Spanned<String>,
    /// Rows that are older than the greatest value by less than this are read again: for rows that were committed late.
    /// `mode: merge` then updates those that are there already.
    #[serde(default)]
    #[schemars(with = "Option<Scalar>", example = &"1h")]
    pub lag: Option<Spanned<Scalar>>,
}

/// Rows from a fetcher that the program registers, such as the APIs of `section4`. `weir` itself has none.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Fetch")]
pub struct FetchSpec {
    /// The name under which the program registers the fetcher.
    #[schemars(with = "String", example = &"covid_cases")]
    pub with: Spanned<String>,
    /// The arguments, by name. `${param}` is replaced.
    #[serde(default)]
    #[schemars(with = "IndexMap<String, Scalar>", example = json!({"country": "${country}"}))]
    pub options: IndexMap<String, Spanned<Scalar>>,
}

impl SourceSpec {
    /// Whether one of its columns is private.
    pub(crate) fn has_private_columns(&self) -> bool {
        self.columns.values().any(|column| column.value.private.is_some())
    }

    /// The column by which a table is read incrementally.
    pub(crate) fn cursor(&self) -> Option<&CursorSpec> {
        let of_postgres = self.postgres.as_ref().and_then(|table| table.cursor.as_ref());
        of_postgres.or_else(|| self.mysql.as_ref().and_then(|table| table.cursor.as_ref()))
    }

    /// A source of files, with the default of every setting.
    pub(crate) fn of_files(files: FilesSpec, columns: IndexMap<String, Spanned<ColumnSpec>>) -> Self {
        Self { files: Some(files), columns, ..Self::default() }
    }

    /// Whether its rows come from a table of a database.
    pub(crate) fn is_table(&self) -> bool {
        self.postgres.is_some() || self.mysql.is_some()
    }

    /// How the values of its columns are written, unless they say otherwise.
    pub fn values(&self) -> ValueSpec {
        ValueSpec {
            null_values: Some(self.null_values.clone()),
            empty_as_null: self.empty_as_null,
            true_values: self.true_values.clone(),
            false_values: self.false_values.clone(),
            decimal_point: self.decimal_point.clone(),
            thousands: self.thousands.clone(),
            strip: self.strip.clone(),
            negative: self.negative.clone(),
            timezone: self.timezone.clone(),
        }
    }

    /// The formats of the columns of a type, unless they have their own.
    pub fn formats(&self, sql_type: SqlType) -> Option<&Formats> {
        match sql_type {
            SqlType::Date => self.date_format.as_ref(),
            SqlType::Timestamp | SqlType::TimestampTz => self.timestamp_format.as_ref(),
            _ => None,
        }
    }

    /// Values are written as they are by default, and null as `null`.
    pub(crate) fn set_plain_values(&mut self, null: &str) {
        self.null_values = vec![null.to_owned()];
        (self.empty_as_null, self.true_values, self.false_values, self.decimal_point) = (None, None, None, None);
        (self.thousands, self.strip, self.negative, self.timezone) = (None, None, None, None);
        (self.date_format, self.timestamp_format) = (None, None);
    }

    /// The effective `if_missing`, default included.
    pub fn if_missing(&self) -> IfMissing {
        let empties = self.read == Read::New || self.archive.is_some();
        self.if_missing.unwrap_or(if empties { IfMissing::Skip } else { IfMissing::Fail })
    }
}

/// Which of the matching files a run reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Read {
    /// All of them, in every run.
    #[default]
    All,
    /// Only files that no published run of the task in this environment has read.
    New,
}

/// What `read: new` does about a file that was read before and whose content has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IfChanged {
    /// End with an error: rows that are in both versions would be read twice.
    #[default]
    Fail,
    /// Read the whole file again.
    Read,
    /// Read what follows the former end of a CSV or JSON Lines file that has grown and ended with a complete line; otherwise
    /// end with an error.
    NewRows,
}

/// What `read: new` does about a file with the content of another one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IfCopied {
    /// End with an error: if it is a copy, its rows would be there twice.
    #[default]
    Fail,
    /// Do not read it. Its path counts as read from then on.
    Skip,
    /// Read it: deliveries may be equal.
    Read,
}

/// What a run does when a source has no file to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IfMissing {
    /// End with an error.
    Fail,
    /// Do nothing and publish nothing; the run succeeds.
    Skip,
    /// Continue with no rows.
    Empty,
}

/// What a run does about a file without content, not even a header line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IfEmpty {
    /// End with an error that names the file.
    Fail,
    /// Read no rows from it.
    Skip,
}

/// What a run does about columns that the task does not declare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownColumns {
    /// End with an error that names the file and the column.
    #[default]
    Fail,
    /// Ignore them.
    Ignore,
}
