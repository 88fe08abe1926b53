//! SQL of models, rules and parameters as people write them: JSON, dates, moving days, and the mistakes of beginners.
#![allow(clippy::unwrap_used)]

mod support;

use support::{Project, Ran};

const TASK: &str = r#"
name: visits
sources:
  visit:
    files: {path: "in/*.csv", format: csv}
    columns: {id: integer, kind: string, day: date, at: timestamp, body: string}
models: {m: sql/m.sql}
sinks:
  rows: {from: m, mode: overwrite, publish: always, files: {path: out/rows, format: csv}}
  bad: {from: m.rejected, mode: overwrite, publish: always, files: {path: out/bad, format: csv}}
"#;

const ROWS: &str = r#"id,kind,day,at,body
1,a,2024-02-29,2024-02-29T10:30:00,"{""user"": {""name"": ""Ann"", ""age"": 31}, ""tags"": [""p"", ""q""], ""total"": 1.50}"
2,b,2023-12-31,2023-12-31T23:59:59,"{""user"": null, ""tags"": []}"
3,b,2001-08-12,2001-08-12T00:00:00,
"#;

fn visits() -> Project {
    let project = Project::empty();
    project.file("task.yaml", TASK);
    project.file("in/a.csv", ROWS);
    project
}

fn ran(project: &Project, sql: &str) -> Ran {
    project.file("sql/m.sql", sql);
    project.run(&["--quiet"])
}

/// The rows of a statement over the visits, sorted; the header first.
#[track_caller]
fn rows(sql: &str) -> Vec<String> {
    let project = visits();
    ran(&project, sql).ended(0, "");
    project.rows("out/rows")
}

