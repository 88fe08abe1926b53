//! Replaces `$name` in SQL by the parameter's value: in the syntax tree, typed, before planning.
//!
//! Values are not pasted into the SQL text, so a value cannot change the statement.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, TimezoneInfo, Value, ValueWithSpan, VisitMut, visit_expressions_mut,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use crate::function::PARSE_JSON;
use crate::task::{Param, Params, RUN_STARTED_AT, SqlType};

/// A placeholder without a parameter.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// Its name, without the dollar sign.
    pub(crate) name: String,
    /// Its position.
    pub(crate) span: Span,
}

/// Replaces all placeholders by the parameters' values, and `$run_started_at` by the moment of the run.
pub(crate) fn bind<T: VisitMut>(syntax: &mut T, params: &Params) -> Result<(), Unknown> {
    let visited = visit_expressions_mut(syntax, |expr| {
        if let Expr::Value(ValueWithSpan { value: Value::Placeholder(placeholder), span }) = expr {
            let name = placeholder.trim_start_matches('$');
            match params.get(name) {
                Some(param) => *expr = literal(param, *span),
                None if name == RUN_STARTED_AT => *expr = run_started_at(),
                None => return ControlFlow::Break(Unknown { name: name.to_owned(), span: *span }),
            }
        }
        ControlFlow::Continue(())
    });
    match visited {
        ControlFlow::Break(unknown) => Err(unknown),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// `cast(now() as timestamp)`: the moment of a run is what `now()` is in all of it.
fn run_started_at() -> Expr {
    let data_type = DataType::Timestamp(None, TimezoneInfo::None);
    let now = Box::new(call("now", vec![]));
    Expr::Cast { kind: CastKind::Cast, expr: now, data_type, array: false, format: None }
}

/// A call of a function.
pub(super) fn call(name: &str, args: Vec<Expr>) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect(),
            clauses: vec![],
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

/// A literal of the parameter's type.
fn literal(param: &Param, span: Span) -> Expr {
    let value = |value| Expr::Value(ValueWithSpan { value, span });
    let text = || Box::new(value(Value::SingleQuotedString(param.text.clone())));
    let cast = |data_type| Expr::Cast { kind: CastKind::Cast, expr: text(), data_type, array: false, format: None };
    match param.sql_type {
        SqlType::String | SqlType::Uuid | SqlType::Binary => *text(),
        SqlType::Json => call(PARSE_JSON, vec![*text()]),
        SqlType::Boolean => cast(DataType::Boolean),
        // A plain number, because `interval $n day` and `limit $n` need one.
        SqlType::Integer | SqlType::Bigint => value(Value::Number(param.text.trim().to_owned(), false)),
        SqlType::Double => cast(DataType::DoublePrecision),
        SqlType::Decimal(precision, scale) => {
            cast(DataType::Decimal(ExactNumberInfo::PrecisionAndScale(precision.into(), scale.into())))
        }
        SqlType::Date => cast(DataType::Date),
        SqlType::Time => cast(DataType::Time(None, TimezoneInfo::None)),
        SqlType::Timestamp => cast(DataType::Timestamp(None, TimezoneInfo::None)),
        // In SQL, `timestamptz` has the time zone of the session, which is none.
        SqlType::TimestampTz => {
            let kind = Value::SingleQuotedString(param.sql_type.arrow().to_string());
            call("arrow_cast", vec![*text(), value(kind)])
        }
    }
}
