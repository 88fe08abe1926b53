//! The SQL functions of this section, to be registered in a DataFusion session.
//!
//! | function | takes | returns |
//! |---|---|---|
//! | `split_name(name)` | a text | a struct of [`name::fields`], never null itself |
//! | `parse_birthday(text)` | a text | `Date32`, null if the text is not a date |
//! | `membership_id(last_name, birthday)` | a text and a date | `Utf8View`, null if either is |
//!
//! A text is a `Utf8View`, `Utf8` or `LargeUtf8`; the latter two are converted to views without copying their bytes.
//! Arguments may be constants, also null. All three functions are immutable: the same arguments give the same result,
//! on every machine and at any time.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Date32Type, Field, FieldRef};
use datafusion::common::types::{logical_date, logical_string};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    Coercion, ColumnarValue, DocSection, Documentation, DocumentationBuilder, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, TypeSignatureClass, Volatility,
};

use crate::{birthday, membership_id, name};

/// The functions of this section: `split_name`, `parse_birthday` and `membership_id`. They are described in this
/// [module](self) and in their DataFusion documentation.
pub fn functions() -> Vec<ScalarUDF> {
    [split_name(), parse_birthday(), membership_id()].map(ScalarUDF::new_from_impl).into()
}

/// See [`name::split`].
fn split_name() -> Function {
    Function {
        name: "split_name",
        arguments: &[DataType::Utf8View],
        signature: signature(&[("name", text())]),
        returns: Field::new("split_name", DataType::Struct(name::fields()), false),
        evaluate: |arguments| Ok(Arc::new(name::split_names(arguments[0].as_string_view())?)),
        documentation: documentation(
            "Splits a name into first_name (all words but the last), last_name (the last word) and \
             words (the number of words), without leading honorifics and trailing suffixes. The \
             struct is never null; a null or empty name has null names and 0 words, a name of one \
             word has a last name only.",
            "split_name(name)",
            "split_name('Dr. John Smith, MD')['last_name'] -- Smith",
        )
        .with_argument("name", "The name, a text.")
        .build(),
    }
}

/// See [`birthday::parse`].
fn parse_birthday() -> Function {
    Function {
        name: "parse_birthday",
        arguments: &[DataType::Utf8View],
        signature: signature(&[("text", text())]),
        returns: Field::new("parse_birthday", DataType::Date32, true),
        evaluate: |arguments| Ok(Arc::new(birthday::parse_birthdays(arguments[0].as_string_view()))),
        documentation: documentation(
            "Parses a date in the format yyyy-mm-dd, yyyy/mm/dd, dd-mm-yyyy or mm/dd/yyyy, with or \
             without white space around it. Null if it has another format, is not a \
             valid date, or is null.",
            "parse_birthday(text)",
            "parse_birthday('31-01-1986') -- 1986-01-31",
        )
        .with_argument("text", "The date, a text.")
        .build(),
    }
}

/// See [`membership_id::membership_id`].
fn membership_id() -> Function {
    let date = Coercion::new_exact(TypeSignatureClass::Native(logical_date()));
    Function {
        name: "membership_id",
        arguments: &[DataType::Utf8View, DataType::Date32],
        signature: signature(&[("last_name", text()), ("birthday", date)]),
        returns: Field::new("membership_id", DataType::Utf8View, true),
        evaluate: |arguments| {
            let last_names = arguments[0].as_string_view();
            let birthdays = arguments[1].as_primitive::<Date32Type>();
            Ok(Arc::new(membership_id::membership_ids(last_names, birthdays)?))
        },
        documentation: documentation(
            "The last name, `_`, and the first five hexadecimal digits of the SHA-256 of the \
             birthday written as yyyymmdd. Null if either is null, or the year is outside 1 to \
             9999.",
            "membership_id(last_name, birthday)",
            "membership_id('Smith', DATE '1986-01-10') -- Smith_3864b",
        )
        .with_argument("last_name", "The last name, a text.")
        .with_argument("birthday", "The birthday, a date.")
        .build(),
    }
}

/// A SQL function over whole arrays.
#[derive(Debug)]
struct Function {
    name: &'static str,
    /// Parameters of `evaluate`; the arguments are cast to them.
    arguments: &'static [DataType],
    signature: Signature,
    returns: Field,
    /// Maps arrays of the same length to an array of that length.
    evaluate: fn(&[ArrayRef]) -> Result<ArrayRef>,
    documentation: Documentation,
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        internal_err!("{}: its type is given by return_field_from_args", self.name)
    }

    fn return_field_from_args(&self, _arguments: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(self.returns.clone()))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_array = |argument: &ColumnarValue| matches!(argument, ColumnarValue::Array(_));
        let all_constant = !arguments.args.iter().any(is_array);
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?
            .iter()
            .zip(self.arguments)
            .map(
                |(array, wanted)| {
                    if array.data_type() == wanted { Ok(Arc::clone(array)) } else { cast(array, wanted) }
                },
            )
            .collect::<Result<Vec<_>, _>>()?;
        let result = (self.evaluate)(&arrays)?;
        if all_constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

