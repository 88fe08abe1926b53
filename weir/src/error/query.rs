//! What the query engine says, in the words of task files and SQL.

use datafusion::error::DataFusionError;

/// What the engine puts before its messages, to say which part of it found the error.
const PARTS: [&str; 13] = [
    "Arrow error: ",
    "Cast error: ",
    "Compute error: ",
    "Error during planning: ",
    "Execution error: ",
    "External error: ",
    "Internal error: ",
    "Invalid argument error: ",
    "Optimizer rule ",
    "Parser error: ",
    "SQL error: ",
    "Schema error: ",
    "This feature is not implemented: ",
];

/// The engine's names of types, and those of task files. Longer ones first.
const TYPES: [(&str, &str); 20] = [
    ("Timestamp(Microsecond, None)", "timestamp"),
    ("Timestamp(Nanosecond, None)", "timestamp"),
    ("Interval(MonthDayNano)", "interval"),
    ("Interval(YearMonth)", "interval"),
    ("Interval(DayTime)", "interval"),
    ("LargeUtf8", "string"),
    ("Utf8View", "string"),
    ("Utf8", "string"),
    ("Boolean", "boolean"),
    ("Float32", "real"),
    ("Float64", "double"),
    ("Int16", "smallint"),
    ("Int32", "integer"),
    ("Int64", "bigint"),
    ("Date32", "date"),
    ("Date64", "date"),
    ("Timestamp(µs)", "timestamp"),
    ("Timestamp(ns)", "timestamp"),
    ("Decimal128", "decimal"),
    ("Decimal256", "decimal"),
];

/// The message of an error of the engine.
pub(crate) fn plain(error: &DataFusionError) -> String {
    let message = match error.find_root() {
        DataFusionError::SQL(error, _) => error.to_string(),
        root => root.strip_backtrace(),
    };
    plain_message(&message)
}

/// A message of the engine.
pub(crate) fn plain_message(message: &str) -> String {
    let mut message = message.trim();
    if message.ends_with("Divide by zero error") {
        return "division by zero".to_owned();
    }
    while let Some(rest) = PARTS.iter().find_map(|part| message.strip_prefix(part)) {
        message = rest;
    }
    let plain = unsupported(message)
        .or_else(|| no_pattern(message))
        .or_else(|| no_function(message))
        .or_else(|| no_field(message));
    plain_types(&plain.unwrap_or_else(|| message.to_owned()))
}

/// `No field named x. Did you mean 'a'?\nValid fields are a, a, b.`: each of them once.
fn no_field(message: &str) -> Option<String> {
    let (name, rest) = message.strip_prefix("No field named ")?.split_once("\nValid fields are ")?;
    // What the engine proposes is no better than the list.
    let name = name.split(". Did you mean").next()?.trim_end_matches('.');
    let mut known: Vec<&str> = Vec::new();
    for field in rest.trim_end_matches('.').split(", ").map(|field| field.rsplit('.').next().unwrap_or(field)) {
        if !known.contains(&field) {
            known.push(field);
        }
    }
    Some(format!("column '{}' not found; known here: {}", name.trim_matches('"'), known.join(", ")))
}

/// `Unsupported ast node Pivot { … } in create_relation`: the name of the node is that of the clause.
fn unsupported(message: &str) -> Option<String> {
    let (_, node) =
        message.split_once("Unsupported ast node ").or_else(|| message.split_once("Unsupported AST node "))?;
    let node = node.strip_prefix("in sqltorel: ").unwrap_or(node);
    let name = node.trim_start_matches(['"', '`']).split(|c: char| !c.is_alphanumeric()).next()?;
    (!name.is_empty()).then(|| format!("{} is not supported in SQL here", name.to_uppercase()))
}

/// What is before the pattern in the message of a pattern that is none.
pub(crate) const NO_PATTERN: &str = ", in the pattern `";

