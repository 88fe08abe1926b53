//! Imports the members that section 1 accepted: a folder of CSV files with the columns of [`COLUMNS`].
//!
//! Members are upserted by membership id, first name and email. So an import is idempotent, and importing a later run
//! of section 1 changes only what differs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::pin;

use chrono::NaiveDate;
use csv::StringRecord;
use weir_postgres::Database;
use weir_postgres::tokio_postgres::binary_copy::BinaryCopyInWriter;
use weir_postgres::tokio_postgres::types::{ToSql, Type};
use weir_postgres::tokio_postgres::{Client, Transaction};

use crate::{Error, Result};

/// The required columns of a file, in any order.
pub const COLUMNS: [&str; 7] =
    ["first_name", "last_name", "email", "date_of_birth", "mobile_no", "above_18", "membership_id"];

/// Result of an import. The unit is members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// New members.
    pub inserted: u64,
    /// Existing members with changed values.
    pub updated: u64,
    /// Existing members without changes.
    pub unchanged: u64,
    /// Lines superseded by a later line of the same import.
    pub repeated: u64,
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inserted, updated, unchanged, repeated } = self;
        write!(f, "{inserted} inserted, {updated} updated, {unchanged} unchanged")?;
        match repeated {
            0 => Ok(()),
            _ => write!(f, "; {repeated} lines were superseded by a later line of the same member"),
        }
    }
}

/// Imports all files of a folder, or none.
pub async fn import(database: &Database, client: &mut Client, folder: &Path) -> Result<Imported> {
    let failed = |error| Error::from(database.statement_error(&error));
    let files = files(folder)?;
    let transaction = client.transaction().await.map_err(failed)?;
    transaction.batch_execute(GIVEN).await.map_err(failed)?;
    let lines = copy(database, &transaction, &files).await?;
    let counts = transaction.query_one(MERGE, &[]).await.map_err(failed)?;
    let [members, inserted, updated] = ["members", "inserted", "updated"].map(|name| counts.get::<_, i64>(name) as u64);
    transaction.commit().await.map_err(failed)?;
    Ok(Imported { inserted, updated, unchanged: members - inserted - updated, repeated: lines - members })
}

const GIVEN: &str = "
    create temporary table given_member (
        line bigint, membership_id text, first_name text, last_name text, birthday date, mobile text, email text
    ) on commit drop";

const TYPES: [Type; 7] = [Type::INT8, Type::TEXT, Type::TEXT, Type::TEXT, Type::DATE, Type::TEXT, Type::TEXT];

/// Sorted by key, so that concurrent imports wait for each other without a deadlock. A row that this statement inserted
/// has no xmax.
const MERGE: &str = "
    with given as (
        select distinct on (membership_id, first_name, email) *
        from given_member
        order by membership_id, first_name, email, line desc
    ),
    merged as (
        insert into member (membership_id, first_name, last_name, birthday, mobile, email)
        select membership_id, first_name, last_name, birthday, mobile, email
        from given
        order by membership_id, first_name, email
        on conflict on constraint member_is_known_once do update set
            last_name = excluded.last_name,
            birthday = excluded.birthday,
            mobile = excluded.mobile
        where (member.last_name, member.birthday, member.mobile)
            is distinct from (excluded.last_name, excluded.birthday, excluded.mobile)
        returning xmax = 0 as is_new
    )
    select
        (select count(*) from given) as members,
        count(*) filter (where is_new) as inserted,
        count(*) filter (where not is_new) as updated
    from merged";

/// Sends all lines to the server; returns their number.
async fn copy(database: &Database, transaction: &Transaction<'_>, files: &[PathBuf]) -> Result<u64> {
    let failed = |error| Error::from(database.statement_error(&error));
    let sink = transaction.copy_in("copy given_member from stdin (format binary)").await.map_err(failed)?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &TYPES));
    let mut lines = 0;
    for path in files {
        let mut reader = csv::Reader::from_path(path).map_err(|error| wrong(path, &error))?;
        let places = places(reader.headers().map_err(|error| wrong(path, &error))?, path)?;
        let mut record = StringRecord::new();
        while reader.read_record(&mut record).map_err(|error| wrong(path, &error))? {
            let line = record.position().map_or(0, csv::Position::line);
            let at = |message: String| Error::Input { place: format!("{}:{line}", path.display()), message };
            let member = Member::of(&record, places).map_err(at)?;
            writer.as_mut().write(&member.values(&(lines as i64))).await.map_err(failed)?;
            lines += 1;
        }
    }
    writer.finish().await.map_err(failed)?;
    Ok(lines)
}

