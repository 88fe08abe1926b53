//! What to do about an error of SQL: the way to write what was meant, where somebody writes it as another engine has it.

/// The help for a message of the engine about SQL over columns, if there is one.
pub(super) fn of(message: &str, known: &[String]) -> Option<String> {
    // Columns of a select inside are known to the engine only.
    let proposed = message.split("possible column ").skip(1);
    let proposed = proposed.filter_map(|of| of.split(';').next()?.trim().rsplit('.').next());
    let columns: Vec<String> = known.iter().cloned().chain(proposed.map(str::to_owned)).collect();
    let help = missing(message).and_then(|name| of_column(name, &columns)).or_else(|| of_keyword(message, &columns));
    if help.is_some() {
        return help;
    }
    if let Some((_, rest)) = message.split_once("Invalid function '") {
        return of_function(rest.split('\'').next()?).map(str::to_owned);
    }
    let known = MESSAGES.iter().find(|(part, _)| message.contains(part) && (*part != "TOP" || message == *part));
    known.map(|(_, help)| (*help).to_owned())
}

/// Parts of messages, and what to do about them.
const MESSAGES: [(&str, &str); 18] = [
    ("input_file_name()", "declare a column of the source, as in file: {type: string, from: file}, and select it"),
    (
        "is not Struct, Map, or Null",
        "a name before a dot is a column first: give the table an alias that no column has; JSON in a text is column ->> 'key'",
    ),
    ("UNPIVOT is not supported", "write one `select` for each column, and `union all` between them"),
    ("PIVOT is not supported", "write one column for each value: sum(amount) filter (where kind = 'x') as x"),
    ("Projections require unique expression names", "rename one of them with `as`"),
    ("duplicate qualified field name", "give each of the tables its own alias: from orders as a join orders as b"),
    ("regex parse error", "escape the characters ( ) [ ] { } . * + ? ^ $ | with \\ where they stand for themselves"),
    ("Aggregate functions are not allowed in the WHERE", "write the condition under `having`"),
    ("Unsupported SQL type", "such values are texts here: cast(column as varchar)"),
    ("is ambiguous", "write the table before it, as in a.id"),
    (
        "COUNT DISTINCT with multiple arguments",
        "write count(distinct concat_ws('|', a, b)), or count the rows of a `select distinct`",
    ),
    ("Invalid timezone", "write an IANA time zone name, such as 'Asia/Singapore'"),
    ("in LIKE expression", "make a text of it: cast(column as varchar), or to_char(column, '%Y-%m-%d')"),
    (
        "there is no function substr(string, string",
        "write regexp_match(column, 'pattern')[1] for what a regular expression matches, or its first group",
    ),
    (
        "there is no function",
        "cast the argument: cast(column as varchar), cast(column as double), cast(column as date)",
    ),
    (
        "expressions have incompatible types",
        "cast one of them to the type of the other: cast(column as varchar), cast('1' as integer)",
    ),
    ("Date part '", "known here: year, quarter, month, week, day, dow, doy, hour, minute, second, epoch"),
    ("TOP", "write `limit 5` at the end"),
];

/// What to write instead of a function that only other engines have.
fn of_function(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let known = FUNCTIONS.iter().find(|(names, _)| names.contains(&name.as_str()));
    known.map(|(_, help)| *help)
}

const FUNCTIONS: [(&[&str], &str); 23] = [
    (
        &[
            "rank",
            "dense_rank",
            "row_number",
            "percent_rank",
            "cume_dist",
            "ntile",
            "lag",
            "lead",
            "first_value",
            "last_value",
            "nth_value",
        ],
        "a window function needs `over`: row_number() over (partition by a order by b)",
    ),
    (
        &[
            "json_extract",
            "json_extract_string",
            "json_extract_scalar",
            "json_value",
            "json_query",
            "json_get",
            "json_get_str",
            "json_get_json",
            "json_get_int",
            "json_get_float",
            "json_get_bool",
            "json_as_text",
            "get_json_object",
            "jsonb_extract_path",
            "jsonb_extract_path_text",
            "from_json",
        ],
        "write column -> 'user' ->> 'name' for text, cast(column ->> 'age' as integer) for a number",
    ),
    (
        &["json_get_array", "json_table", "jsonb_array_elements", "flatten", "explode"],
        "write unnest(json_array_elements(column -> 'items')) for one row for each element",
    ),
    (&["jsonb_each", "jsonb_each_text", "json_entries"], "write unnest(json_each(column)) for one row for each key"),
    (
        &["object_construct", "object_agg", "json_group_object", "row_to_json", "to_json_string", "map_from_entries"],
        "write json_object('key', value) of a row, json_object_agg(key, value) of a group",
    ),
    (
        &["json_group_array", "collect_list", "collect_set", "array_to_json"],
        "write json_array_agg(value order by at) for JSON, array_agg(value order by at) for a list",
    ),
    (&["datediff", "timestampdiff", "days_between"], "write date_diff('day', start, end), or end - start for days"),
    (&["months_between"], "write date_diff('month', start, end)"),
    (
        &["dateadd", "date_add", "date_sub", "add_months", "adddate", "timestampadd"],
        "write day + interval '1 month', or day + 30 for days",
    ),
    (
        &["getdate", "sysdate", "curdate", "localtimestamp"],
        "write now() for the moment of the run, current_date for its day",
    ),
    (&["year", "month", "day", "quarter", "hour", "minute", "second"], "write extract(year from column)"),
    (&["week", "weekofyear", "yearweek"], "write extract(week from column)"),
    (
        &["dayofweek", "weekday", "dow", "dayofyear"],
        "write extract(dow from column), where 0 is Sunday, or extract(doy from column)",
    ),
    (&["dayname", "monthname"], "write to_char(column, '%A') for the name of the day, '%B' for that of the month"),
    (&["last_day", "eomonth"], "write cast(date_trunc('month', day) + interval '1 month' - interval '1 day' as date)"),
    (&["date_format", "strftime", "format_datetime", "format"], "write to_char(column, '%Y-%m-%d')"),
    (&["str_to_date", "strptime", "parse_date", "try_to_date"], "write to_date(column, '%d/%m/%Y')"),
    (&["isnull", "ifnull", "zeroifnull"], "write coalesce(column, value)"),
    (&["iif", "iff", "if", "decode"], "write case when condition then value else other end"),
    (&["len", "char_len", "datalength"], "write length(column)"),
    (&["charindex", "locate"], "write strpos(column, 'part')"),
    (
        &["safe_cast", "try_convert", "convert", "to_number", "to_decimal"],
        "write try_cast(column as integer): null where it is none; cast rejects the row",
    ),
    (
        &["mode"],
        "count the values in a model, and take the first row of them by row_number() over (order by count desc)",
    ),
];

