//! Values as text: the form in which files, tables and JSON have them.
//!
//! `column` has the texts of single values, `digits` those of numbers and times; `json` writes values of every type as JSON;
//! `special` finds what has to be escaped, `invalid` what has no text that a source could read. `texts` builds columns.

mod column;
mod digits;
mod invalid;
pub(crate) mod json;
mod special;
mod texts;

pub(crate) use column::{Column, MAX_ROOM, file_text, push_lowest, push_plain};
pub(crate) use invalid::{InvalidValue, invalid_value};
pub(crate) use special::{Special, has_any, mask};
pub(crate) use texts::Texts;