/// The CSV files of a folder, sorted by name. Other files, such as `_SUCCESS`, are ignored.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let wrong = |message: String| Error::Input { place: folder.display().to_string(), message };
    let entries = std::fs::read_dir(folder).map_err(|error| wrong(error.to_string()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
    let mut paths = paths.map_err(|error| wrong(error.to_string()))?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "csv"));
    paths.sort();
    if paths.is_empty() {
        return Err(wrong("it has no CSV file".to_owned()));
    }
    Ok(paths)
}

/// The position of each of [`COLUMNS`].
fn places(header: &StringRecord, path: &Path) -> Result<[usize; 7]> {
    let wrong = |message: String| Error::Input { place: format!("{}:1", path.display()), message };
    if let Some(unknown) = header.iter().find(|name| !COLUMNS.contains(name)) {
        return Err(wrong(format!("unknown column `{unknown}`; the columns are {}", COLUMNS.join(","))));
    }
    let mut places = [0; 7];
    for (place, name) in places.iter_mut().zip(COLUMNS) {
        let mut found = header.iter().enumerate().filter(|(_, of)| *of == name).map(|(i, _)| i);
        *place = found.next().ok_or_else(|| wrong(format!("column `{name}` is missing")))?;
        if found.next().is_some() {
            return Err(wrong(format!("duplicate column `{name}`")));
        }
    }
    Ok(places)
}

/// An unreadable or invalid CSV file. The line number is that of the start of the record.
fn wrong(path: &Path, error: &csv::Error) -> Error {
    let line = error.position().map(|position| format!(":{}", position.line())).unwrap_or_default();
    let message = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => format!("{len} fields instead of {expected_len}"),
        csv::ErrorKind::Utf8 { .. } => "the text is not valid UTF-8".to_owned(),
        _ => error.to_string(),
    };
    Error::Input { place: format!("{}{line}", path.display()), message }
}

/// A line, validated with the rules of the table, but with errors that have its position and none of its values.
#[derive(Debug)]
struct Member<'a> {
    first_name: &'a str,
    last_name: &'a str,
    email: &'a str,
    birthday: NaiveDate,
    mobile: &'a str,
    membership_id: &'a str,
}

impl<'a> Member<'a> {
    fn of(record: &'a StringRecord, places: [usize; 7]) -> Result<Self, String> {
        let values = places.map(|place| &record[place]);
        for (name, value) in COLUMNS.iter().zip(values) {
            if value.is_empty() || value.contains('\0') {
                return Err(format!("`{name}` is empty or contains a NUL character"));
            }
        }
        let [first_name, last_name, email, birthday, mobile, above_18, membership_id] = values;
        if above_18 != "true" {
            return Err("`above_18` is not `true`: the application was not accepted".to_owned());
        }
        let is_digits = |text: &str| text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
        let birthday = Some(birthday).filter(|text| is_digits(text));
        let birthday = birthday.and_then(|text| NaiveDate::parse_from_str(text, "%Y%m%d").ok());
        let birthday = birthday.ok_or("`date_of_birth` is not a valid date in the format yyyymmdd")?;
        if !is_digits(mobile) {
            return Err("`mobile_no` does not have exactly eight digits".to_owned());
        }
        let sides = email.split_once('@').filter(|(_, domain)| !domain.contains('@'));
        if !sides.is_some_and(|(name, domain)| !name.is_empty() && !domain.is_empty()) {
            return Err("`email` does not have exactly one @ with text on both sides".to_owned());
        }
        let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !membership_id.rsplit_once('_').is_some_and(|(_, hash)| hash.len() == 5 && is_hex(hash)) {
            return Err("`membership_id` does not end in _ and five hex digits".to_owned());
        }
        Ok(Self { first_name, last_name, email, birthday, mobile, membership_id })
    }

    /// Its row in the table `given_member`.
    fn values<'b>(&'b self, line: &'b i64) -> [&'b (dyn ToSql + Sync); 7] {
        let Self { first_name, last_name, email, birthday, mobile, membership_id } = self;
        [line, membership_id, first_name, last_name, birthday, mobile, email]
    }
}
