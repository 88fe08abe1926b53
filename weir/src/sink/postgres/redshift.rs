//! What a sink cannot have on Amazon Redshift, told when the task is validated.

use weir_postgres::load::Kind;

use crate::sink::table::DeclaredTable;
use crate::task::SinkSpec;

/// The most digits behind the point of a decimal number.
const MOST_SCALE: u16 = 37;

/// The problem and the remedy, if there is one.
pub(super) fn check(spec: &SinkSpec, declared: &DeclaredTable<Kind>) -> Result<(), (String, String)> {
    if !declared.indexes.is_empty() {
        let help = "remove `indexes`; a table that is made beforehand may have a sort key".to_owned();
        return Err(("Amazon Redshift has no indexes".to_owned(), help));
    }
    let own = spec.soft_delete.iter().chain(spec.history.iter().flat_map(|names| [&names.valid_from, &names.valid_to]));
    let names = declared.names().chain(own);
    if let Some(name) = names.into_iter().find(|name| **name != name.to_lowercase()) {
        let message = format!("the name `{name}` has upper case, and Amazon Redshift turns it into lower case");
        return Err((message, format!("name it `{0}`: {{{0}: {name}}} in the sink's `columns`", name.to_lowercase())));
    }
    for column in &declared.kinds {
        let why = match &column.kind {
            Kind::Bytes => "binary, which a sink cannot write to Amazon Redshift",
            Kind::Numeric(Some((_, scale))) if *scale > MOST_SCALE => {
                "a decimal with more than 37 digits behind the point, which Amazon Redshift cannot hold"
            }
            _ => continue,
        };
        let help = "make a text or a shorter number of it in the model: `encode(column, 'hex')`".to_owned();
        return Err((format!("column `{}` is {why}", column.name), help));
    }
    Ok(())
}
