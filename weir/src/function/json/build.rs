//! JSON made of values: `json_object('id', id, 'tags', tags)`, `json_array(a, b)` and `to_json(value)`.
//!
//! Values have the form that JSON Lines have; what is JSON already is taken as it is. All documents of a batch are written into
//! one buffer.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, StringViewArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::values::{check_key, check_value, value_of};
use crate::function::encode::json::{Key, Value, text};
use crate::function::encode::{Column, MAX_ROOM, Texts};
use crate::task::{is_json, mark_json};

/// What is made of the arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Form {
    /// An object, of keys and values in turns.
    Object,
    /// An array.
    Array,
    /// The value itself.
    Value,
}

/// A function that makes JSON of its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Build {
    form: Form,
    /// Which arguments are JSON, once it is known: see [`super::marks`].
    documents: Option<Vec<bool>>,
    aliases: Vec<String>,
    signature: Signature,
}

impl Build {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let any_number = || TypeSignature::OneOf(vec![TypeSignature::Nullary, TypeSignature::VariadicAny]);
        let build = |form, aliases: [&str; 2], of| Self {
            form,
            documents: None,
            aliases: aliases.into_iter().filter(|alias| !alias.is_empty()).map(str::to_owned).collect(),
            signature: Signature::new(of, Volatility::Immutable),
        };
        [
            build(Form::Object, ["json_build_object", "jsonb_build_object"], any_number()),
            build(Form::Array, ["json_build_array", "jsonb_build_array"], any_number()),
            build(Form::Value, ["to_jsonb", ""], TypeSignature::Any(1)),
        ]
        .into_iter()
    }

    /// Which of its arguments are JSON, if that is known.
    pub(super) fn documents(&self) -> Option<&[bool]> {
        self.documents.as_deref()
    }

    /// The same function of arguments of which some are JSON; none if that is known already.
    pub(super) fn of_documents(&self, documents: Vec<bool>) -> Option<Self> {
        let (form, aliases, signature) = (self.form, self.aliases.clone(), self.signature.clone());
        self.documents.is_none().then_some(Self { form, documents: Some(documents), aliases, signature })
    }

    fn args(&self, args: &ScalarFunctionArgs) -> Result<Vec<Arg>> {
        let all = args.args.iter().zip(&args.arg_fields).enumerate();
        let arg = |(at, (arg, field)): (usize, (&ColumnarValue, &FieldRef))| {
            let known = self.documents.as_ref().and_then(|documents| documents.get(at).copied());
            Arg::of(arg, known.unwrap_or_else(|| is_json(field)), self.name())
        };
        all.map(arg).collect()
    }

    fn build(&self, args: &[Arg], rows: usize) -> Result<StringViewArray> {
        let mut out = Texts::with_capacity(rows);
        out.reserve(args.iter().map(|arg| arg.room(rows)).sum::<usize>().min(MAX_ROOM));
        match self.form {
            Form::Object => {
                let pairs: Vec<_> = args.as_chunks::<2>().0.iter().map(|[key, value]| (key, value)).collect();
                self.objects(&pairs, rows, &mut out)?;
            }
            Form::Array => (0..rows).for_each(|row| out.push(|out| array(args, row, out))),
            Form::Value => {
                let [arg] = args else { return internal_err!("{} has {} arguments", self.name(), args.len()) };
                for row in 0..rows {
                    match arg.is_null(row) {
                        true => out.push_null(),
                        false => out.push(|out| arg.value.write(arg.at(row), out)),
                    }
                }
            }
        }
        Ok(out.finish()?)
    }

    fn objects(&self, pairs: &[(&Arg, &Arg)], rows: usize, out: &mut Texts) -> Result<()> {
        let mut keys = Vec::with_capacity(pairs.len());
        for (at, (key, _)) in pairs.iter().enumerate() {
            keys.push(ObjectKey::of(key, if at == 0 { b'{' } else { b',' })?);
        }
        // Keys that are the same in all rows are checked once.
        let changing = keys.iter().any(|key| matches!(key, ObjectKey::OfRow { .. }));
        let checked = if changing { rows } else { rows.min(1) };
        let mut seen = HashSet::with_capacity_and_hasher(keys.len(), ahash::RandomState::new());
        for row in 0..checked {
            seen.clear();
            for key in &keys {
                match key.text(row) {
                    None => return exec_err!("a key of {} is null", self.name()),
                    Some(key) if !seen.insert(key) => return exec_err!("a key of {} is repeated", self.name()),
                    Some(_) => {}
                }
            }
        }
        for row in 0..rows {
            out.push(|out| {
                for (key, (_, value)) in keys.iter().zip(pairs) {
                    key.write(row, out);
                    value.value.write(value.at(row), out);
                }
                out.extend_from_slice(if pairs.is_empty() { b"{}" } else { b"}" });
            });
        }
        Ok(())
    }
}

