//! The columns compared with the target.

use weir_page::{Section, escape, thousands};

use super::table::{bar, code, pan};
use super::{id, measure, percent};
use crate::profile::{ColumnProfile, ComparedColumn, ComparedGroup, GroupMeasure, TargetProfile};

/// The columns in the order of the strength of their relation.
pub(super) fn section(target: &TargetProfile, columns: &[ColumnProfile]) -> Section {
    let row = |compared: &ComparedColumn| {
        let at = columns.iter().position(|column| column.name == compared.name).unwrap_or_default();
        format!(
            "<tr><th scope=\"row\"><a href=\"#{}\">{}</a></th><td>{:.3}</td>{}</tr>\n",
            id(at),
            escape(&compared.name),
            compared.strength,
            bar(compared.strength)
        )
    };
    let rows: String = target.columns.iter().map(row).collect();
    let without = match target.without {
        0 => String::new(),
        rows => format!(" {} rows in which it is null are left out.", thousands(rows)),
    };
    let body = format!(
        "<p>How much the groups of a column tell about {}: 0 is nothing, 1 is everything. A group has one value, or a \
         tenth of the rows; the section of a column has its groups.{without}</p>\n\
         <table class=\"top\">\n<caption>Strength of the relation: {}.</caption>\n<thead><tr><th scope=\"col\">column</th>\
         <th scope=\"col\">strength</th><th scope=\"col\" aria-hidden=\"true\"></th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n",
        code(&target.column),
        escape(target.measure)
    );
    Section { id: "target".to_owned(), title: format!("Relation to {}", target.column), body }
}

/// The target in the groups of a column.
pub(super) fn groups(target: &TargetProfile, column: &ComparedColumn) -> String {
    let (what, heads) = match target.classes.as_deref() {
        Some([_, class]) => (format!("share of {class}"), vec!["share".to_owned()]),
        Some(classes) => ("shares of its values".to_owned(), classes.to_vec()),
        None => ("mean".to_owned(), vec!["mean".to_owned()]),
    };
    let has_bar = heads.len() == 1;
    let most = column.groups.iter().map(|group| size(group).abs()).fold(f64::MIN_POSITIVE, f64::max);
    let row = |group: &ComparedGroup| {
        let cells: String = match &group.measure {
            GroupMeasure::Shares(shares) if has_bar => format!("<td>{}</td>", percent(shares[1])),
            GroupMeasure::Shares(shares) => {
                shares.iter().map(|share| format!("<td>{}</td>", percent(*share))).collect()
            }
            GroupMeasure::Mean(mean) => format!("<td>{}</td>", measure(*mean)),
        };
        let label = group.label.as_ref().map_or("<em>null</em>".to_owned(), |label| code(label));
        let bar = if has_bar { bar(size(group).abs() / most) } else { String::new() };
        format!("<tr><th scope=\"row\">{label}</th><td>{}</td>{cells}{bar}</tr>\n", thousands(group.rows))
    };
    let rows: String = column.groups.iter().map(row).collect();
    let heads: String = heads.iter().map(|head| format!("<th scope=\"col\">{}</th>", escape(head))).collect();
    let of_bar = if has_bar { "<th scope=\"col\" aria-hidden=\"true\"></th>" } else { "" };
    let caption = format!("{}, by group: {what}; strength {:.3}", target.column, column.strength);
    let table = format!(
        "<table class=\"top\">\n<caption>{}.</caption>\n<thead><tr><th scope=\"col\">group</th><th scope=\"col\">rows</th>\
         {heads}{of_bar}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n",
        escape(&caption)
    );
    if has_bar { table } else { pan(&caption, &table) }
}

/// What a bar shows: the share of the second of two classes, or the mean.
fn size(group: &ComparedGroup) -> f64 {
    match &group.measure {
        GroupMeasure::Shares(shares) => shares.get(1).copied().unwrap_or_default(),
        GroupMeasure::Mean(mean) => *mean,
    }
}