/// `regex parse error:\n    a(\n     ^\nerror: unclosed group`: in one line.
fn no_pattern(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("regex parse error:\n")?;
    let (shown, what) = rest.rsplit_once("\nerror: ")?;
    let pattern = shown.lines().next()?.strip_prefix("    ")?;
    // A pattern of several lines is shown in another form.
    let pattern = if shown.lines().count() == 2 { format!("{NO_PATTERN}{pattern}`") } else { String::new() };
    Some(format!("regex parse error: {}{pattern}", what.trim()))
}

/// A call with types that no function of the name takes: which ones it takes.
fn no_function(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("No function matches the given name and argument types '")?;
    let (call, rest) = rest.split_once('\'')?;
    let candidates = rest.split_once("Candidate functions:").map_or("", |(_, candidates)| candidates);
    let mut known: Vec<String> = Vec::new();
    for line in candidates.lines().map(|line| plain_types(line.trim())) {
        // Those of types that no table here has are of no use.
        let is_of_use = !line.is_empty() && !line.contains(|c: char| c.is_uppercase());
        if is_of_use && !known.contains(&line) {
            known.push(line);
        }
    }
    let known = if known.is_empty() { String::new() } else { format!("; known here: {}", known.join(", ")) };
    Some(format!("there is no function {call} with arguments of these types{known}"))
}

/// The types in a message under their names in task files.
pub(crate) fn plain_types(message: &str) -> String {
    TYPES.iter().fold(message.to_owned(), |message, (arrow, ours)| {
        if !message.contains(arrow) {
            return message;
        }
        let mut plain = String::with_capacity(message.len());
        let mut rest = message.as_str();
        while let Some(at) = rest.find(arrow) {
            let (before, found) = rest.split_at(at);
            let after = &found[arrow.len()..];
            let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            let is_word =
                !is_part(before.chars().next_back()) && (arrow.ends_with(')') || !is_part(after.chars().next()));
            plain.push_str(before);
            plain.push_str(if is_word { ours } else { arrow });
            rest = after;
        }
        plain.push_str(rest);
        plain
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_their_names_of_task_files_and_parts_of_the_engine_none() {
        for (message, expected) in [
            (
                "Arrow error: Cast error: Cannot cast string 'x' to value of Int32 type",
                "Cannot cast string 'x' to value of integer type",
            ),
            ("type Decimal128(4, 1) is not Struct", "type decimal(4, 1) is not Struct"),
            ("UInt64 and MyInt64 stay", "UInt64 and MyInt64 stay"),
            ("Timestamp(ns), Utf8View", "timestamp, string"),
        ] {
            assert_eq!(plain_message(message), expected);
        }
    }

    #[test]
    fn no_syntax_tree_is_shown() {
        let message = "This feature is not implemented: Unsupported ast node Pivot { table: Table { name: … } } in create_relation";
        assert_eq!(plain_message(message), "PIVOT is not supported in SQL here");
        let message = "This feature is not implemented: Unsupported ast node in sqltorel: Tuple([Value(…)])";
        assert_eq!(plain_message(message), "TUPLE is not supported in SQL here");
    }

    #[test]
    fn a_pattern_that_is_none_is_told_in_one_line() {
        let message = "External error: regex parse error:\n    a(\n     ^\nerror: unclosed group";
        assert_eq!(plain_message(message), "regex parse error: unclosed group, in the pattern `a(`");
    }

    #[test]
    fn a_call_with_other_types_names_those_that_fit() {
        let message = "Error during planning: Failed to coerce arguments to satisfy a call to 'to_char' function: coercion \
            from Decimal128(5, 2), Utf8 to the signature OneOf(Exact(Date32, Utf8)) failed. No function matches the given name \
            and argument types 'to_char(Decimal128(5, 2), Utf8)'. You might need to add explicit type casts.\n \
            Candidate functions:\n to_char(Date32, Utf8)\n to_char(Time64(ns), Utf8)\n to_char(Timestamp(ns), Utf8)\n to_char(Date64, Utf8)";
        assert_eq!(
            plain_message(message),
            "there is no function to_char(decimal(5, 2), string) with arguments of these types; known here: \
             to_char(date, string), to_char(timestamp, string)"
        );
    }
}
