//! The table of all columns. It can be sorted without a script: each row has its ranks, by which the style sheet orders.

use weir_page::{Section, escape};

use super::table::code;
use super::{distinct, id, percent};
use crate::profile::{ColumnProfile, Profile};

/// An order of the columns.
struct Order {
    id: &'static str,
    label: &'static str,
    ranks: Vec<usize>,
}

pub(super) fn section(profile: &Profile) -> Section {
    let columns = &profile.columns;
    let strength = |column: &ColumnProfile| {
        let target = profile.target.as_ref()?;
        Some(target.columns.iter().find(|compared| compared.name == column.name)?.strength)
    };
    let mut orders = vec![
        Order { id: "place", label: "place", ranks: (0..columns.len()).collect() },
        Order { id: "name", label: "name", ranks: ranks(columns, |column| column.name.to_lowercase()) },
        Order { id: "nulls", label: "nulls", ranks: ranks(columns, |column| std::cmp::Reverse(column.nulls)) },
        Order { id: "distinct", label: "distinct values", ranks: ranks(columns, most_distinct) },
        Order {
            id: "warnings",
            label: "warnings",
            ranks: ranks(columns, |column| std::cmp::Reverse(column.warnings.len())),
        },
    ];
    if profile.target.is_some() {
        let by = |column: &ColumnProfile| -((strength(column).unwrap_or(-1.0) * 1e9) as i64);
        orders.push(Order { id: "relation", label: "relation to the target", ranks: ranks(columns, by) });
    }
    let rows = columns.iter().enumerate().map(|(at, column)| {
        let ranks: String = orders.iter().map(|order| format!("--{}:{};", order.id, order.ranks[at])).collect();
        let cells = [
            escape(&column.sql_type),
            percent(column.null_share()),
            distinct(column),
            column.warnings.len().to_string(),
        ];
        let relation =
            profile.target.is_some().then(|| strength(column).map_or("–".to_owned(), |of| format!("{of:.3}")));
        let cells: String =
            cells.iter().chain(&relation).map(|cell| format!("<td role=\"cell\">{cell}</td>")).collect();
        let name = format!("<a href=\"#{}\">{}</a>", id(at), escape(&column.name));
        format!("<tr role=\"row\" style=\"{ranks}\"><th role=\"rowheader\" scope=\"row\">{name}</th>{cells}</tr>\n")
    });
    let rows: String = rows.collect();
    // A narrow screen breaks words at the soft hyphens.
    let heads = ["column", "type", "nulls", "dis&shy;tinct", "warn&shy;ings"].into_iter();
    let heads = heads.chain(profile.target.is_some().then_some("rela&shy;tion"));
    let heads: String = heads.map(|head| format!("<th role=\"columnheader\" scope=\"col\">{head}</th>")).collect();
    let class = if profile.target.is_some() { "overview with-target" } else { "overview" };
    let target = profile.target.as_ref().map_or(String::new(), |target| {
        format!("<p>The relation is that to {}, by {}.</p>\n", code(&target.column), escape(target.measure))
    });
    let body = format!(
        "{target}{}<table class=\"{class}\" role=\"table\">\n<caption>All columns; a name leads to the measures of its \
         column.</caption>\n<thead role=\"rowgroup\"><tr role=\"row\">{heads}</tr></thead>\n\
         <tbody role=\"rowgroup\">\n{rows}</tbody>\n</table>\n",
        choice(&orders)
    );
    Section { id: "overview".to_owned(), title: "Overview".to_owned(), body }
}

/// The buttons that choose an order.
fn choice(orders: &[Order]) -> String {
    let button = |(at, order): (usize, &Order)| {
        let checked = if at == 0 { " checked" } else { "" };
        format!(
            "<label><input type=\"radio\" name=\"order\" id=\"by-{}\"{checked}> {}</label>\n",
            order.id, order.label
        )
    };
    let buttons: String = orders.iter().enumerate().map(button).collect();
    format!("<fieldset class=\"order\">\n<legend>Sorted by</legend>\n{buttons}</fieldset>\n")
}

fn most_distinct(column: &ColumnProfile) -> std::cmp::Reverse<u64> {
    std::cmp::Reverse(column.distinct.map_or(0, |distinct| distinct.count))
}

/// The rank of each column, of which the first has the least key.
fn ranks<K: Ord>(columns: &[ColumnProfile], key: impl Fn(&ColumnProfile) -> K) -> Vec<usize> {
    let mut places: Vec<usize> = (0..columns.len()).collect();
    places.sort_by_key(|place| key(&columns[*place]));
    let mut ranks = vec![0; columns.len()];
    places.iter().enumerate().for_each(|(rank, place)| ranks[*place] = rank);
    ranks
}
