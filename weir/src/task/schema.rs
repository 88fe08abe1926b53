//! The JSON schema of task files. It is derived from the structs that a task file is parsed into; the shapes with a
//! hand-written `Deserialize` are defined here.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::column::LongColumn;
use super::quality::LongRule;
use super::text::ColumnNames;
use super::{
    ColumnSpec, Formats, HeaderSpec, Limit, OutputColumnSpec, PrivateSpec, ProjectSpec, Route, RuleSpec, Scalar, Span,
    SqlType, TaskSpec,
};

/// The schema of a task file, in draft 2020-12.
pub(crate) fn json_schema() -> Schema {
    let settings = SchemaSettings::draft2020_12().with_transform(Plain);
    settings.into_generator().into_root_schema_for::<TaskSpec>()
}

/// The schema of `weir.yaml`.
pub(crate) fn project_schema() -> Schema {
    let settings = SchemaSettings::draft2020_12().with_transform(Plain);
    settings.into_generator().into_root_schema_for::<ProjectSpec>()
}

/// Removes what does not help the author of a task file: null defaults, integer widths, and the line breaks of the doc
/// comments that the descriptions come from.
#[derive(Debug, Clone)]
struct Plain;

impl Transform for Plain {
    fn transform(&mut self, schema: &mut Schema) {
        if schema.get("default").is_some_and(Value::is_null) {
            schema.remove("default");
        }
        schema.remove("format");
        if let Some(Value::String(text)) = schema.get_mut("description") {
            *text = text.replace('\n', " ");
        }
        transform_subschemas(self, schema);
    }
}

/// Defines a named type of the schema with its shape.
macro_rules! shape {
    ($type:ty, $name:literal, $generator:ident => $schema:expr) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

shape!(SqlType, "Type", _generator => json_schema!({
    "description": "The type of a column or parameter: `string` (text in UTF-8), `boolean` (`true` or `false`), \
        `integer` (32 bits), `bigint` (64 bits), `double` (64 bits, finite), `decimal(p,s)` (exact: p digits in all, \
        at most 38, s of them after the decimal point), `date` (`2022-01-31`), `time` (`23:59:59`), `timestamp` \
        (`2022-01-31 23:59:59`, without a time zone), `timestamptz` (a moment, `2022-01-31T23:59:59Z`, in UTC), all \
        times with microseconds; `uuid`, `json` (a document as its text; a list, a struct or a map of Parquet) or `binary` (bytes, `\\x48656c6c6f`).",
    "anyOf": [
        {"enum": ["string", "boolean", "integer", "bigint", "double", "date", "time", "timestamp", "timestamptz",
            "uuid", "json", "binary"]},
        {"type": "string", "pattern": r"^decimal\([0-9]+, *[0-9]+\)$"},
    ],
    "examples": ["string", "decimal(12,2)"],
}));

shape!(PrivateSpec, "Private", _generator => json_schema!({
    "description": "What sinks write in place of the values of a private column, and of all that is computed from them; null stays \
        null. A word, or a mapping with a key or a pattern.",
    "anyOf": [
        {"const": "hash", "description": "The HMAC-SHA-256 of the value's text with the key `default`, in 64 hexadecimal digits: the \
            same value has the same token, so that tables can be joined by it."},
        {"const": "encrypt", "description": "The value's text, encrypted by AES-256-GCM-SIV with the key `default`; `weir decrypt` \
            reads it."},
        {"const": "redact", "description": "`[redacted]` in place of a text, null in place of any other value."},
        {"const": "drop", "description": "Nothing: sinks do not have the column."},
        {
            "type": "object",
            "properties": {
                "hash": {"type": "string", "description": "As `hash`, with the key of this name in `weir.yaml`.",
                    "examples": ["patients"]},
                "encrypt": {"type": "string", "description": "As `encrypt`, with the key of this name in `weir.yaml`.",
                    "examples": ["patients"]},
                "partial": {"type": "string", "description": "The parts of the text that the groups of this regular expression \
                    match, and `*` for each other character; a text that does not match has only `*`. What is computed from \
                    the value is redacted.", "examples": ["^(.).*(@.*)$"]},
            },
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": false,
        },
    ],
    "examples": ["hash", {"partial": "^(.).*(@.*)$"}],
}));

shape!(Limit, "Limit", _generator => json_schema!({
    "description": "A count of rows, or a share of them. The limit itself is still allowed.",
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {"type": "string", "pattern": r"^ *[0-9]+(\.[0-9]+)? *%? *$"},
    ],
    "examples": [100, "5%"],
}));

shape!(Scalar, "Scalar", _generator => json_schema!({
    "description": "A scalar value, read as the text it is written as.",
    "type": ["string", "number", "boolean"],
}));

shape!(ColumnNames, "ColumnNames", _generator => json_schema!({
    "description": "A column name, or a list of column names.",
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
    ],
}));

shape!(HeaderSpec, "Header", _generator => json_schema!({
    "description": "`true`, `false`, or the number of the line with the names of the columns.",
    "anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 1}],
}));

shape!(Formats, "Formats", _generator => json_schema!({
    "description": "A format, or a list of formats that are tried in order.",
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
    ],
    "examples": ["%d/%m/%Y", ["%d/%m/%Y", "iso8601"]],
}));

shape!(Route, "Route", _generator => json_schema!({
    "description": "A route: `table` for the accepted rows of a model or source, `table.rejected` for its rejected \
        rows.",
    "type": "string",
    "pattern": r"^[a-z][a-z0-9_]*(\.rejected)?$",
    "examples": ["applicant", "applicant.rejected"],
}));

shape!(Span, "Duration", _generator => json_schema!({
    "description": "A duration, written with units.",
    "type": "string",
    "pattern": r"^[0-9]+ *[a-zA-Z]+( *[0-9]+ *[a-zA-Z]+)*$",
    "examples": ["50m", "1h 30m"],
}));

shape!(OutputColumnSpec, "OutputColumn", _generator => json_schema!({
    "description": "A column of a sink: its name, or `{new_name: column}` to rename it.",
    "anyOf": [
        {"type": "string"},
        {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1, "maxProperties": 1},
    ],
    "examples": ["email", {"mobile_no": "mobile"}],
}));

shape!(ColumnSpec, "Column", generator => json_schema!({
    "description": "A source's column: its type, or a mapping with `type` and more keys.",
    "anyOf": [generator.subschema_for::<SqlType>(), generator.subschema_for::<LongColumn>()],
    "examples": ["date", {"type": "decimal(12,2)", "header": "Amount (SGD)"}],
}));

shape!(RuleSpec, "Rule", generator => {
    let mut long = generator.subschema_for::<LongRule>();
    let requirements = ["requires", "not_null", "unique", "accepted_values", "matches", "between"];
    let one_of = requirements.map(|kind| json_schema!({"required": [kind]}).to_value());
    long.insert("oneOf".to_owned(), one_of.to_vec().into());
    json_schema!({
        "description": "A requirement on every row: a SQL condition, or a mapping with exactly one requirement. Null \
            fails it.",
        "anyOf": [{"type": ["string", "boolean"]}, long],
        "examples": ["age >= 18", {"not_null": "email", "max": "1%"}],
    })
});
