//! Values on their way into a column of another type: the server casts their text, and what it would change does not fit.

use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::Kind;
use crate::sql::{literal, quoted};
use crate::{Database, Result};

/// What the meaning of a text may depend on, as it is for every cast.
pub(super) const SETTINGS: &str = "set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'; \
     set local intervalstyle = 'postgres'; set local extra_float_digits = 1; set local xmloption = 'content'";

/// How the values of a column become those of an existing column of another type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cast {
    /// The type of the existing column, by the server's name for it.
    pub to: String,
    /// The type below all domains, without a length or precision: quoted, with its schema.
    pub(super) base: String,
    /// Its name alone: `int4`.
    pub(super) name: String,
    /// The server's category of it: `S` for texts, `N` for numbers.
    pub(super) category: String,
    /// Whether a length or precision limits the values.
    pub(super) is_limited: bool,
}

/// A kind of type: how values are cast to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    Text,
    Exact,
    Float,
    Money,
    Boolean,
    Json,
    Bytes,
    Date,
    Timestamp,
    TimestampTz,
    Time,
    TimeTz,
    Other,
}

impl Cast {
    /// To the type of JSON documents in a column that is created.
    pub fn to_jsonb() -> Self {
        Self {
            to: "jsonb".to_owned(),
            base: "pg_catalog.jsonb".to_owned(),
            name: "jsonb".to_owned(),
            category: "U".to_owned(),
            is_limited: false,
        }
    }

    fn target(&self) -> To {
        match (self.name.as_str(), self.category.as_str()) {
            ("int2" | "int4" | "int8" | "numeric", _) => To::Exact,
            ("float4" | "float8", _) => To::Float,
            ("money", _) => To::Money,
            ("bool", _) => To::Boolean,
            ("json" | "jsonb", _) => To::Json,
            ("bytea", _) => To::Bytes,
            ("date", _) => To::Date,
            ("timestamp", _) => To::Timestamp,
            ("timestamptz", _) => To::TimestampTz,
            ("time", _) => To::Time,
            ("timetz", _) => To::TimeTz,
            ("char", _) | (_, "S") => To::Text,
            _ => To::Other,
        }
    }

    /// Whether values of a type can mean values of this one. A text can mean anything.
    pub(super) fn takes(&self, from: &Kind) -> bool {
        match (from, self.target()) {
            (Kind::Text | Kind::Varchar(_), _) => true,
            (Kind::Bytes, to) => to == To::Bytes,
            (_, To::Text) => true,
            (Kind::Boolean, to) => matches!(to, To::Boolean | To::Json),
            (Kind::Date, to) => matches!(to, To::Date | To::Timestamp | To::TimestampTz),
            (Kind::Timestamp, to) => matches!(to, To::Date | To::Timestamp | To::TimestampTz),
            (Kind::TimestampTz, to) => to == To::TimestampTz,
            (Kind::Other(_), _) => false,
            (_, to) => matches!(to, To::Exact | To::Float | To::Money | To::Json) || self.name == "oid",
        }
    }

    /// The value that an SQL expression of a type becomes. A time without a zone is one in UTC.
    pub(super) fn value(&self, from: &Kind, expression: &str) -> String {
        let (to, base) = (&self.to, &self.base);
        match (self.target(), from) {
            (To::Exact, _) => format!("({expression})::text::numeric::{to}"),
            (To::Money, _) => format!("({expression})::text::numeric::money::{to}"),
            (To::TimestampTz, Kind::Date | Kind::Timestamp) => {
                format!("(({expression})::timestamp at time zone 'UTC')::{to}")
            }
            (To::Date, Kind::Timestamp) | (To::Timestamp, Kind::Date) => format!("({expression})::{base}::{to}"),
            _ => format!("({expression})::text::{to}"),
        }
    }

    /// Whether the server keeps all of a value that it can cast.
    pub(super) fn is_lossless(&self, from: &Kind, expression: &str) -> String {
        let (value, base) = (self.value(from, expression), &self.base);
        let text = format!("({expression})::text");
        let is_text = matches!(from, Kind::Text | Kind::Varchar(_));
        let all = match self.target() {
            To::Exact => format!("{value} = {text}::numeric"),
            To::Float => format!("({value})::text::numeric = {text}::numeric"),
            To::Money => format!("({value})::numeric = {text}::numeric"),
            // Blanks at the end of such a text do not count.
            To::Text if self.name == "bpchar" => format!("rtrim(({value})::text, ' ') = rtrim({text}, ' ')"),
            To::Text => format!("({value})::text collate \"C\" = {text}"),
            To::Date if matches!(from, Kind::Timestamp) => format!("({value})::timestamp = {expression}"),
            To::TimestampTz if !is_text && self.is_limited => {
                format!("{value} = (({expression})::timestamp at time zone 'UTC')")
            }
            _ if self.is_limited => format!("{value} = {text}::{base}"),
            _ => format!("({value}) is not null"),
        };
        match self.form().filter(|_| is_text) {
            Some(form) => format!("{all} and {text} ~ {}", literal(&form)),
            None => all,
        }
    }

