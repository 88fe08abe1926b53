//! The staging table of a load.

use std::io;

use futures::StreamExt;
use futures::stream;
use mysql_async::InfileData;
use tokio::sync::mpsc::Receiver;

use super::table::{Column, exact_text};
use super::{Bound, Deletion, Kind, Load, Piece, Staged, duplicates};
use crate::session::{Product, Session};
use crate::sql::{list, quoted};
use crate::{Database, Result};

/// The mode in which a value that does not fit is an error, zero is a value of a key, and a backslash escapes.
pub(super) const STRICT: &str = "set session sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,\
                                 ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO', \
                                 session foreign_key_checks = 1, session unique_checks = 1";

/// The checks of constraints, as [`STRICT`] has them.
pub(super) const CHECKS: &str = "set session foreign_key_checks = 1, session unique_checks = 1";

pub(super) async fn create(load: &Load, session: &mut Session) -> Result<()> {
    /// A table with this name is there.
    const EXISTS: u16 = 1050;
    session.execute(STRICT).await?;
    check_local_infile(load, session).await?;
    session.execute(super::apply::LEDGER).await?;
    let columns = load.table.columns.iter().map(|column| definition(load, column));
    let marker = load.deletion.iter().map(|Deletion { marker, .. }| format!("{} tinyint(1) null", quoted(marker)));
    // An index that is made with the rows: duplicates are found by it, and rows by their keys.
    let key = (!load.table.primary_key.is_empty()).then(|| format!("key ({})", list(&load.table.primary_key)));
    let columns = columns.chain(marker).chain(key).collect::<Vec<_>>().join(", ");
    match make(load, session, &load.staging(), &columns).await {
        // Of an earlier attempt. To drop what is not there takes longer than to make a table.
        Err(error) if error.server().is_some_and(|server| server.code() == EXISTS) => {
            session.execute(&load.drop_staging()).await?;
            make(load, session, &load.staging(), &columns).await
        }
        made => made,
    }
}

/// The definition of a column of the staging table. One of the key is `not null`: as no row may lack it anyway, and Aria and
/// MyISAM search the page of an index from its start where a value may be null.
fn definition(load: &Load, column: &Column) -> String {
    let null = if load.table.primary_key.contains(&column.name) { "not null" } else { "null" };
    format!("{} {} {null}", quoted(&column.name), type_of(load, column))
}

/// The type of a column of the staging table.
pub(super) fn type_of(load: &Load, column: &Column) -> String {
    match &column.existing {
        Some(existing) => existing.definition.clone(),
        None => load.table.type_of(column),
    }
}

/// Creates the staging table, or one beside it.
pub(super) async fn make(load: &Load, session: &mut Session, table: &str, columns: &str) -> Result<()> {
    let create =
        |engine: &str| format!("create table {table} ({columns}) engine = {engine} {}", exact_text(session.product()));
    let fast = match session.product() {
        Product::MariaDb => "Aria transactional = 0",
        Product::MySql => "MyISAM",
    };
    let (fast, safe) = (create(fast), create("InnoDB"));
    // A table without transactions is written once instead of twice, but may lose rows in a crash of the server, which is
    // detected.
    if !load.durable && session.execute(&fast).await.is_ok() {
        return Ok(());
    }
    // Some servers have that engine turned off, and some types cannot be in its rows.
    session.execute(&safe).await.map(drop)
}

async fn check_local_infile(load: &Load, session: &mut Session) -> Result<()> {
    let is_on: Option<bool> = session.query_first("select @@global.local_infile").await?;
    match is_on {
        Some(false) => {
            let help =
                "let an administrator run: set global local_infile = on; a session loads rows by `load data local`";
            Err(load.error(session.database(), "the server takes no rows from its clients: local_infile is off", help))
        }
        _ => Ok(()),
    }
}

