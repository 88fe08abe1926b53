//! What the columns of a table can hold.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::DataType;
use weir_mysql::load::{self, Bound, Existing};

use crate::error::Result;
use crate::format::write::OutputColumn;
use crate::sink::table::{Ask, Fits, Session};
use crate::sink::{ColumnLimit, Limit};

/// What an existing table can hold. The session is asked about texts that only the server knows to hold.
pub(super) fn of_existing(existing: &Existing, session: Session<weir_mysql::Session>) -> Vec<ColumnLimit> {
    let session = Arc::new(session);
    let mut limits = Vec::new();
    for (column, bounds, kind) in &existing.bounds {
        for bound in bounds {
            let limit = limit_of(bound).unwrap_or_else(|| {
                let (session, ask) = (session.clone(), AskAbout(bound.clone()));
                Limit::Test(Arc::new(Fits { session, ask }))
            });
            limits.push(ColumnLimit { column: column.clone(), limit, kind: kind.clone() });
        }
    }
    let not_null =
        |column: &String| ColumnLimit { column: column.clone(), limit: Limit::NotNull, kind: "not null".to_owned() };
    limits.extend(existing.not_null.iter().map(not_null));
    limits
}

/// What a table can hold that will be created. The session is asked about documents.
pub(super) fn of_new(
    bounds: &[(String, Vec<Bound>, String)],
    session: Session<weir_mysql::Session>,
) -> Vec<ColumnLimit> {
    let session = Arc::new(session);
    let of_column = |(column, bounds, kind): &(String, Vec<Bound>, String)| {
        let limit = |bound: &Bound| {
            let ask = || Arc::new(Fits { session: session.clone(), ask: AskAbout(bound.clone()) });
            let limit = limit_of(bound).unwrap_or_else(|| Limit::TestOfJudged(ask()));
            ColumnLimit { column: column.clone(), limit, kind: kind.clone() }
        };
        bounds.iter().map(limit).collect::<Vec<_>>()
    };
    bounds.iter().flat_map(of_column).collect()
}

/// The limits of any table with these columns: its numbers are finite.
pub(super) fn of_any_table(columns: &[OutputColumn]) -> Vec<ColumnLimit> {
    let floats = columns.iter().filter(|column| column.kind.is_floating());
    let limit = |column: &OutputColumn| {
        let most = if column.kind == DataType::Float64 { f64::MAX } else { f32::MAX.into() };
        ColumnLimit {
            column: column.name.clone(),
            limit: Limit::Between(double(-most), double(most)),
            kind: "double".to_owned(),
        }
    };
    floats.map(limit).collect()
}

/// A bound as a limit; none if only the server knows what fits.
fn limit_of(bound: &Bound) -> Option<Limit> {
    Some(Limit::Condition(match bound {
        Bound::Between(least, most) => return Some(Limit::Between(exact(least), exact(most))),
        Bound::Characters(most) => format!("character_length({{}}) <= {most}"),
        Bound::Octets(most) => format!("octet_length({{}}) <= {most}"),
        Bound::ExactOctets(length) => format!("octet_length({{}}) = {length}"),
        Bound::NoTrailingBlank => "not ends_with({}, ' ')".to_owned(),
        Bound::OneOf(texts) => {
            let texts = texts.iter().map(|text| format!("'{}'", text.replace('\'', "''")));
            format!("{{}} in ({})", texts.collect::<Vec<_>>().join(", "))
        }
        Bound::FractionDigits(digits) => {
            let unit = 10_u32.pow(6 - u32::from(*digits));
            format!("cast(date_part('microsecond', {{}}) as bigint) % {unit} = 0")
        }
        Bound::Timestamp => {
            "{} between timestamp '1970-01-01 00:00:01' and timestamp '2038-01-19 03:14:07.999999'".to_owned()
        }
        Bound::CharacterSet(_) | Bound::Json => return None,
    }))
}

/// A floating-point number as SQL: a literal would be a decimal.
fn double(number: f64) -> String {
    format!("cast('{number:e}' as double)")
}

/// A whole number of any size as SQL: a literal of 64 bits holds less than the least one before its sign.
fn exact(number: &str) -> String {
    match number.parse::<i64>() {
        Ok(i64::MIN) | Err(_) if !number.contains('.') => format!("cast('{number}' as decimal(38,0))"),
        _ => number.to_owned(),
    }
}

/// Asks whether texts are within a bound.
#[derive(Debug)]
struct AskAbout(Bound);

#[async_trait]
impl Ask for AskAbout {
    type Session = weir_mysql::Session;

    async fn unfit(&self, session: &mut weir_mysql::Session, texts: &[&str]) -> Result<Vec<usize>> {
        Ok(load::unfit(session, &self.0, texts).await?)
    }
}