    /// The form of a text whose meaning depends on no setting, and of which the server drops nothing.
    fn form(&self) -> Option<String> {
        const DAY: &str = r"\d{4,}-\d\d?-\d\d?";
        const TIME: &str = r"\d\d?:\d\d(:\d\d(\.\d{0,6}0*)?)?";
        const ZONE: &str = r" ?([Zz]|UTC|[+-]\d\d(:?\d\d)?)";
        let form = match self.target() {
            To::Date => format!("{DAY}( BC)?|-?infinity"),
            To::Timestamp => format!("{DAY}([ T]{TIME})?( BC)?|-?infinity"),
            To::TimestampTz => format!("{DAY}([ T]{TIME}({ZONE})?)?( BC)?|-?infinity"),
            To::Time => TIME.to_owned(),
            To::TimeTz => format!("{TIME}({ZONE})?"),
            _ => return None,
        };
        Some(format!("^({form})$"))
    }
}

/// Why a type has no such cast, if it has none: it may lack an equality.
pub(super) async fn check(client: &Client, cast: &Cast, from: &Kind) -> Result<Option<String>, tokio_postgres::Error> {
    let test = cast.is_lossless(from, &format!("v::{from}"));
    match client.simple_query(&format!("select {test} from (select null::text) as given (v)")).await {
        Ok(_) => Ok(None),
        Err(error) => match error.as_db_error() {
            // A domain that is not null.
            Some(of_null) if of_null.code().code().starts_with("23") => Ok(None),
            Some(of_cast) => Ok(Some(of_cast.message().to_owned())),
            None => Err(error),
        },
    }
}

/// The positions of the values that do not fit into a column, of values of a type as texts: the server cannot cast them, or
/// would change them. A session must be asked for one list after the other.
///
/// # Errors
/// [`crate::Error::Statement`] if the server refuses for a reason that is not in the values.
pub async fn unfit(
    database: &Database,
    client: &Client,
    from: &Kind,
    cast: &Cast,
    values: &[&str],
) -> Result<Vec<usize>> {
    // No type of the server holds it, and no statement can carry it.
    let (without_nul, sent): (Vec<usize>, Vec<&str>) = values
        .iter()
        .enumerate()
        .filter(|(_, value)| !value.contains('\0'))
        .map(|(place, value)| (place, *value))
        .unzip();
    let with_nul = values.iter().enumerate().filter(|(_, value)| value.contains('\0')).map(|(place, _)| place);
    let failed = |error| database.statement_error(&error);
    let given = literal(&array(&sent));
    let test = cast.is_lossless(from, &format!("v::{from}"));
    let fits = format!(
        "begin; {SETTINGS};
         select coalesce(bool_and({test}), true) from unnest({given}::text[]) as given (v);
         rollback"
    );
    let mut all = match client.simple_query(&fits).await {
        Ok(answer) if first(&answer) == Some("t") => vec![],
        Ok(_) => one_by_one(client, &test, &given).await.map_err(failed)?,
        Err(error) if error.code().is_some_and(is_of_values) => {
            client.batch_execute("rollback").await.map_err(failed)?;
            one_by_one(client, &test, &given).await.map_err(failed)?
        }
        Err(error) => return Err(failed(error)),
    };
    all.iter_mut().for_each(|place| *place = without_nul[*place]);
    all.extend(with_nul);
    Ok(all)
}

/// Whether an error says that a value is wrong: a data exception, or a check of a domain. Functions of extensions raise
/// others too, so all but those of the session and of rights count.
fn is_of_values(code: &SqlState) -> bool {
    !["08", "0A", "28", "42501", "53", "57", "58", "XX"].iter().any(|class| code.code().starts_with(class))
}

/// The same, of each value alone: what the server refuses does not fit.
async fn one_by_one(client: &Client, test: &str, given: &str) -> Result<Vec<usize>, tokio_postgres::Error> {
    let block = literal(&format!(
        "declare
             given text;
             place integer := 0;
             fits boolean;
             unfit text := '';
         begin
             for given in
                 select value from unnest(current_setting('weir.given')::text[])
                     with ordinality as of_all (value, number) order by number
             loop
                 begin
                     execute {} into fits using given;
                 exception when others then
                     fits := false;
                 end;
                 if fits is not true then
                     unfit := unfit || place || ' ';
                 end if;
                 place := place + 1;
             end loop;
             perform set_config('weir.unfit', unfit, true);
         end",
        literal(&format!("select {test} from (select $1) as given (v)"))
    ));
    let ask = format!(
        "begin; {SETTINGS};
         select set_config('weir.given', {given}, true);
         do {block};
         select current_setting('weir.unfit');
         rollback"
    );
    let answer = client.simple_query(&ask).await;
    if answer.is_err() {
        let _ = client.batch_execute("rollback").await;
    }
    let answer = answer?;
    let unfit = answer.iter().rev().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(unfit.unwrap_or_default().split_whitespace().filter_map(|place| place.parse().ok()).collect())
}

/// Texts as the server's text of an array.
fn array(texts: &[&str]) -> String {
    let quoted = texts.iter().map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")));
    format!("{{{}}}", quoted.collect::<Vec<_>>().join(","))
}

/// The first value of the first row.
fn first(answer: &[SimpleQueryMessage]) -> Option<&str> {
    answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    })
}

/// The statements that give the columns of the staging table the types of the target's; none if they have them.
pub(super) fn change_types(load: &super::Load) -> Option<String> {
    let casts = load.table.columns.iter().filter_map(|column| Some((column, column.cast.as_ref()?)));
    let changes = casts.map(|(column, cast)| {
        let name = quoted(&column.name);
        format!("alter column {name} type {} using {}", cast.to, cast.value(&column.kind, &name))
    });
    let changes: Vec<_> = changes.collect();
    (!changes.is_empty()).then(|| format!("{SETTINGS}; alter table {} {}", load.staging(), changes.join(", ")))
}
