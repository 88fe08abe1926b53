//! The JSON schema of task files. It is derived from the structs that a task file is read into; here are the shapes
//! that they read by hand.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::quality::LongRule;
use super::source::LongColumn;
use super::text::Names;
use super::{ColumnOut, ColumnSpec, FolderSpec, Limit, Route, RuleSpec, Scalar, SqlType, TaskSpec, Timeout};

/// The schema of a task file, in draft 2020-12.
pub(crate) fn json_schema() -> Schema {
    let settings = SchemaSettings::draft2020_12().with_transform(Plain);
    settings.into_generator().into_root_schema_for::<TaskSpec>()
}

/// The schema of `weir.yaml`.
pub(crate) fn folder_schema() -> Schema {
    let settings = SchemaSettings::draft2020_12().with_transform(Plain);
    settings.into_generator().into_root_schema_for::<FolderSpec>()
}

/// Takes out what says nothing to who writes a task file: a default of null, the width of an integer, and the ends of
/// lines in the code that the descriptions come from.
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

/// Names a type of the schema and says what it is; its shape follows.
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
    "description": "A type, of columns and of parameters: `string` (text in UTF-8), `boolean` (`true` or `false`), \
        `integer` (32 bits), `bigint` (64 bits), `double` (64 bits, finite), `decimal(p,s)` (exact: p digits in all, \
        at most 38, and s of them behind the point), `date` (`2022-01-31`) or `timestamp` (`2022-01-31 23:59:59`, \
        without a time zone, to the microsecond).",
    "anyOf": [
        {"enum": ["string", "boolean", "integer", "bigint", "double", "date", "timestamp"]},
        {"type": "string", "pattern": r"^decimal\([0-9]+, *[0-9]+\)$"},
    ],
    "examples": ["string", "decimal(12,2)"],
}));

shape!(Limit, "Limit", _generator => json_schema!({
    "description": "A count of rows, or a share of them. The limit itself is not above it.",
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {"type": "string", "pattern": r"^ *[0-9]+(\.[0-9]+)? *%? *$"},
    ],
    "examples": [100, "5%"],
}));

shape!(Scalar, "Scalar", _generator => json_schema!({
    "description": "One value, taken as the text that it is written with.",
    "type": ["string", "number", "boolean"],
}));

shape!(Names, "Names", _generator => json_schema!({
    "description": "A column's name, or a list of them.",
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
    ],
}));

shape!(Route, "Route", _generator => json_schema!({
    "description": "A model's or a source's rows: `table` the accepted ones, `table.rejected` the others.",
    "type": "string",
    "pattern": r"^[a-z][a-z0-9_]*(\.rejected)?$",
    "examples": ["applicant", "applicant.rejected"],
}));

shape!(Timeout, "Timeout", _generator => json_schema!({
    "description": "A span of time, written with units.",
    "type": "string",
    "pattern": r"^[0-9]+ *[a-zA-Z]+( *[0-9]+ *[a-zA-Z]+)*$",
    "examples": ["50m", "1h 30m"],
}));

shape!(ColumnOut, "ColumnOut", _generator => json_schema!({
    "description": "A column of a sink: its name, or `{new_name: column}` to give it another one.",
    "anyOf": [
        {"type": "string"},
        {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1, "maxProperties": 1},
    ],
    "examples": ["email", {"mobile_no": "mobile"}],
}));

shape!(ColumnSpec, "Column", generator => json_schema!({
    "description": "A source's column: its type alone, or a mapping that says more.",
    "anyOf": [generator.subschema_for::<SqlType>(), generator.subschema_for::<LongColumn>()],
    "examples": ["date", {"type": "decimal(12,2)", "header": "Amount (SGD)"}],
}));

shape!(RuleSpec, "Rule", generator => {
    let mut long = generator.subschema_for::<LongRule>();
    let requirements = ["requires", "not_null", "unique", "accepted_values", "matches", "between"];
    let one_of = requirements.map(|kind| json_schema!({"required": [kind]}).to_value());
    long.insert("oneOf".to_owned(), one_of.to_vec().into());
    json_schema!({
        "description": "What must hold of every row: a SQL condition, or a mapping with exactly one requirement. Null \
            does not hold.",
        "anyOf": [{"type": ["string", "boolean"]}, long],
        "examples": ["age >= 18", {"not_null": "email", "max": "1%"}],
    })
});