fn array(args: &[Arg], row: usize, out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, arg) in args.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        arg.value.write(arg.at(row), out);
    }
    out.push(b']');
}

/// The values of an argument.
struct Arg {
    values: ArrayRef,
    value: Value,
    nulls: Option<NullBuffer>,
    /// Whether all rows have the same.
    is_same: bool,
}

impl Arg {
    fn of(arg: &ColumnarValue, are_documents: bool, function: &str) -> Result<Self> {
        let values = arg.to_array(1)?;
        let value = value_of(&values, are_documents, function)?;
        let is_same = matches!(arg, ColumnarValue::Scalar(_));
        Ok(Self { nulls: values.logical_nulls(), value, values, is_same })
    }

    fn at(&self, row: usize) -> usize {
        if self.is_same { 0 } else { row }
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(self.at(row)))
    }

    /// About the bytes that it takes in all rows.
    fn room(&self, rows: usize) -> usize {
        let own = self.value.length();
        3 * rows + if self.is_same { own * rows } else { own }
    }
}

/// The keys of an object at one place.
enum ObjectKey {
    /// The same in all rows.
    Fixed {
        text: Option<String>,
        key: Key,
    },
    OfRow {
        texts: Column,
        before: u8,
    },
}

impl ObjectKey {
    fn of(arg: &Arg, before: u8) -> Result<Self> {
        let texts = Column::new(&arg.values)?;
        Ok(match arg.is_same {
            true => {
                let text = texts.text(0).map(str::to_owned);
                Self::Fixed { key: Key::new(before, text.as_deref().unwrap_or_default()), text }
            }
            false => Self::OfRow { texts, before },
        })
    }

    fn text(&self, row: usize) -> Option<&str> {
        match self {
            Self::Fixed { text, .. } => text.as_deref(),
            Self::OfRow { texts, .. } => texts.text(row),
        }
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Fixed { key, .. } => key.push(out),
            Self::OfRow { texts, before } => {
                out.push(*before);
                text(texts.text(row).unwrap_or_default().as_bytes(), out);
                out.push(b':');
            }
        }
    }
}

impl ScalarUDFImpl for Build {
    fn name(&self) -> &str {
        match self.form {
            Form::Object => "json_object",
            Form::Array => "json_array",
            Form::Value => "to_json",
        }
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let fields = args.arg_fields;
        if self.form == Form::Object && !fields.len().is_multiple_of(2) {
            return plan_err!("{0} takes keys and values in turns: {0}('id', id, 'name', name)", self.name());
        }
        let mut keys = HashSet::new();
        for (at, field) in fields.iter().enumerate() {
            if self.form != Form::Object || at % 2 == 1 {
                check_value(self.name(), field)?;
                continue;
            }
            check_key(self.name(), field)?;
            if let Some(Some(key)) = args.scalar_arguments[at].map(|key| key.try_as_str())
                && !keys.insert(key)
            {
                return plan_err!("{} has the key '{}' twice", self.name(), key.unwrap_or_default());
            }
        }
        let is_nullable = self.form == Form::Value && fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(mark_json(Field::new(self.name(), DataType::Utf8View, is_nullable))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let built: ArrayRef = Arc::new(self.build(&self.args(&args)?, rows)?);
        Ok(match is_scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&built, 0)?),
            false => ColumnarValue::Array(built),
        })
    }
}
