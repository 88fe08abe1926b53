//! Queries in SQL, column by column.

use super::check;

#[test]
fn projections_and_expressions() {
    check(&[
        ("select a, b as other from t", &["rows:", "a: t.a identity", "other: t.b identity"]),
        ("select a + b as s, 1 as one from t", &["rows:", "s: t.a transformation, t.b transformation", "one:"]),
        ("select cast(a as varchar) as s from t", &["rows:", "s: t.a transformation"]),
        (
            "select case when a > 0 then b else c end as s from t",
            &["rows:", "s: t.a condition, t.b transformation, t.c transformation"],
        ),
        (
            "select case a when 1 then a when b then 2 end as s from t",
            &["rows:", "s: t.a transformation+condition, t.b condition"],
        ),
        ("select coalesce(a, b) as s from t", &["rows:", "s: t.a transformation+condition, t.b transformation"]),
        ("select a in (1, b) as s from t", &["rows:", "s: t.a transformation, t.b transformation"]),
        ("select pair['f'] as f from l", &["rows:", "f: l.pair transformation"]),
        ("select a, current_date as d, random() as r from t", &["rows:", "a: t.a identity", "d:", "r:"]),
        ("select n.s from (select a + 1 as s, b from t) n", &["rows:", "s: t.a transformation"]),
    ]);
}

#[test]
fn filters_sorts_and_limits() {
    check(&[
        ("select a from t where b > 1", &["rows: t.b filter", "a: t.a identity"]),
        ("select a from t where 1 = 1 or b > 1", &["rows:", "a: t.a identity"]),
        ("select a from t where false", &["rows:", "a:"]),
        ("select a from t order by b", &["rows:", "a: t.a identity"]),
        ("select a from t order by b limit 3", &["rows: t.b order", "a: t.a identity"]),
        // The planner leaves out an order that no rows are taken by.
        ("select a from (select * from t order by b) s limit 3", &["rows:", "a: t.a identity"]),
        ("select a from t where c > 0 limit 3 offset 1", &["rows: t.c filter", "a: t.a identity"]),
        (
            "select a from (select a, b from t order by b + c limit 5) s where a > 0",
            &["rows: t.a filter, t.b order, t.c order", "a: t.a identity"],
        ),
    ]);
}

#[test]
fn joins() {
    let both = "rows: t.a join, u.k join";
    check(&[
        ("select t.b, u.x from t join u on t.a = u.k", &[both, "b: t.b identity", "x: u.x identity"]),
        ("select t.b, u.x from t left join u on t.a = u.k", &[both, "b: t.b identity", "x: u.x identity"]),
        ("select t.b, u.x from t right join u on t.a = u.k", &[both, "b: t.b identity", "x: u.x identity"]),
        ("select t.b, u.x from t full join u on t.a = u.k", &[both, "b: t.b identity", "x: u.x identity"]),
        ("select t.b from t left semi join u on t.a = u.k", &[both, "b: t.b identity"]),
        ("select t.b from t left anti join u on t.a = u.k", &[both, "b: t.b identity"]),
        ("select u.x from t right semi join u on t.a = u.k", &[both, "x: u.x identity"]),
        ("select u.x from t right anti join u on t.a = u.k", &[both, "x: u.x identity"]),
        ("select t.b, u.x from t cross join u", &["rows:", "b: t.b identity", "x: u.x identity"]),
        (
            "select t.b from t join u on t.a = u.k and t.c < u.y",
            &["rows: t.a join, t.c join, u.k join, u.y join", "b: t.b identity"],
        ),
        // Groups of the column of the condition: a row has one partner at most, and stays.
        (
            "select t.b, u.m from t left join (select k, max(x) as m from u where y > 0 group by k) u on t.a = u.k",
            &["rows:", "b: t.b identity", "m: u.x aggregation | t.a join, u.k join+group, u.y filter"],
        ),
        (
            "select t.b, u.k from (select distinct k from u) u right join t on t.a = u.k and t.c > 0",
            &["rows:", "b: t.b identity", "k: u.k identity | t.a join, t.c join, u.k join+group"],
        ),
        (
            "select t.b, u.y from t left join (select distinct k, y from u) u on t.a = u.k",
            &["rows: t.a join, u.k join+group, u.y group", "b: t.b identity", "y: u.y identity"],
        ),
        (
            "select t.b, u.k from t left join (select k, y, count(*) as n from u group by rollup (k, y)) u on t.a = u.k and t.b = u.y",
            &["rows: t.a join, t.b join, u.k join+group, u.y join+group", "b: t.b identity", "k: u.k transformation"],
        ),
        (
            "select t.b from t left join (select k from u where y > 0) u on t.a = u.k",
            &["rows: t.a join, u.k join, u.y filter", "b: t.b identity"],
        ),
        (
            "select coalesce(u.x, t.b) as s from t full join u on a = k",
            &[both, "s: t.b transformation, u.x transformation+condition"],
        ),
        (
            "select one.b, other.c from t one join t other on one.a = other.a",
            &["rows: t.a join", "b: t.b identity", "c: t.c identity"],
        ),
        (
            "select b, s.x from t, lateral (select x from u where u.k = t.a) s",
            &["rows: t.a join, u.k join", "b: t.b identity", "x: u.x identity"],
        ),
    ]);
}

