//! What the columns of a table can hold.

use std::sync::Arc;

use async_trait::async_trait;
use weir_postgres::Dialect;
use weir_postgres::load::redshift::MOST_BYTES;
use weir_postgres::load::{self, Cast, Column, Existing, Kind, TargetState};

use crate::error::Result;
use crate::format::write::OutputColumn;
use crate::sink::table::{Ask, Fits, Server, Session};
use crate::sink::{ColumnLimit, Limit};

/// A session with the database.
type OfServer = <super::server::Postgres as Server>::Session;

/// What an existing table can hold.
pub(super) fn of_existing(existing: &Existing, dialect: Dialect) -> Vec<ColumnLimit> {
    let mut limits: Vec<_> = existing.narrower.iter().filter_map(|(column, kind)| of(column, kind, dialect)).collect();
    let not_null =
        |column: &String| ColumnLimit { column: column.clone(), limit: Limit::NotNull, kind: "not null".to_owned() };
    limits.extend(existing.not_null.iter().map(not_null));
    limits
}

/// What columns can hold whose values are cast. The session is asked about the values.
pub(super) fn of_casts(state: &TargetState, columns: &[Column], session: Session<OfServer>) -> Vec<ColumnLimit> {
    let session = Arc::new(session);
    let limit = |column: &Column| {
        let cast = column.cast.clone()?;
        let kind = cast.to.clone();
        let ask = AskCast { from: column.kind.clone(), cast };
        let test = Arc::new(Fits { session: session.clone(), ask });
        // A column that is made takes all that rows usually have.
        let limit = match matches!(state, TargetState::New) || column.is_new {
            true => Limit::TestOfJudged(test),
            false => Limit::Test(test),
        };
        Some(ColumnLimit { column: column.name.clone(), limit, kind })
    };
    columns.iter().filter_map(limit).collect()
}

/// The limits of any table with these columns: its text has no NUL, and no more bytes than the server can hold.
pub(super) fn of_any_table(columns: &[OutputColumn], dialect: Dialect) -> Vec<ColumnLimit> {
    let text = columns.iter().filter(|column| column.kind.is_string());
    let limit = |column: &OutputColumn| {
        let (limit, kind) = match dialect {
            Dialect::Postgres => (Limit::Text { characters: None }, Kind::Text),
            Dialect::Redshift => (Limit::Bytes(MOST_BYTES), Kind::Varchar(MOST_BYTES)),
        };
        ColumnLimit { column: column.name.clone(), limit, kind: kind.to_string() }
    };
    text.map(limit).collect()
}

/// The limit of a column of a type; none if it holds whatever rows can have.
pub(super) fn of(column: &str, kind: &Kind, dialect: Dialect) -> Option<ColumnLimit> {
    let limit = match (kind, dialect) {
        (Kind::Varchar(most), Dialect::Postgres) => Limit::Text { characters: Some(*most) },
        (Kind::Varchar(most), Dialect::Redshift) => Limit::Bytes(*most),
        (kind, _) => {
            let (least, most) = range(kind)?;
            Limit::Between(least, most)
        }
    };
    Some(ColumnLimit { column: column.to_owned(), limit, kind: kind.to_string() })
}

/// The least and the largest value of a type of exact numbers, as SQL.
fn range(kind: &Kind) -> Option<(String, String)> {
    Some(match kind {
        Kind::SmallInt => (i16::MIN.to_string(), i16::MAX.to_string()),
        Kind::Integer => (i32::MIN.to_string(), i32::MAX.to_string()),
        // The least of them is more than a literal of 64 bits holds before its sign.
        Kind::BigInt => {
            let exact = |value: i64| format!("cast('{value}' as decimal(20,0))");
            (exact(i64::MIN), exact(i64::MAX))
        }
        Kind::Numeric(Some((digits, scale))) => {
            let whole = "9".repeat(usize::from(digits - scale).max(1));
            let most = format!("{}.{}", if digits == scale { "0" } else { &whole }, "9".repeat(usize::from(*scale)));
            let most = most.trim_end_matches('.').to_owned();
            (format!("-{most}"), most)
        }
        _ => return None,
    })
}

/// Asks whether values can be cast.
#[derive(Debug)]
struct AskCast {
    /// The type of the values.
    from: Kind,
    cast: Cast,
}

#[async_trait]
impl Ask for AskCast {
    type Session = OfServer;

    async fn unfit(&self, (database, client): &mut OfServer, texts: &[&str]) -> Result<Vec<usize>> {
        Ok(load::unfit(database, client, &self.from, &self.cast, texts).await?)
    }
}