/// What the file of a row tells, by the names under which other programs have it: the declaration of such a column.
const OF_FILES: [(&[&str], &str); 3] = [
    (&["_file", "_filename", "_file_name", "filename", "file_name", "source_file"], "{type: string, from: file}"),
    (&["_line", "_line_number", "line_number", "source_line"], "{type: bigint, from: line}"),
    (&["_modified", "_modified_at", "_mtime", "file_modified"], "{type: timestamp, from: modified}"),
];

/// The column that a message says is missing.
fn missing(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("column '")?;
    let (name, rest) = rest.split_once('\'')?;
    rest.starts_with(" not found").then_some(name)
}

/// What to write instead of a column that is missing.
fn of_column(name: &str, known: &[String]) -> Option<String> {
    if let Some(column) = known.iter().find(|column| *column != name && column.to_lowercase() == name.to_lowercase()) {
        let quoted = quoted(column);
        return Some(format!("a name without quotes means its lower-case form: write {quoted} with double quotes"));
    }
    // What follows in the name was taken for an operator, or for the column's new name.
    let begins = |column: &&String| {
        let rest = column.to_lowercase().strip_prefix(&name.to_lowercase()).map(str::to_owned);
        rest.is_some_and(|rest| rest.starts_with(|c: char| !c.is_alphanumeric() && c != '_'))
    };
    let longer: Vec<String> = known.iter().filter(begins).map(|column| quoted(column)).collect();
    if !longer.is_empty() {
        let quoted = longer.join(" or ");
        return Some(format!("a name with other characters than letters, digits and _ needs quotes: write {quoted}"));
    }
    let (_, declaration) = OF_FILES.iter().find(|(names, _)| names.contains(&name))?;
    Some(format!("declare it as a column of the source, {name}: {declaration}, and select it"))
}

/// What to write instead of a column whose name the parser takes for a word of SQL.
fn of_keyword(message: &str, known: &[String]) -> Option<String> {
    let (_, found) = message.split_once("Expected: ")?.1.split_once("found: ")?;
    let word = found.split(' ').next()?;
    let column = known.iter().find(|column| column.to_lowercase() == word.to_lowercase())?;
    Some(format!("`{word}` is a word of SQL: write {} where it is the column", quoted(column)))
}

/// A column whose name was taken for an expression: `e-mail` for `e - mail`.
pub(super) fn of_expression(expression: &str, known: &[String]) -> Option<String> {
    let plain = |text: &str| text.split_whitespace().collect::<String>().to_lowercase();
    let column = known.iter().find(|column| plain(column) == plain(expression))?;
    Some(format!("if it is the column of that name, write {} with double quotes", quoted(column)))
}

/// The name of a column as SQL has it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_of_another_engine_is_told_in_the_sql_that_is_here() {
        let help = |message: &str| of(message, &[]).unwrap_or_default();
        assert!(help("Invalid function 'json_extract'; Possible function 'union_extract'").contains("->> 'name'"));
        assert!(help("Invalid function 'collect_list'").contains("json_array_agg(value order by at)"));
        assert!(help("Invalid function 'DATEDIFF'").contains("date_diff('day'"));
        assert_eq!(of("Invalid function 'nothing_like_it'", &[]), None);
    }

    #[test]
    fn a_column_that_needs_quotes_is_told_with_them() {
        let known = ["Name", "First Name", "e-mail", "order", "a\"b c"].map(str::to_owned);
        let help = |message: &str| of(message, &known).unwrap_or_default();
        assert!(help("column 'name' not found; possible column src.Name").contains("write \"Name\""));
        assert!(help("column 'first' not found in 'src'").ends_with("needs quotes: write \"First Name\""));
        assert!(help("column 'e' not found").ends_with("write \"e-mail\""));
        assert!(help("column 'a\"b' not found").ends_with("write \"a\"\"b c\""));
        assert!(help("Expected: end of statement, found: order").contains("`order` is a word of SQL: write \"order\""));
        assert_eq!(of("column 'fir' not found", &known), None);
        assert!(of_expression("e - mail", &known).is_some_and(|help| help.contains("write \"e-mail\"")));
        assert_eq!(of_expression("a + b", &known), None);
        let file = help("column '_file' not found");
        assert_eq!(file, "declare it as a column of the source, _file: {type: string, from: file}, and select it");
    }
}
