//! `columns:` of a source.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use super::characters::Characters;
use super::private::PrivateSpec;
use super::sql_type::SqlType;
use super::text::{ColumnNames, Scalar, ShortOrLong, short_or_long};
use super::values::{Formats, Negative, ValueSpec};

/// A source's column: its type, such as `string`, or a mapping such as `{type: string, header: "E-mail"}`.
#[derive(Debug, Clone)]
pub struct ColumnSpec {
    /// The column's type.
    pub sql_type: SqlType,
    /// The formats of its values; for dates and times.
    pub format: Option<Formats>,
    /// The column's names in the files, if they differ from the name in the task: each file has one of them.
    pub header: Vec<String>,
    /// Where its value is in a JSON record, if it is in an object: the keys, with dots between them.
    pub path: Option<String>,
    /// The column's position in CSV files, from 1, if that counts and not its name.
    pub position: Option<u32>,
    /// Its characters in the lines of fixed-width files.
    pub characters: Option<Characters>,
    /// Where its values come from.
    pub from: ColumnFrom,
    /// Whether files may lack it.
    pub optional: bool,
    /// Its value where files lack it, if not null.
    pub default: Option<Scalar>,
    /// Whether null is an invalid value.
    pub not_null: bool,
    /// The only valid values, if limited; null is valid as well.
    pub accepted_values: Option<Vec<Scalar>>,
    /// What happens to a row with an invalid value.
    pub on_invalid: OnInvalid,
    /// How its values are written, where that differs from the source.
    pub values: ValueSpec,
    /// What sinks write in place of its values, if it is private.
    pub private: Option<PrivateSpec>,
    /// The column's description.
    pub description: Option<String>,
}

impl ColumnSpec {
    /// A column with a type and no further settings.
    pub fn of(sql_type: SqlType) -> Self {
        Self {
            sql_type,
            format: None,
            header: vec![],
            path: None,
            position: None,
            characters: None,
            from: ColumnFrom::default(),
            optional: false,
            default: None,
            not_null: false,
            accepted_values: None,
            on_invalid: OnInvalid::default(),
            values: ValueSpec::default(),
            private: None,
            description: None,
        }
    }

    /// Fails if its keys do not fit each other.
    fn check(&self) -> Result<(), String> {
        let from = match self.from {
            ColumnFrom::Column => None,
            ColumnFrom::File => Some(("file", "string", self.sql_type == SqlType::String)),
            ColumnFrom::Line => Some(("line", "bigint", self.sql_type == SqlType::Bigint)),
            ColumnFrom::Modified => Some(("modified", "timestamp or timestamptz", self.sql_type.is_timestamp())),
            ColumnFrom::Folder => Some(("folder", "", true)),
        };
        match from {
            Some((from, kind, false)) => return Err(format!("a column with `from: {from}` has the type {kind}")),
            Some((from, ..)) if from != "folder" => {
                let keys = [
                    ("header", !self.header.is_empty()),
                    ("path", self.path.is_some()),
                    ("position", self.position.is_some()),
                    ("characters", self.characters.is_some()),
                    ("format", self.format.is_some()),
                    ("optional", self.optional),
                ];
                let key = keys.iter().find(|(_, is_set)| *is_set).map(|(key, _)| *key);
                if let Some(key) = key.or_else(|| self.values.any_key()) {
                    return Err(format!("`{key}` is not for a column with `from: {from}`: remove it"));
                }
            }
            _ => {}
        }
        if let Some(path) = &self.path {
            if !self.header.is_empty() {
                return Err("`path` and `header` both say where its values are: specify one of the two".to_owned());
            }
            if self.from != ColumnFrom::Column {
                return Err("`path` is for a column of the files: remove it, or `from`".to_owned());
            }
            if path.split('.').any(str::is_empty) {
                return Err("`path` is a list of keys with dots between them, such as `user.name`".to_owned());
            }
        }
        match self.default.is_some() && !self.optional {
            true => Err("`default` is the value where files lack the column: add `optional: true`".to_owned()),
            false => Ok(()),
        }
    }
}

/// Where the values of a column come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColumnFrom {
    /// The column of this name in the files.
    #[default]
    Column,
    /// The name of the file, as messages show it; a `string`.
    File,
    /// The number of the row's first line in its file, or of its row in a Parquet file, from 1; a `bigint`.
    Line,
    /// The time of the file's last change, in UTC; a `timestamp` or `timestamptz`.
    Modified,
    /// The value of the folder `name=value` in the path of the file.
    Folder,
}

/// What happens to a row with a value that does not fit its column's `type`, `not_null` or `accepted_values`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnInvalid {
    /// The row goes to `source.rejected`, with the reason.
    #[default]
    Reject,
    /// The value becomes null and is counted; the row is kept.
    SetNull,
    /// The run ends with an error.
    Fail,
}

