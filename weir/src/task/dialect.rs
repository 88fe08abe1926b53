//! The values of the keys of `files` that are about the form of CSV.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::text::Scalar;

/// Where the names of the columns are in a CSV file: `true`, `false` or the number of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderSpec {
    /// The first line that is not skipped.
    First,
    /// Nowhere: the columns have the declared order.
    None,
    /// The line with this number, from 1.
    Line(u32),
}

impl<'de> Deserialize<'de> for HeaderSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Scalar(text) = Scalar::deserialize(deserializer)?;
        match text.as_str() {
            "true" => Ok(Self::First),
            "false" => Ok(Self::None),
            text => match text.parse() {
                Ok(line) if line > 0 => Ok(Self::Line(line)),
                _ => Err(de::Error::custom(format!("`{text}` is not true, false or the number of a line, from 1"))),
            },
        }
    }
}

/// How the names of columns in files are compared with the declared ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Headers {
    /// They are equal.
    Exact,
    /// Blanks around them and upper or lower case do not matter.
    Loose,
}

/// What a record is that has the text of the header, in a file that was put together from several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RepeatedHeader {
    /// A record that cannot be read.
    Reject,
    /// No record.
    Skip,
}

/// Which of several merged cells of a sheet have the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MergedCells {
    /// Each of them.
    Fill,
    /// The first one; the others are empty.
    First,
}

/// What ends a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LineEnd {
    /// A line feed; a source also takes a carriage return before it.
    Lf,
    /// A carriage return and a line feed; a source also takes a line feed alone.
    Crlf,
    /// A carriage return, as on old Macs.
    Cr,
}

/// What a line of a fixed-width file is that ends before the characters of its last columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShortLines {
    /// A record that cannot be read.
    #[default]
    Reject,
    /// One that has blanks there.
    Fill,
}

/// Which values of a CSV file are enclosed in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quoting {
    /// Those that could not be read back otherwise.
    Minimal,
    /// All of them. Null has no quotes.
    All,
}