#[test]
fn aggregates() {
    check(&[
        ("select a, sum(b) as s from t group by a", &["rows: t.a group", "a: t.a identity", "s: t.b aggregation"]),
        ("select count(*) as n from t where b > 0", &["rows: t.b filter", "n:"]),
        ("select a from t group by a having sum(b) > 1", &["rows: t.a group, t.b filter", "a: t.a identity"]),
        ("select sum(b) filter (where c > 0) as s from t", &["rows:", "s: t.b aggregation, t.c condition"]),
        ("select count(distinct b) as n from t group by a", &["rows: t.a group, t.b group", "n: t.b aggregation"]),
        ("select first_value(b order by c) as f from t", &["rows:", "f: t.b aggregation, t.c condition"]),
        ("select sum(b) as s from (select b from t order by c) s", &["rows:", "s: t.b aggregation"]),
        (
            "select a + b as g, max(c) as m from t group by a + b",
            &["rows: t.a group, t.b group", "g: t.a transformation, t.b transformation", "m: t.c aggregation"],
        ),
        (
            "select a, b, grouping(a) as g, sum(c) as s from t group by rollup (a, b)",
            &[
                "rows: t.a group, t.b group",
                "a: t.a transformation",
                "b: t.b transformation",
                "g:",
                "s: t.c aggregation",
            ],
        ),
        ("select distinct a, b from t", &["rows: t.a group, t.b group", "a: t.a identity", "b: t.b identity"]),
        (
            "select distinct on (a) b from t order by a, c",
            &["rows: t.a group", "b: t.a condition, t.b aggregation, t.c condition"],
        ),
        (
            "select avg(s) as m from (select a, sum(b + c) as s from t group by a) g",
            &["rows: t.a group", "m: t.b aggregation, t.c aggregation"],
        ),
    ]);
}

#[test]
fn windows() {
    check(&[
        (
            "select a, row_number() over (partition by b order by c) as n from t",
            &["rows:", "a: t.a identity", "n: t.b window, t.c window"],
        ),
        ("select sum(a) over (partition by b) as s from t", &["rows:", "s: t.a aggregation, t.b window"]),
        ("select lag(a) over (order by c) as s from t", &["rows:", "s: t.a transformation, t.c window"]),
        (
            "select a from (select a, rank() over (order by b) as n from t) s where n = 1",
            &["rows: t.b filter", "a: t.a identity"],
        ),
        ("select row_number() over () as n from t", &["rows:", "n:"]),
    ]);
}