// The planner compares functions. Their names are unique, and addresses of functions cannot be compared.
impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

fn text() -> Coercion {
    Coercion::new_exact(TypeSignatureClass::Native(logical_string()))
}

fn signature(parameters: &[(&str, Coercion)]) -> Signature {
    let (names, types): (Vec<_>, Vec<_>) = parameters.iter().cloned().unzip();
    Signature::coercible(types, Volatility::Immutable).with_parameter_names(names).expect("parameter names are unique")
}

fn documentation(description: &str, syntax: &str, example: &str) -> DocumentationBuilder {
    let section = DocSection { include: true, label: "Membership Functions", description: None };
    Documentation::builder(section, description, syntax).with_sql_example(example)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{RecordBatch, StringViewArray};
    use datafusion::arrow::util::display::array_value_to_string;
    use datafusion::common::ToDFSchema;
    use datafusion::prelude::SessionContext;

    use super::*;

    /// The results of a SQL expression for a name, a date and a null in the column `text` of a type.
    fn values(sql: &str, kind: &DataType) -> Vec<String> {
        let texts = StringViewArray::from_iter([Some("Dr. Ann Lee"), Some("1986-01-10"), None]);
        let column = cast(&texts, kind).unwrap();
        let batch = RecordBatch::try_from_iter_with_nullable([("text", column, true)]).unwrap();
        let session = SessionContext::new();
        functions().into_iter().for_each(|function| session.register_udf(function));
        let schema = batch.schema().to_dfschema().unwrap();
        let expression = session.parse_sql_expr(sql, &schema).unwrap();
        let expression = session.create_physical_expr(expression, &schema).unwrap();
        let values = expression.evaluate(&batch).unwrap().into_array(batch.num_rows()).unwrap();
        (0..values.len()).map(|row| array_value_to_string(&values, row).unwrap()).collect()
    }

    /// The result of a constant SQL expression.
    fn value(sql: &str) -> String {
        values(sql, &DataType::Utf8View).remove(0)
    }

    #[test]
    fn texts_of_every_type_are_accepted() {
        for kind in [DataType::Utf8View, DataType::Utf8, DataType::LargeUtf8] {
            assert_eq!(values("split_name(text)['first_name']", &kind), ["Ann", "", ""]);
            assert_eq!(values("split_name(text)['last_name']", &kind), ["Lee", "1986-01-10", ""]);
            assert_eq!(values("split_name(text)['words']", &kind), ["2", "1", "0"]);
            assert_eq!(values("parse_birthday(text)", &kind), ["", "1986-01-10", ""]);
            let ids = values("membership_id(text, parse_birthday(text))", &kind);
            assert_eq!(ids, ["", "1986-01-10_3864b", ""]);
        }
    }

    #[test]
    fn constants_are_accepted() {
        assert_eq!(value("split_name('John Smith, MD')['last_name']"), "Smith");
        assert_eq!(value("parse_birthday('01/31/1986')"), "1986-01-31");
        assert_eq!(value("membership_id('Smith', DATE '1986-01-10')"), "Smith_3864b");
    }

    #[test]
    fn a_constant_and_a_column_are_accepted() {
        let ids = values("membership_id(text, DATE '1986-01-10')", &DataType::Utf8View);
        assert_eq!(ids, ["Dr. Ann Lee_3864b", "1986-01-10_3864b", ""]);
    }

    #[test]
    fn null_constants_are_accepted() {
        assert_eq!(value("split_name(NULL)['words']"), "0");
        assert_eq!(value("parse_birthday(NULL)"), "");
        assert_eq!(value("membership_id('Smith', NULL)"), "");
    }

    #[test]
    fn a_number_is_not_a_text() {
        let session = SessionContext::new();
        let function = functions().remove(0);
        let schema = datafusion::common::DFSchema::empty();
        let call = function.call(vec![datafusion::prelude::lit(1)]);
        assert!(session.create_physical_expr(call, &schema).is_err());
    }

    #[test]
    fn every_function_is_immutable_and_documented() {
        for function in functions() {
            assert_eq!(function.signature().volatility, Volatility::Immutable);
            assert!(function.documentation().is_some());
        }
    }
}
