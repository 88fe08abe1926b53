//! Functions that know which of their arguments are JSON, as they are told to other processes.

use std::any::Any;

use datafusion::common::{Result, internal_datafusion_err};
use datafusion::logical_expr::{AggregateUDF, AggregateUDFImpl as _, ScalarUDF, ScalarUDFImpl as _};

use super::aggregate::JsonAggregate;
use super::build::Build;

/// What is known of the arguments of a function, if it is not the one that is called by its name.
pub(crate) fn told(function: &ScalarUDF) -> Option<Vec<u8>> {
    let function: &dyn Any = function.inner().as_ref();
    let documents = function.downcast_ref::<Build>()?.documents()?;
    Some(documents.iter().map(|is_document| u8::from(*is_document)).collect())
}

/// The function of a name, of whose arguments that is known.
pub(crate) fn of_told(name: &str, told: &[u8]) -> Result<ScalarUDF> {
    let known = Build::all().find(|build| build.name() == name);
    let known = known.and_then(|build| build.of_documents(told.iter().map(|is_document| *is_document == 1).collect()));
    known.map(ScalarUDF::from).ok_or_else(|| internal_datafusion_err!("`{name}` does not build JSON"))
}

/// The same of an aggregate.
pub(crate) fn told_of_aggregate(function: &AggregateUDF) -> Option<Vec<u8>> {
    JsonAggregate::of(function)?.documents().map(|are_documents| vec![u8::from(are_documents)])
}

/// The aggregate of a name, of whose values that is known.
pub(crate) fn aggregate_of_told(name: &str, told: &[u8]) -> Result<AggregateUDF> {
    let known = JsonAggregate::all().find(|aggregate| aggregate.name() == name);
    let known = known.and_then(|aggregate| aggregate.of_documents(told == [1]));
    known.map(AggregateUDF::from).ok_or_else(|| internal_datafusion_err!("`{name}` does not aggregate JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_that_was_told_is_the_same() {
        for build in Build::all() {
            let plain = ScalarUDF::from(build.clone());
            assert_eq!(told(&plain), None);
            for documents in [vec![], vec![true, false, true]] {
                let known = ScalarUDF::from(build.of_documents(documents).unwrap());
                assert_eq!(of_told(known.name(), &told(&known).unwrap()).unwrap(), known);
                assert_ne!(plain, known);
            }
        }
        for aggregate in JsonAggregate::all() {
            for are_documents in [true, false] {
                let known = AggregateUDF::from(aggregate.of_documents(are_documents).unwrap());
                assert_eq!(aggregate_of_told(known.name(), &told_of_aggregate(&known).unwrap()).unwrap(), known);
            }
        }
        assert!(of_told("upper", &[]).is_err());
    }
}