/// A column in long form.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct LongColumn {
    /// The column's type.
    r#type: SqlType,
    /// The format of a date or time in the files: in `strftime` syntax, `iso8601` (the default), `iso8601_truncated` (digits
    /// of a second behind the sixth are cut off), `epoch_seconds`, `epoch_milliseconds` or `epoch_microseconds` (a number
    /// since 1970-01-01, in UTC), or `excel` (a serial number of days). For a `binary` column: `hex` (the default) or `base64`.
    format: Option<Formats>,
    /// The column's name in the files, if it differs from the name in the task; or a list of names, of which each file has one.
    #[schemars(example = &"Amount (SGD)", example = json!(["Amount", "Amount (SGD)"]))]
    header: Option<ColumnNames>,
    /// For JSON, where its value is within the record: the keys of the objects around it, with dots between them. Other keys
    /// in these objects are ignored; null in place of an object is null.
    #[schemars(example = &"user.name")]
    path: Option<String>,
    /// The column's position in CSV files, from 1, instead of its name: for a column whose name is not unique, or that has none.
    #[schemars(range(min = 1), example = &3)]
    position: Option<u32>,
    /// The column's characters in the lines of fixed-width files, from 1: `1-8` for the first eight, `9` for one, `20-` for
    /// those up to the end of the line.
    #[schemars(with = "Option<String>", example = &"1-8")]
    characters: Option<Characters>,
    /// Where its values come from.
    #[serde(default)]
    from: ColumnFrom,
    /// Whether files may lack the column. Its value is then `default`.
    #[serde(default)]
    optional: bool,
    /// The value in rows of files that lack the column, and of JSON objects that lack the key. Default: null.
    #[schemars(example = &"SGD")]
    default: Option<Scalar>,
    /// Whether null is an invalid value.
    #[serde(default)]
    not_null: bool,
    /// The only valid values. Null is valid as well, unless `not_null` is set.
    #[schemars(example = json!(["SGD", "USD"]))]
    accepted_values: Option<Vec<Scalar>>,
    /// What happens to a row with a value that does not fit `type`, `not_null` or `accepted_values`.
    #[serde(default)]
    on_invalid: OnInvalid,
    /// Texts that mean null, instead of those of the source.
    #[schemars(example = json!(["NA"]))]
    null_values: Option<Vec<String>>,
    /// Whether the empty text of a `string` column is null. In every other type an empty text is always null.
    empty_as_null: Option<bool>,
    /// The words for true, in any case, in addition to `true`.
    #[schemars(example = json!(["Y", "1"]))]
    true_values: Option<Vec<Scalar>>,
    /// The words for false, in any case, in addition to `false`.
    #[schemars(example = json!(["N", "0"]))]
    false_values: Option<Vec<Scalar>>,
    /// The decimal point of numbers. Default: `.`.
    #[schemars(example = &",")]
    decimal_point: Option<String>,
    /// The character between groups of digits, which numbers may have: `1,234.50`. A blank stands for all kinds of it.
    /// Default: none.
    #[schemars(example = &".")]
    thousands: Option<String>,
    /// Texts that may stand before or behind a number, such as a currency or a unit.
    #[schemars(example = json!(["EUR", "%"]))]
    strip: Option<Vec<String>>,
    /// Ways in which a negative number is written, in addition to a minus sign before it.
    #[schemars(example = json!(["parentheses"]))]
    negative: Option<Vec<Negative>>,
    /// The time zone of timestamps without an offset, by its IANA name: they become UTC. A time that the clocks of the
    /// zone never show, or show twice, is invalid.
    #[schemars(example = &"Europe/Berlin")]
    timezone: Option<String>,
    /// What sinks write in place of its values, and of all that is computed from them. SQL sees the values.
    private: Option<PrivateSpec>,
    /// The column's description.
    description: Option<String>,
}

impl<'de> ShortOrLong<'de> for ColumnSpec {
    type Long = LongColumn;

    fn short(text: &str) -> Result<Self, String> {
        text.parse().map(Self::of)
    }

    fn long(long: LongColumn) -> Result<Self, String> {
        let values = ValueSpec {
            null_values: long.null_values,
            empty_as_null: long.empty_as_null,
            true_values: long.true_values,
            false_values: long.false_values,
            decimal_point: long.decimal_point,
            thousands: long.thousands,
            strip: long.strip,
            negative: long.negative,
            timezone: long.timezone,
        };
        let LongColumn {
            r#type: sql_type,
            format,
            header,
            path,
            position,
            characters,
            from,
            optional,
            default,
            not_null,
            accepted_values,
            on_invalid,
            private,
            description,
            ..
        } = long;
        let header = header.map(|ColumnNames(names)| names).unwrap_or_default();
        let column = Self {
            sql_type,
            format,
            header,
            path,
            position,
            characters,
            from,
            optional,
            default,
            not_null,
            accepted_values,
            on_invalid,
            values,
            private,
            description,
        };
        column.check().map(|()| column)
    }
}

impl<'de> Deserialize<'de> for ColumnSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        short_or_long(deserializer, "a type, or a mapping with `type`")
    }
}
