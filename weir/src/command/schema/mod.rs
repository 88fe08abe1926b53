//! `schema`: prints the format of task files, as a JSON schema or as a human-readable reference.

mod markdown;

use super::SchemaArgs;
use crate::error::Result;
use crate::task::{json_schema, project_schema};

pub(super) fn schema(args: &SchemaArgs) -> Result<u8> {
    let schema = json_schema();
    if args.markdown {
        say!("{}", markdown::reference(schema.as_value(), project_schema().as_value()).trim_end());
    } else {
        say!("{:#}", schema.as_value());
    }
    Ok(0)
}