#[test]
fn values_in_json_are_reached_by_the_operators_of_postgresql() {
    assert_eq!(
        rows(
            "select id, body -> 'user' ->> 'name' as name, body #>> array['tags', '-1'] as tag, \
             cast(body ->> 'total' as decimal(6,2)) as total, body -> 'tags' as tags, json_array_length(body -> 'tags') as n \
             from visit where body ->> 'tags' is not null and 'x' <> coalesce(body ->> 'none', '')"
        ),
        ["id,name,tag,total,tags,n", r#"1,Ann,q,1.50,"[""p"", ""q""]",2"#, "2,,,,[],0"]
    );
    let unnested = "select id, unnest(json_array_elements_text(body -> 'tags')) as tag from visit where id < 3";
    assert_eq!(rows(unnested), ["id,tag", "1,p", "1,q"]);
    let found = "select id from visit where body -> 'user' ->> 'name' = 'Ann' or json_typeof(body -> 'user') = 'null'";
    assert_eq!(rows(found), ["id", "1", "2"]);
}

#[test]
fn a_text_that_is_not_json_rejects_its_row() {
    let project = visits();
    ran(&project, "select id, kind -> 'a' as part from visit where id = 1").ended(0, "");
    assert_eq!(project.rows("out/bad")[1], "1,,invalid_value: the text is not JSON: expected value at line 1 column 1");
    ran(&project, "select id, json_array_elements(body -> 'user') as part from visit")
        .ended(2, "`rows`: column `part`");
    ran(&project, "select id, array_to_string(json_object_keys(body -> 'tags'), ',') as k from visit").ended(0, "");
    assert!(
        project.rows("out/bad")[1].contains("json_object_keys needs an object, and this JSON value is of type array")
    );
    // A rule, too, and null does not pass it.
    project.task(
        "sinks:",
        "quality: {m: {reject_unless: {grown_up: \"cast(body -> 'user' ->> 'age' as int) >= 18\"}}}\nsinks:",
    );
    ran(&project, "select id, body from visit").ended(0, "");
    assert_eq!(project.rows("out/rows").len(), 2);
}

#[test]
fn differences_of_dates_are_those_of_postgresql() {
    assert_eq!(
        rows(
            "select id, date '2024-03-01' - day as days, date_diff('month', day, date '2024-03-01') as months, \
             extract(year from age(date '2024-03-01', day)) as years, day + 30 as due, sign(id - 2) as s, \
             to_char(day, 'DD.MM.YYYY') as de, to_char(at, '%B %Y') as month from visit"
        ),
        [
            "id,days,months,years,due,s,de,month",
            "1,1,1,0,2024-03-30,-1,29.02.2024,February 2024",
            "2,61,3,0,2024-01-30,0,31.12.2023,December 2023",
            "3,8237,271,22,2001-09-11,1,12.08.2001,August 2001",
        ]
    );
    let of = "from (select age(date '2024-03-01', day) as a from visit where id = 3) as x";
    let parts = "extract(year from a) as y, extract(month from a) as m, extract(day from a) as d";
    assert_eq!(rows(&format!("select a, {parts} {of}")), ["a,y,m,d", "270 mons 20 days,22,6,20"]);
    let project = visits();
    ran(&project, "select age(day) as a from visit").ended(0, "");
    ran(&project, "select date_diff('fortnight', day, day) as a from visit").ended(2, "one of the texts year, quarter");
    ran(&project, "select date_diff('day', kind, day) as a from visit")
        .ended(2, "takes dates and timestamps, not string");
    ran(&project, "select to_char(day, 'YYYY-mm') as a from visit")
        .ended(2, "`mm` in the format `YYYY-mm` is not known");
    ran(&project, "select to_char(day, 'Month') as a from visit")
        .ended(2, "`Month` in the format `Month` is not known");
}

#[test]
fn grouping_sets_have_each_group_once_also_of_constant_columns() {
    for (sql, expected) in [
        (
            "select k from (select 'k' as k from visit union all select 'k' as k from visit order by k) x group by grouping sets ((k), ())",
            vec!["k", "\"\"", "k"],
        ),
        (
            "select kind, n, count(*) as c from (select kind, 1 as n from visit where kind = 'b') x group by rollup (kind, n)",
            vec!["kind,n,c", ",,2", "b,,2", "b,1,2"],
        ),
        (
            "select kind, sum(id) as s from (select * from visit order by kind) x group by cube (kind)",
            vec!["kind,s", ",6", "a,1", "b,5"],
        ),
    ] {
        assert_eq!(rows(sql), expected, "{sql}");
    }
}

#[test]
fn mistakes_in_sql_are_told_in_words_with_what_to_write() {
    let project = visits();
    for (sql, said) in [
        ("select json_extract(body, '$.user.name') as n from visit", "write column -> 'user' ->> 'name'"),
        ("select datediff('day', day, at) as n from visit", "write date_diff('day', start, end)"),
        ("select year(day) as y from visit", "write extract(year from column)"),
        ("select id, rank() as r from visit", "a window function needs `over`"),
        ("select top 5 id from visit", "write `limit 5` at the end"),
        ("select * from visit pivot (sum(id) for kind in ('a', 'b'))", "sum(amount) filter (where kind = 'x') as x"),
        ("select * from visit unpivot (v for k in (id, kind))", "write one `select` for each column"),
        ("select id from visit tablesample (10)", "`tablesample` has no effect here"),
        ("select id from visit for update", "`for update` has no effect here"),
        ("with x as (select 1) select * from x", "a column of a select inside has no name"),
        ("select id from visit natural join visit", "give each of the tables its own alias"),
        ("select extract(foo from day) as x from visit", "known here: year, quarter, month"),
        ("select date_trunc('foo', day) as x from visit", "Supported values are: microsecond"),
        ("select id from visit order by nosuch", "column 'nosuch' not found; known here: id, kind, day, at, body"),
        ("select upper(id) as x from visit", "there is no function upper(integer)"),
        ("select substring(kind from '^a') as x from visit", "write regexp_match(column, 'pattern')[1]"),
        ("select substring(kind from 'a' for '#') as x from visit", "write regexp_match(column, 'pattern')[1]"),
        ("select v.id from visit v, lateral (select id.x from visit) w", "a name before a dot is a column first"),
        ("select body['user'] as u from visit", "JSON in a text is column ->> 'key'"),
        ("select id -> 'x' as x from visit", "-> reads JSON from a text, and this is integer"),
        ("select cast(id as uuid) as x from visit", "such values are texts here"),
        ("select regexp_like(kind, '(') as x from visit", "escape the characters"),
        ("select \"Kind\" from visit", "column 'Kind' not found"),
    ] {
        let ran = ran(&project, sql);
        ran.ended(2, said);
        ran.ended(2, "error: sql/m.sql");
        for internal in ["Internal error", "Utf8", "Int32", "Span", "Ident", "DataFusion", "Schema error"] {
            assert!(!ran.err.contains(internal), "{sql}\n{}", ran.err);
        }
    }
}

#[test]
fn the_part_that_a_pattern_matches_is_that_of_postgresqls_substring() {
    let parts = "regexp_match(kind || '-12', '[0-9]+')[1] as whole, regexp_match(kind || '-12', '-([0-9])')[1] as first, \
        regexp_match(kind, '^x')[1] as none";
    assert_eq!(rows(&format!("select {parts} from visit where id = 1")), ["whole,first,none", "12,1,"]);
}

#[test]
fn mistakes_in_sql_are_told_with_their_place() {
    let project = visits();
    for (sql, said) in [
        ("select *\nfrom visit pivot (sum(id) for kind in ('a', 'b'))", "2:12: PIVOT is not supported"),
        ("select id,\n  upper(id) as x from visit", "2:3: there is no function upper(integer)"),
        ("select substring(kind from '^a') as x from visit", "1:8: there is no function substr(string, string)"),
        (
            "select id,\n  regexp_like(kind, '(') as x from visit",
            "2:21: regex parse error: unclosed group, in the pattern `(`",
        ),
        (
            "select substring(kind, 1, 1) as y,\n  substring(kind from '^a') as x from visit",
            "2:3: there is no function substr(string, string)",
        ),
        ("select id\nfrom visit tablesample (10)", "2:12: `tablesample` has no effect here"),
        ("select id\nfrom visit for update", "2:12: `for update` has no effect here"),
        ("select id, kind,\n id from visit", "2:2: duplicate column `id`"),
        ("select id, day as kind,\n kind from visit", "2:2: duplicate column `kind`"),
        ("select a.id, b.* from visit a join visit b on a.id = b.id", "1:14: duplicate column `id`"),
        ("select id,\n kind as reasons from visit", "2:2: a model cannot have a column `reasons`"),
        (
            "select v.id from visit v where exists\n (select 1 from visit id where id.x = v.id)",
            "2:32: Cannot access field",
        ),
    ] {
        let ran = ran(&project, sql);
        ran.ended(2, &format!("error: sql/m.sql:{said}"));
    }
}

/// The rejected rows with their reasons under a rule of `m`, which selects all visits and `more`.
fn rejected(rule: &str, more: &str) -> Vec<String> {
    let project = visits();
    project.task("sinks:", &format!("quality: {{m: {{reject_unless: {{{rule}}}}}}}\nsinks:"));
    ran(&project, &format!("select id, kind, day from visit {more}")).ended(0, "");
    project.rows("out/bad")[1..].iter().map(|row| row.replace(",2023-12-31", "").replace(",2001-08-12", "")).collect()
}

#[test]
fn of_duplicates_the_row_stays_that_the_rule_says() {
    let more = "union all select 4, 'b', date '2024-01-01' union all select 5, null, null";
    let twice = |keep: &str, others: &str| {
        let ids: Vec<String> = rejected(&format!("twice: {{unique: kind, keep: {keep}}}{others}"), more)
            .iter()
            .map(|row| format!("{} {}", &row[..1], row.rsplit(',').next().unwrap()))
            .collect();
        ids.join(", ")
    };
    // Null is never unique.
    assert_eq!(twice("first by day", ""), "2 twice, 4 twice, 5 twice");
    assert_eq!(twice("last by day", ""), "2 twice, 3 twice, 5 twice");
    assert_eq!(twice("none", ""), "2 twice, 3 twice, 4 twice, 5 twice");
    // A row that another rule rejects is no duplicate of a good one.
    assert_eq!(twice("last by day", ", old: \"day < date '2024-01-01'\""), "1 old, 3 twice, 4 old, 5 old");
    let project = visits();
    project.task("sinks:", "quality: {m: {reject_unless: {twice: {unique: kind}}}}\nsinks:");
    ran(&project, "select id, kind, day from visit").ended(2, "add `keep: first by COLUMN`");
    project.task("{unique: kind}", "{unique: kind, keep: first}");
    ran(&project, "select id, kind, day from visit").ended(2, "`first` does not say which row stays");
    project.task("keep: first", "keep: first by dya");
    ran(&project, "select id, kind, day from visit").ended(2, "did you mean `day`?");
    project.task("reject_unless", "warn_unless");
    ran(&project, "select id, kind, day from visit").ended(2, "`keep` is for rules that reject");
}

#[test]
fn a_value_must_be_in_a_column_of_another_table() {
    let project = visits();
    project.file("in/k/kinds.csv", "code,name\na,A\nc,C\n,none\n");
    project.task(
        "models:",
        "  k: {files: {path: in/k/kinds.csv, format: csv}, columns: {code: string, name: string}}\nmodels:",
    );
    project.task("sinks:", "quality: {m: {reject_unless: {unknown_kind: {in: {kind: k.code}}}}}\nsinks:");
    ran(&project, "select id, kind from visit union all select 9, null").ended(0, "");
    assert_eq!(project.rows("out/rows"), ["id,kind", "1,a"]);
    assert_eq!(project.rows("out/bad")[1..], ["2,b,unknown_kind", "3,b,unknown_kind", "9,,unknown_kind"]);
    project.task("k.code}", "k.code}, allow_null: true");
    ran(&project, "select id, kind from visit union all select 9, null").ended(0, "");
    assert_eq!(project.rows("out/rows"), ["id,kind", "1,a", "9,"]);
    for (from, to, said) in [
        ("k.code", "k.cod", "`k` has no column `cod`"),
        ("k.cod}", "m.kind}", "looks into `m` itself"),
        ("m.kind}", "code}", "write table.column"),
        ("kind: code}", "id: k.code}", "`id` is integer, and `k.code` is string"),
    ] {
        project.task(from, to);
        ran(&project, "select id, kind from visit").ended(2, said);
    }
}

#[test]
fn lengths_addresses_and_days_are_rules() {
    let values = "where id = 1 union all select 2, 'ann@example.com', null union all select 3, 'a@b', null \
                  union all select 4, 'ann @example.com', null union all select 5, null, null";
    let ids = |rule: &str| rejected(rule, values).iter().map(|row| row[..1].to_owned()).collect::<String>();
    assert_eq!(ids("no_address: {email: kind}"), "1345");
    assert_eq!(ids("no_address: {email: kind, allow_null: true}"), "134");
    assert_eq!(ids("length: {length: {column: kind, min: 2, max: 15}}"), "145");
    assert_eq!(ids("length: {length: {column: kind, max: 3}}"), "245");
    // Not in the future, not older than 30 days.
    let days = "where false union all select 1, 'x', current_date - 10 union all select 2, 'x', current_date + 1 \
                union all select 3, 'x', current_date - 31";
    let late = |rule: &str| rejected(rule, days).iter().map(|row| row[..1].to_owned()).collect::<String>();
    assert_eq!(late("future: day <= current_date"), "2");
    assert_eq!(late("old: \"day >= current_date - 30\""), "3");
    let project = visits();
    project.task("sinks:", "quality: {m: {reject_unless: {r: {length: {column: kind}}}}}\nsinks:");
    for (from, to, said) in [
        ("{column: kind}", "{column: id, min: 1}", "`length` is for text, but `id` is integer"),
        ("{column: id, min: 1}", "{column: kind, min: 2, max: 1}", "no text has at least 2 and at most 1"),
        ("{length: {column: kind, min: 2, max: 1}}", "{not_null: kind, allow_null: true}", "`allow_null` is for"),
        ("{not_null: kind, allow_null: true}", "{email: kind, keep: none}", "`keep` is for `unique`"),
    ] {
        project.task(from, to);
        ran(&project, "select id, kind from visit").ended(2, said);
    }
}

/// Visits with the name of their kind, by a join.
fn joined(rule: &str, join: &str, kinds: &str) -> Ran {
    let project = visits();
    project.task(
        "models:",
        "  k: {files: {path: kinds.csv, format: csv}, columns: {code: string, name: string}}\nmodels:",
    );
    project.task("sinks:", &format!("quality: {{m: {rule}}}\nsinks:"));
    project.file("kinds.csv", format!("code,name\n{kinds}"));
    project.file("sql/m.sql", format!("select visit.id, k.name from visit {join} join k on visit.kind = k.code"));
    project.run(&[])
}

#[test]
fn a_join_that_multiplies_or_loses_rows_is_found() {
    let rule = "{fail_unless: {one_each: {equal_rows: visit}}}";
    joined(rule, "left", "a,A\nb,B\n").ended(0, "");
    joined(rule, "left", "a,A\nb,B\nb,Bee\n")
        .ended(1, "rule `one_each` (fail_unless) failed: 5 rows for 3 rows of `visit`");
    joined(rule, "inner", "a,A\n").ended(1, "rule `one_each` (fail_unless) failed: 1 row for 3 rows of `visit`");
    let warns = "{warn_unless: {one_each: {equal_rows: visit}}}";
    joined(warns, "left", "a,A\nb,B\nb,Bee\n").ended(0, "one_each");
    let closes = "{warn_unless: {one_each: {equal_rows: visit, max: 1}}}";
    joined(closes, "left", "a,A\nb,B\nb,Bee\n").ended(3, "rule `one_each` failed for 2 of 5 rows");
    // A row that is rejected is no lost one.
    let rejects = "{reject_unless: {unknown_kind: {not_null: name}}, fail_unless: {one_each: {equal_rows: visit}}}";
    joined(rejects, "left", "a,A\n").ended(0, "unknown_kind");
    joined("{reject_unless: {one_each: {equal_rows: visit}}}", "left", "a,A\n").ended(2, "it rejects no row");
    joined("{fail_unless: {one_each: {equal_rows: visits}}}", "left", "a,A\n")
        .ended(2, "`visits` is neither a source nor a model");
    joined("{fail_unless: {one_each: {equal_rows: m}}}", "left", "a,A\n").ended(2, "compared with itself");
}

#[test]
fn rows_are_compared_with_the_accepted_rows_of_a_model() {
    let project = visits();
    project.file("sql/known.sql", "select * from visit");
    project.task("models: {", "models: {known: sql/known.sql, view: sql/view.sql, ");
    project.file("sql/view.sql", "select id from known where id < 3");
    let rules = "quality: {known: {reject_unless: {old: \"day > date '2002-01-01'\"}}, \
                 m: {fail_unless: {of_model: {equal_rows: known}, of_view: {equal_rows: view}}}}\nsinks:\n  \
                 old: {from: known.rejected, mode: overwrite, files: {path: out/old, format: csv}}";
    project.task("sinks:", rules);
    ran(&project, "select id from view").ended(0, "");
    ran(&project, "select v.id from view v cross join (values (1), (2)) as two(n)")
        .ended(1, "`of_model` (fail_unless) failed: 4 rows for 2 rows of `known`");
}

#[test]
fn a_series_is_a_table() {
    let numbers = "select s.value as n, v.id from generate_series(1, 4) s left join visit v on v.id = s.value";
    assert_eq!(rows(numbers), ["n,id", "1,1", "2,2", "3,3", "4,"]);
    let days = "with day as (select cast(value as date) as day from RANGE(date '2024-02-28', date '2024-03-02', interval '1 day')) \
                select day, kind from day left join visit using (day)";
    assert_eq!(rows(days), ["day,kind", "2024-02-28,", "2024-02-29,a", "2024-03-01,"]);
    ran(&visits(), "select value from generate_serie(1, 2) s, visit")
        .ended(2, "`generate_serie` is neither a source nor a model");
    let project = visits();
    let task = std::fs::read_to_string(project.path("task.yaml")).unwrap();
    let (start, end) = (task.find("sources:").unwrap(), task.find("models:").unwrap());
    project.file("task.yaml", format!("{}sources: {{}}\n{}", &task[..start], &task[end..]));
    ran(&project, "select value as n from generate_series(1, 3)").ended(0, "");
    assert_eq!(project.rows("out/rows"), ["n", "1", "2", "3"]);
}

#[test]
fn of_a_table_that_others_read_only_what_they_read_is_kept() {
    let project = visits();
    project.task("models: {", "models: {known: sql/known.sql, n: sql/n.sql, ");
    project.file("sql/known.sql", "select *, id * 2 as twice from visit");
    project.file("sql/n.sql", "select count(*) as n from known");
    let more = "sinks:\n  n: {from: n, mode: overwrite, files: {path: out/n, format: csv}}";
    project.task("sinks:", more);
    // In another order, twice, by a subquery, and for a count alone.
    let sql = "select k.twice, k.kind, o.id from known k join known o on o.twice = k.twice where k.id in (select max(id) from known)";
    ran(&project, sql).ended(0, "");
    assert_eq!(project.rows("out/rows"), ["twice,kind,id", "6,b,3"]);
    assert_eq!(project.rows("out/n"), ["n", "3"]);
}
