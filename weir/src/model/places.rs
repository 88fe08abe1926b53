//! Where in a SQL file an error is whose message has no place: found by what the message names.

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, Ident, SelectItem, Spanned as _};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::{names, place};
use crate::error::NO_PATTERN;
use crate::task::Place;

/// The place of what a message of the engine is about: the first one of several that are wrong alike. A call has none if the
/// text has several of the function with as many arguments.
pub(super) fn of(text: &str, message: &str, columns: &[String]) -> Option<Place> {
    let tokens = tokens(text);
    if let Some((_, call)) = message.split_once("there is no function ") {
        let (name, types) = call.split_once('(')?;
        let arguments = arguments(&Tokenizer::new(&GenericDialect, types).tokenize().unwrap_or_default());
        // `substring(… from …)` is a call of substr.
        let is_call = |at: &usize| {
            let has_name = word(&tokens[*at]).is_some_and(|word| word.to_lowercase().starts_with(name));
            let call: Vec<Token> = tokens[at + 1..].iter().map(|token| token.token.clone()).collect();
            has_name && call.first() == Some(&Token::LParen) && self::arguments(&call[1..]) == arguments
        };
        return only((0..tokens.len()).filter(is_call).map(|at| &tokens[at]));
    }
    if let Some((clause, _)) = message.split_once(" is not supported in SQL here") {
        // Each of several is wrong.
        return place(tokens.iter().find(|token| is_word(token, clause))?.span);
    }
    if let Some((_, pattern)) = message.split_once(NO_PATTERN) {
        let pattern = pattern.rsplit_once('`')?.0;
        let is_pattern = |token: &&TokenWithSpan| match &token.token {
            Token::SingleQuotedString(text) => text == pattern,
            _ => false,
        };
        return place(tokens.iter().find(is_pattern)?.span);
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

/// The place of the first word of a SQL file.
pub(super) fn first(text: &str) -> Option<Place> {
    place(tokens(text).first()?.span)
}

/// The place of the second statement of a SQL file.
pub(super) fn second_statement(text: &str) -> Option<Place> {
    let tokens = tokens(text);
    let mut behind = tokens.iter().skip_while(|token| token.token != Token::SemiColon);
    place(behind.find(|token| token.token != Token::SemiColon)?.span)
}

/// The place of a clause by its first word, unless the word is there twice.
pub(super) fn clause(text: &str, first: &str) -> Option<Place> {
    only(tokens(text).iter().filter(|token| is_word(token, first)))
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

fn is_word(token: &TokenWithSpan, of: &str) -> bool {
    word(token).is_some_and(|word| word.eq_ignore_ascii_case(of))
}

/// The number of arguments of a call, whose tokens follow its opening parenthesis.
fn arguments(tokens: &[Token]) -> usize {
    let (mut depth, mut arguments) = (1, 1);
    for token in tokens {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth -= 1,
            Token::Comma if depth == 1 => arguments += 1,
            Token::Word(word) if depth == 1 && matches!(word.keyword, Keyword::FROM | Keyword::FOR) => arguments += 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    arguments
}

fn only<'a>(mut found: impl Iterator<Item = &'a TokenWithSpan>) -> Option<Place> {
    let first = found.next()?;
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
        assert_eq!(at("select substr(a, 1, f(2, 3)), substr(f(a, 1), 'x')", call), Some((1, 31)));
        let of_decimal = "there is no function substr(decimal(5, 2), string) with arguments of these types";
        assert_eq!(at("select substr(a, 1, 2), substring(a from 1)", of_decimal), Some((1, 25)));
        assert_eq!(at("select substr from t -- substr(", call), None);
        let pivot = "PIVOT is not supported in SQL here";
        assert_eq!(at("select 'pivot' as p\nfrom t pivot (x), u pivot (y)", pivot), Some((2, 8)));
        let pattern = "regex parse error: unclosed group, in the pattern `a(`";
        assert_eq!(at("select regexp_like(a, 'a(')", pattern), Some((1, 23)));
        let field = "Cannot access field at argument 1: type decimal(4, 1) is not Struct, Map, or Null";
        assert_eq!(at("select b.x, a.x from b", field), Some((1, 13)));
        assert_eq!(at("select a.x from a where exists (select 1 from b where a.x = 1)", field), Some((1, 55)));
        assert_eq!(at("select 1", "anything else"), None);
    }

    #[test]
    fn statements_and_clauses_have_their_places() {
        let at = |place: Option<Place>| place.map(|place| (place.line, place.column));
        assert_eq!(at(first("-- a\n delete from t")), Some((2, 2)));
        assert_eq!(at(second_statement("select ';' as a; -- b\n;select 1")), Some((2, 2)));
        assert_eq!(at(second_statement("select 1;")), None);
        assert_eq!(at(clause("select a from t for update", "for")), Some((1, 17)));
        assert_eq!(at(clause("select substring(a for 2) from t for update", "for")), None);
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
