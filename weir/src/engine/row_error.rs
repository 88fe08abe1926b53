//! Errors caused by a row, and how to find the rows that cause them.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::error::ArrowError;
use datafusion::error::{DataFusionError, Result as QueryResult};

use crate::error::plain_message;

/// The maximum length of a message in characters: it may quote a value of any length.
const MAX_MESSAGE: usize = 200;

const DIVISION_BY_ZERO: &str = "division_by_zero";
const OVERFLOW: &str = "overflow";
pub(crate) const INVALID_VALUE: &str = "invalid_value";

/// Why a row cannot be computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowError {
    /// The kind, which is what is counted.
    pub(crate) kind: &'static str,
    /// The engine's message about this row, if it has more than the kind. It can quote the row.
    pub(crate) message: Option<String>,
}

impl RowError {
    /// The row error in an engine error; `None` if the error is not caused by a row.
    pub(crate) fn of(error: &DataFusionError) -> Option<Self> {
        let (kind, message) = match error.find_root() {
            DataFusionError::ArrowError(error, _) => match error.as_ref() {
                ArrowError::DivideByZero => (DIVISION_BY_ZERO, ""),
                ArrowError::ArithmeticOverflow(message) => (OVERFLOW, message.as_str()),
                ArrowError::CastError(message) | ArrowError::ParseError(message) => ("invalid_cast", message.as_str()),
                ArrowError::ComputeError(message) | ArrowError::InvalidArgumentError(message) => {
                    (kind_of(message), message.as_str())
                }
                _ => return None,
            },
            DataFusionError::Execution(message) => (kind_of(message), message.as_str()),
            _ => return None,
        };
        let message = message.split(DataFusionError::BACK_TRACE_SEP).next().unwrap_or_default();
        let plain = |c: char| match c {
            ';' => ',',
            c if c.is_control() => ' ',
            c => c,
        };
        let message: String = plain_message(message).chars().map(plain).take(MAX_MESSAGE).collect();
        Some(Self { kind, message: (!message.is_empty()).then_some(message) })
    }

    /// Whether a number cannot be computed from its operands.
    pub(crate) fn is_arithmetic(&self) -> bool {
        [DIVISION_BY_ZERO, OVERFLOW].contains(&self.kind)
    }

    /// The error as it is written in `reasons`.
    pub(crate) fn reason(&self) -> String {
        self.message.as_ref().map_or_else(|| self.kind.to_owned(), |message| format!("{}: {message}", self.kind))
    }
}

/// Functions report in words what kernels report as variants.
fn kind_of(message: &str) -> &'static str {
    let message = message.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if has(&["divide by zero", "division by zero"]) {
        DIVISION_BY_ZERO
    } else if has(&["overflow", "too large to store", "too small to store", "out of range"]) {
        OVERFLOW
    } else {
        INVALID_VALUE
    }
}

/// A batch that could not be computed as a whole, taken apart.
#[derive(Debug)]
pub(crate) struct Pieces<T> {
    /// What was computed of the rows that do not fail, in order.
    pub(crate) computed: Vec<T>,
    /// The rows that fail alone, in order, each with its error. There may be none: a condition is evaluated for all rows of a
    /// batch if one of them needs it, also for those whose value is known without it.
    pub(crate) failing: Vec<(usize, RowError)>,
}

/// Takes a batch apart until each piece is computed or is a single row that fails; `error` is the error of the whole batch. An
/// error that is not caused by a row is returned.
pub(crate) fn in_pieces<T>(
    batch: &RecordBatch,
    error: DataFusionError,
    compute: impl Fn(&RecordBatch) -> QueryResult<T>,
) -> QueryResult<Pieces<T>> {
    // What fails without any row would fail for all of them.
    if RowError::of(&error).is_none() || compute(&batch.slice(0, 0)).is_err() {
        return Err(error);
    }
    let mut pieces = Pieces { computed: Vec::new(), failing: Vec::new() };
    let mut suspects = vec![(0, batch.num_rows(), Some(error))];
    while let Some((start, rows, error)) = suspects.pop() {
        let error = match error {
            Some(error) => error,
            None => match compute(&batch.slice(start, rows)) {
                Ok(computed) => {
                    pieces.computed.push(computed);
                    continue;
                }
                Err(error) => error,
            },
        };
        let Some(row_error) = RowError::of(&error) else { return Err(error) };
        if rows <= 1 {
            pieces.failing.push((start, row_error));
            continue;
        }
        let half = rows / 2;
        // The second half first: the last one pushed is processed next.
        suspects.extend([(start + half, rows - half, None), (start, half, None)]);
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{AsArray, Int64Array};
    use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use proptest::prelude::*;

    use super::*;

    fn batch(values: Vec<i64>) -> RecordBatch {
        let schema = Schema::new(vec![Field::new("n", DataType::Int64, true)]);
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int64Array::from(values))]).unwrap()
    }

    fn divide(batch: &RecordBatch) -> QueryResult<()> {
        match batch.column(0).as_primitive::<Int64Type>().values().contains(&0) {
            true => Err(ArrowError::DivideByZero.into()),
            false => Ok(()),
        }
    }

    proptest! {
        #[test]
        fn exactly_the_rows_that_fail_are_found_in_order(values in prop::collection::vec(0..5_i64, 1..200)) {
            let expected: Vec<usize> = (0..values.len()).filter(|row| values[*row] == 0).collect();
            let batch = batch(values);
            if let Err(error) = divide(&batch) {
                let found = in_pieces(&batch, error, divide).unwrap().failing;
                prop_assert!(found.iter().all(|(_, error)| error.reason() == "division_by_zero"));
                prop_assert_eq!(found.into_iter().map(|(row, _)| row).collect::<Vec<_>>(), expected);
            } else {
                prop_assert!(expected.is_empty());
            }
        }
    }

    #[test]
    fn a_single_failing_row_is_found_in_few_steps() {
        let mut values = vec![1; 8192];
        values[5_000] = 0;
        let batch = batch(values);
        let steps = std::cell::Cell::new(0);
        let count = |batch: &RecordBatch| {
            steps.set(steps.get() + 1);
            divide(batch)
        };
        let found = in_pieces(&batch, ArrowError::DivideByZero.into(), count).unwrap().failing;
        assert_eq!((found.len(), found[0].0), (1, 5_000));
        assert!(steps.get() <= 1 + 2 * 13, "{} steps", steps.get());
    }

    #[test]
    fn an_error_without_a_row_is_not_a_row_error() {
        let broken = |_: &RecordBatch| QueryResult::<()>::Err(ArrowError::DivideByZero.into());
        assert!(in_pieces(&batch(vec![1, 2]), ArrowError::DivideByZero.into(), broken).is_err());
        let defect = DataFusionError::Internal("a defect".into());
        assert!(in_pieces(&batch(vec![0]), defect, divide).is_err());
    }

    #[test]
    fn a_reason_is_one_line_without_the_separator_of_reasons() {
        let error = ArrowError::CastError("Cannot cast string 'a;b\nc'".into()).into();
        assert_eq!(RowError::of(&error).unwrap().reason(), "invalid_cast: Cannot cast string 'a,b c'");
        let error = DataFusionError::Execution("Int64 overflow on abs(1)".into());
        assert_eq!(RowError::of(&error).unwrap().kind, "overflow");
        let long = DataFusionError::Execution("x".repeat(10_000));
        assert_eq!(RowError::of(&long).unwrap().message.unwrap().len(), MAX_MESSAGE);
    }
}