pub(super) async fn load(load: &Load, session: &mut Session, rows: Receiver<Piece>) -> Result<u64> {
    session.connection().set_infile_handler(async move {
        let pieces = stream::unfold(Some(rows), |rows| async {
            let mut rows = rows?;
            match rows.recv().await {
                Some(Piece::Rows(bytes, _)) => Some((Ok(bytes), Some(rows))),
                Some(Piece::End) => None,
                None => Some((Err(io::Error::other("the rows ended early")), None)),
            }
        });
        Ok(pieces.boxed() as InfileData)
    });
    let mut set = Vec::new();
    let mut columns: Vec<String> = Vec::new();
    for (number, column) in load.table.columns.iter().enumerate() {
        let name = quoted(&column.name);
        if column.kind == Kind::Bytes {
            set.push(format!("{name} = unhex(substr(@bytes_{number}, 3))"));
            columns.push(format!("@bytes_{number}"));
        } else {
            columns.push(name);
        }
    }
    columns.extend(load.deletion.iter().map(|Deletion { marker, .. }| quoted(marker)));
    let set = if set.is_empty() { String::new() } else { format!(" set {}", set.join(", ")) };
    let copy = format!(
        "load data local infile 'rows' into table {} character set utf8mb4 \
         fields terminated by 0x09 escaped by 0x5c lines terminated by 0x0a ({}){set}",
        load.staging(),
        columns.join(", ")
    );
    let rows = session.execute(&copy).await?;
    if session.connection().get_warnings() > 0 {
        let warnings: Vec<(String, u16, String)> = session.query("show warnings limit 1").await?;
        let why = warnings.first().map(|(_, code, _)| format!(" (warning {code})")).unwrap_or_default();
        let message = format!("the server has changed a value of the rows while it staged them{why}");
        let help = "the table is unchanged; reject values in the task that its columns cannot hold";
        return Err(load.error(session.database(), message, help));
    }
    Ok(rows)
}

pub(super) async fn deduplicate(load: &Load, session: &mut Session, rows: u64) -> Result<Staged> {
    session.execute(STRICT).await?;
    check_complete(load, session, rows).await?;
    let superseded = duplicates::delete(load, session, rows).await?;
    Ok(Staged { rows: rows - superseded, superseded })
}

/// Fails unless the staging table has all loaded rows: a crash of the server may lose some.
pub(super) async fn check_complete(load: &Load, session: &mut Session, rows: u64) -> Result<()> {
    let gone = |database: &Database, message: String| {
        load.error(database, message, "the table is unchanged; run the task again to read its input again")
    };
    match count(load, session).await {
        Ok(Some(left)) if left == rows => Ok(()),
        Ok(Some(left)) => {
            let message = format!("its staging table has {left} of {rows} rows; the server has probably crashed");
            Err(gone(session.database(), message))
        }
        Ok(None) => Err(gone(session.database(), "its staging table does not exist any more".to_owned())),
        Err(error) => Err(error),
    }
}

/// The number of rows in the staging table; none if it does not exist, or a crash of the server has damaged it.
pub(super) async fn count(load: &Load, session: &mut Session) -> Result<Option<u64>> {
    /// No such table; the table is marked as crashed, or an index of it is broken.
    const GONE: [u16; 6] = [126, 1034, 1146, 1194, 1195, 145];
    match session.query_first(&format!("select count(*) from {}", load.staging())).await {
        Ok(count) => Ok(count),
        Err(error) if error.server().is_some_and(|server| GONE.contains(&server.code())) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Which of some texts a character set cannot hold, or is no JSON document: their positions.
///
/// # Errors
/// [`Error::Statement`](crate::Error::Statement), as for a server that was stopped.
pub async fn unfit(session: &mut Session, bound: &Bound, texts: &[&str]) -> Result<Vec<usize>> {
    /// Bytes of a statement, well below what any server takes.
    const MOST: usize = 256 << 10;
    let condition = match bound {
        Bound::CharacterSet(set) => {
            format!("cast(convert(convert(value using {set}) using utf8mb4) as binary) <> cast(value as binary)")
        }
        Bound::Json => "not json_valid(value)".to_owned(),
        _ => return Ok(vec![]),
    };
    let mut unfit = Vec::new();
    let mut from = 0;
    while from < texts.len() {
        let mut values = String::new();
        let mut to = from;
        while to < texts.len() && (to == from || values.len() + 2 * texts[to].len() < MOST) {
            if to > from {
                values.push_str(" union all ");
            }
            let hex: String = texts[to].bytes().map(|byte| format!("{byte:02x}")).collect();
            values.push_str(&format!("select {to} as place, _utf8mb4 x'{hex}' as value"));
            to += 1;
        }
        let asked = format!("select place from ({values}) as given where {condition}");
        let found: Vec<u64> = session.query(&asked).await?;
        unfit.extend(found.into_iter().map(|place| place as usize));
        from = to;
    }
    Ok(unfit)
}
