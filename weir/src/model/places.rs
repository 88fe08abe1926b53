//! Where in a SQL file an error is whose message has no place: found by what the message names.

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, Ident, SelectItem, Spanned as _};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::{names, place};
use crate::error::NO_PATTERN;
use crate::task::Place;

/// The place of what a message of the engine is about. A name that the text has in several places has none, but for
/// fields of columns: there one mistake makes all of them.
pub(super) fn of(text: &str, message: &str, columns: &[String]) -> Option<Place> {
    let tokens = tokens(text);
    let quoted = |before: &str| message.split_once(before)?.1.split(['(', ' ']).next();
    if let Some(name) = quoted("there is no function ") {
        // `substring(… from …)` is a call of substr.
        let is_call = |at: usize, word: &str| {
            word.to_lowercase().starts_with(name)
                && matches!(tokens.get(at + 1), Some(next) if next.token == Token::LParen)
        };
        return only(
            tokens.iter().enumerate().filter(|(at, token)| word(token).is_some_and(|word| is_call(*at, word))),
        );
    }
    if let Some((clause, _)) = message.split_once(" is not supported in SQL here") {
        let is_clause = |token: &TokenWithSpan| word(token).is_some_and(|word| word.eq_ignore_ascii_case(clause));
        return only(tokens.iter().enumerate().filter(|(_, token)| is_clause(token)));
    }
    if let Some((_, pattern)) = message.split_once(NO_PATTERN) {
        let pattern = pattern.rsplit_once('`')?.0;
        let is_pattern = |token: &TokenWithSpan| match &token.token {
            Token::SingleQuotedString(text) => text == pattern,
            _ => false,
        };
        return only(tokens.iter().enumerate().filter(|(_, token)| is_pattern(token)));
    }
    if message.contains("is not Struct, Map, or Null") {
        let is_column = |name: &str| columns.iter().any(|column| column.eq_ignore_ascii_case(name));
        let is_field =
            |pair: &&[TokenWithSpan]| pair[1].token == Token::Period && word(&pair[0]).is_some_and(is_column);
        // Outside of a subquery a table's name comes before a column's.
        let is_inner = |pair: &[TokenWithSpan]| {
            pair[0].token == Token::LParen && word(&pair[1]).is_some_and(|word| word.eq_ignore_ascii_case("select"))
        };
        let inner = tokens.windows(2).position(is_inner).unwrap_or_default();
        let field = tokens[inner..].windows(2).find(is_field).or_else(|| tokens.windows(2).find(is_field));
        return place(field?.first()?.span);
    }
    None
}

/// The place of the last column of a name in the select list, which may be that of a `*`.
pub(super) fn last_named(statement: &Statement, name: &str) -> Option<Place> {
    let items = names::columns_of(statement)?;
    let is_named = |item: &&SelectItem| {
        let ident: Option<&Ident> = match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(alias),
            SelectItem::UnnamedExpr(Expr::Identifier(ident)) => Some(ident),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(idents)) => idents.last(),
            _ => None,
        };
        ident.is_some_and(|ident| ident.value.eq_ignore_ascii_case(name))
    };
    let is_all = |item: &&SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
    let is_repeated = items.iter().filter(is_named).count() > 1;
    let item = items.iter().rfind(|item| is_named(item) || !is_repeated && is_all(item))?;
    place(item.span())
}

/// The column that the engine says is there twice: `expression "src.id" at position 0 and "src.id" at position 1`, or one
/// with a table and one without.
pub(super) fn repeated(message: &str) -> Option<&str> {
    if let Some((_, rest)) = message.split_once(" and unqualified field name ") {
        return Some(rest.split_once(" which would be ambiguous")?.0.trim_matches('"'));
    }
    let (_, rest) = message.split_once("require unique expression names but the expression \"")?;
    let name = rest.split_once("\" at position")?.0;
    let name = name.rsplit_once(" AS ").map_or(name, |(_, alias)| alias);
    Some(name.rsplit('.').next().unwrap_or(name).trim_matches('"'))
}

fn tokens(text: &str) -> Vec<TokenWithSpan> {
    let tokens = Tokenizer::new(&GenericDialect, text).tokenize_with_location().unwrap_or_default();
    tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect()
}

fn word(token: &TokenWithSpan) -> Option<&str> {
    match &token.token {
        Token::Word(word) => Some(&word.value),
        _ => None,
    }
}

fn only<'a>(mut found: impl Iterator<Item = (usize, &'a TokenWithSpan)>) -> Option<Place> {
    let (_, first) = found.next()?;
    if found.next().is_some() { None } else { place(first.span) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, message: &str) -> Option<(usize, usize)> {
        of(text, message, &["a".to_owned()]).map(|place| (place.line, place.column))
    }

    #[test]
    fn what_a_message_names_is_found_where_it_is_once() {
        let call = "there is no function substr(string, string) with arguments of these types";
        assert_eq!(at("select\n  substring(a from 'x') as b", call), Some((2, 3)));
        assert_eq!(at("select substr(a, 1), substr(a, 'x')", call), None);
        assert_eq!(at("select substr from t -- substr(", call), None);
        let pivot = "PIVOT is not supported in SQL here";
        assert_eq!(at("select 'pivot' as p\nfrom t pivot (x)", pivot), Some((2, 8)));
        let pattern = "regex parse error: unclosed group, in the pattern `a(`";
        assert_eq!(at("select regexp_like(a, 'a(')", pattern), Some((1, 23)));
        let field = "Cannot access field at argument 1: type decimal(4, 1) is not Struct, Map, or Null";
        assert_eq!(at("select b.x, a.x from b", field), Some((1, 13)));
        assert_eq!(at("select a.x from a where exists (select 1 from b where a.x = 1)", field), Some((1, 55)));
        assert_eq!(at("select 1", "anything else"), None);
    }

    #[test]
    fn a_column_that_is_there_twice_is_named_as_the_model_has_it() {
        let message = |of: &str| {
            format!("Projections require unique expression names but the expression \"{of}\" at position 0 and")
        };
        for (of, name) in [("src.id", "id"), ("id", "id"), ("a.x AS y", "y"), ("count(Int64(1)) AS n", "n")] {
            assert_eq!(repeated(&message(of)), Some(name));
        }
        let message =
            "Schema contains qualified field name t.id and unqualified field name id which would be ambiguous";
        assert_eq!(repeated(message), Some("id"));
    }
}