#[test]
fn unions_and_set_operations() {
    check(&[
        (
            "select a, b from t union all select k, 1 from u where y > 0",
            &["rows: u.y filter", "a: t.a identity, u.k identity", "b: t.b identity"],
        ),
        ("select a from t union select x from u", &["rows: t.a group, u.x group", "a: t.a identity, u.x identity"]),
        ("select a from t intersect select x from u", &["rows: t.a join+group, u.x join", "a: t.a identity"]),
        ("select a from t except all select x from u", &["rows: t.a join, u.x join", "a: t.a identity"]),
        (
            "select a, b from t union by name select y as b, x as a from u",
            &[
                "rows: t.a group, t.b group, u.x group, u.y group",
                "a: t.a identity, u.x identity",
                "b: t.b identity, u.y identity",
            ],
        ),
    ]);
}

#[test]
fn subqueries() {
    check(&[
        (
            "select b from t where a in (select k from u where y > 0)",
            &["rows: t.a join, u.k join, u.y filter", "b: t.b identity"],
        ),
        ("select b from t where a not in (select k from u)", &["rows: t.a join, u.k join", "b: t.b identity"]),
        (
            "select b from t where exists (select 1 from u where u.k = t.a and u.x > t.c)",
            &["rows: t.a join, t.c join, u.k join, u.x join", "b: t.b identity"],
        ),
        (
            "select b from t where c = 1 or exists (select 1 from u where u.k = t.a)",
            &["rows: t.a filter, t.c filter, u.k filter", "b: t.b identity"],
        ),
        (
            "select b from t where a > (select max(x) from u where y > 0)",
            &["rows: t.a filter, u.x filter, u.y filter", "b: t.b identity"],
        ),
        (
            "select b, (select max(x) from u where y > 0) as m from t",
            &["rows:", "b: t.b identity", "m: u.x aggregation | u.y filter"],
        ),
        (
            "select b, (select max(x) from u where u.k = t.a) as m from t",
            &["rows:", "b: t.b identity", "m: u.x aggregation | t.a join, u.k join+group"],
        ),
        (
            "select b, (select count(*) from u where u.k = t.a) as n from t",
            &["rows:", "b: t.b identity", "n: | t.a join, u.k join+group"],
        ),
        ("select b from t where a > any (select x from u)", &["rows: t.a filter, u.x filter", "b: t.b identity"]),
    ]);
}

#[test]
fn other_relations() {
    check(&[
        ("select column1 as a, column2 as b from (values (1, 2), (3, 4)) v", &["rows:", "a:", "b:"]),
        ("select 1 as one", &["rows:", "one:"]),
        ("select value, a from generate_series(1, 3) g cross join t", &["rows:", "value:", "a: t.a identity"]),
        (
            "select id, unnest(items) as item from l",
            &["rows: l.items unnest", "id: l.id identity", "item: l.items transformation"],
        ),
        (
            "select id, unnest(pair) from l",
            &["rows:", "id: l.id identity", "l.pair.f: l.pair transformation", "l.pair.g: l.pair transformation"],
        ),
        (
            "with s as (select a, sum(b) as n from t group by a) select s.n, r.n as m from s join s r on s.a = r.a",
            &["rows: t.a join+group", "n: t.b aggregation", "m: t.b aggregation"],
        ),
        (
            "with recursive r as (select a as n, b as m, c as o from t where c > 0 union all \
             select m, m as again, o from r join u on r.n = u.k where u.y > 0) select n, o from r",
            &[
                "rows: t.a join, t.b join, t.c filter, u.k join, u.y filter",
                "n: t.a identity, t.b identity",
                "o: t.c identity",
            ],
        ),
        (
            "with recursive r as (select a as n from t union select n + 1 from r where n < 3) select n from r",
            &["rows: t.a filter+group", "n: t.a identity+transformation"],
        ),
    ]);
}
