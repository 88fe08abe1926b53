//! Makes random queries.

use std::fmt::Write;

/// Makes queries of bytes: the fewer and the smaller they are, the simpler is the query. Every query has the columns `p0`,
/// `p1`, …, which are integers.
pub(super) struct Maker {
    bytes: std::vec::IntoIter<u8>,
    aliases: usize,
    has_model: bool,
}

/// A query, and how many columns it has.
pub(super) struct Query {
    pub(super) sql: String,
    pub(super) width: usize,
}

/// A query in a `from`, by its alias.
#[derive(Clone)]
struct From {
    alias: String,
    width: usize,
}

impl Maker {
    pub(super) fn of(bytes: Vec<u8>, has_model: bool) -> Self {
        Self { bytes: bytes.into_iter(), aliases: 0, has_model }
    }

    fn choose(&mut self, of: usize) -> usize {
        usize::from(self.bytes.next().unwrap_or(0)) % of
    }

    fn alias(&mut self, width: usize) -> From {
        self.aliases += 1;
        From { alias: format!("r{}", self.aliases), width }
    }

    fn column(&mut self, from: &From) -> String {
        format!("{}.p{}", from.alias, self.choose(from.width))
    }

    fn scan(&mut self) -> Query {
        let (table, [a, b, c]) = match self.choose(if self.has_model { 3 } else { 2 }) {
            0 => ("t", ["a", "b", "c"]),
            1 => ("u", ["k", "x", "y"]),
            _ => ("{m}", ["d", "e", "f"]),
        };
        Query { sql: format!("select {a} as p0, {b} as p1, {c} as p2 from {table}"), width: 3 }
    }

    pub(super) fn query(&mut self, depth: usize) -> Query {
        if depth == 0 {
            return self.scan();
        }
        match self.choose(14) {
            0 => self.scan(),
            1 | 2 => self.projection(depth),
            3 | 4 => self.filter(depth),
            5 | 6 => self.join(depth),
            7 => self.aggregate(depth),
            8 => self.grouping_sets(depth),
            9 => self.window(depth),
            10 => self.distinct(depth),
            11 => self.set_operation(depth),
            12 => self.limit(depth),
            _ => self.recursion_or_list(depth),
        }
    }

    /// A query in a `from`.
    fn input(&mut self, depth: usize) -> (String, From) {
        let Query { sql, width } = self.query(depth - 1);
        let from = self.alias(width);
        (format!("({sql}) {}", from.alias), from)
    }

    fn projection(&mut self, depth: usize) -> Query {
        let (input, from) = self.input(depth);
        let width = 1 + self.choose(3);
        let columns: Vec<String> = (0..width).map(|at| format!("{} as p{at}", self.expression(&from, depth))).collect();
        Query { sql: format!("select {} from {input}", columns.join(", ")), width }
    }

    fn filter(&mut self, depth: usize) -> Query {
        let (input, from) = self.input(depth);
        let condition = self.condition(&from, depth);
        Query { sql: format!("select {}.* from {input} where {condition}", from.alias), width: from.width }
    }

    fn join(&mut self, depth: usize) -> Query {
        let (left, one) = self.input(depth);
        let (right, other) = self.input(depth);
        let kinds = ["join", "left join", "right join", "full join", "left semi join", "left anti join"];
        let kinds = [&kinds[..], &["right semi join", "right anti join"]].concat();
        let kind = kinds[self.choose(kinds.len())];
        let mut on = format!("{} = {}", self.column(&one), self.column(&other));
        if self.choose(3) == 1 {
            write!(on, " and {} < {}", self.column(&one), self.column(&other)).unwrap();
        }
        let of = |from: &From| (0..from.width).map(|at| format!("{}.p{at}", from.alias)).collect::<Vec<_>>();
        let columns = match kind {
            kind if kind.starts_with("left semi") || kind.starts_with("left anti") => of(&one),
            kind if kind.starts_with("right semi") || kind.starts_with("right anti") => of(&other),
            _ => [of(&one), of(&other)].concat(),
        };
        let named: Vec<String> = columns.iter().enumerate().map(|(at, name)| format!("{name} as p{at}")).collect();
        Query { sql: format!("select {} from {left} {kind} {right} on {on}", named.join(", ")), width: named.len() }
    }

    fn aggregate(&mut self, depth: usize) -> Query {
        let (input, from) = self.input(depth);
        let (group, value, other) = (self.column(&from), self.column(&from), self.column(&from));
        let function = match self.choose(5) {
            0 => format!("sum({value})"),
            1 => "count(*)".to_owned(),
            2 => format!("max({value}) filter (where {other} > 1)"),
            3 => format!("count(distinct {value})"),
            _ => format!("min({value} + {other})"),
        };
        let having = match self.choose(3) {
            1 => format!(" having count({other}) > 1"),
            _ => String::new(),
        };
        match self.choose(3) {
            0 => {
                let sql = format!("select {group} as p0, {function} as p1 from {input} group by {group}{having}");
                Query { sql, width: 2 }
            }
            1 => Query { sql: format!("select {function} as p0 from {input}"), width: 1 },
            _ => Query { sql: format!("select {function} as p0 from {input} group by {group}{having}"), width: 1 },
        }
    }

    fn grouping_sets(&mut self, depth: usize) -> Query {
        let (input, from) = self.input(depth);
        let (one, other, value) = (self.column(&from), self.column(&from), self.column(&from));
        if one == other {
            return Query { sql: format!("select sum({value}) as p0 from {input} group by {one}"), width: 1 };
        }
        let sets = ["rollup ({one}, {other})", "cube ({one}, {other})", "grouping sets (({one}), ({other}), ())"];
        let sets = sets[self.choose(3)].replace("{one}", &one).replace("{other}", &other);
        let sql = format!(
            "select {one} as p0, {other} as p1, sum({value}) as p2, cast(grouping({one}) as bigint) as p3 \
             from {input} group by {sets}"
        );
        Query { sql, width: 4 }
    }

    fn window(&mut self, depth: usize) -> Query {
        let (input, from) = self.input(depth);
        let (part, order, value) = (self.column(&from), self.column(&from), self.column(&from));
        let function = match self.choose(4) {
            0 => format!("rank() over (partition by {part} order by {order})"),
            1 => format!("sum({value}) over (partition by {part})"),
            2 => format!("dense_rank() over (order by {order})"),
            _ => format!("max({value}) over (partition by {part} order by {order})"),
        };
        let kept = self.column(&from);
        let sql = format!("select {kept} as p0, {part} as p1, cast({function} as bigint) as p2 from {input}");
        Query { sql, width: 3 }
    }

    fn distinct(&mut self, depth: usize) -> Query {
        if self.choose(2) == 0 {
            let (input, from) = self.input(depth);
            return Query { sql: format!("select distinct {}.* from {input}", from.alias), width: from.width };
        }
        // Of a table, because debug builds of the engine accept no order of columns that are equal.
        let has_model = std::mem::take(&mut self.has_model);
        let Query { sql, .. } = self.scan();
        self.has_model = has_model;
        let order = [["p0", "p1", "p2"], ["p1", "p2", "p0"], ["p2", "p0", "p1"]][self.choose(3)];
        let alias = self.alias(3).alias;
        let sql = format!("select distinct on ({}) * from ({sql}) {alias} order by {}", order[0], order.join(", "));
        Query { sql: format!("select * from ({sql}) of_{alias}"), width: 3 }
    }

    fn set_operation(&mut self, depth: usize) -> Query {
        let (one, other) = (self.query(depth - 1), self.query(depth - 1));
        let width = one.width.min(other.width);
        let kinds = ["union all", "union", "intersect", "except", "intersect all", "except all"];
        let kind = kinds[self.choose(kinds.len())];
        let columns: Vec<String> = (0..width).map(|at| format!("p{at}")).collect();
        let mut cut = |query: Query| {
            let from = self.alias(query.width);
            format!("select {} from ({}) {}", columns.join(", "), query.sql, from.alias)
        };
        Query { sql: format!("{} {kind} {}", cut(one), cut(other)), width }
    }

    /// The first rows. All columns order them: which rows they are does not depend on how they come.
    fn limit(&mut self, depth: usize) -> Query {
        let (input, from) = self.input(depth);
        let columns: Vec<String> = (0..from.width).map(|at| format!("{}.p{at}", from.alias)).collect();
        let (first, number) = (self.column(&from), 1 + self.choose(4));
        let order = format!("order by {first} desc, {}", columns.join(", "));
        let alias = &from.alias;
        Query { sql: format!("select {alias}.* from {input} {order} limit {number}"), width: from.width }
    }

    fn recursion_or_list(&mut self, depth: usize) -> Query {
        let (input, from) = self.input(depth);
        let (one, other) = (self.column(&from), self.column(&from));
        let name = self.alias(2).alias;
        match self.choose(3) {
            0 => {
                let sql = format!("select unnest(make_array({one}, {other})) as p0, {other} as p1 from {input}");
                Query { sql, width: 2 }
            }
            1 => {
                let sql = format!(
                    "select * from (with recursive {name} as (select {one} as p0, {other} as p1, 0 as n from {input} \
                     union all select p1, p0, n + 1 from {name} where n < 2 and p1 > 0) \
                     select p0, p1 from {name}) of_{name}"
                );
                Query { sql, width: 2 }
            }
            _ => {
                let sql = format!(
                    "select {one} as p0, v.column2 as p1 from {input} join (values (1, 2), (2, 1), (0, 0)) v \
                     on v.column1 = {other}"
                );
                Query { sql, width: 2 }
            }
        }
    }

    fn expression(&mut self, from: &From, depth: usize) -> String {
        let (one, other) = (self.column(from), self.column(from));
        match self.choose(9) {
            0 => one,
            1 => format!("{one} + {other}"),
            2 => format!("case when {one} > 1 then {other} else 7 end"),
            3 => format!("coalesce({one}, {other})"),
            4 => format!("case {one} when {other} then 1 when 2 then {other} end"),
            5 => {
                let (input, inner) = self.input(depth);
                let of = self.column(&inner);
                let condition = if self.choose(2) == 0 { "" } else { " where {} > 0" };
                let condition = condition.replace("{}", &self.column(&inner));
                format!("(select max({of}) from {input}{condition})")
            }
            6 => {
                let (input, inner) = self.input(depth);
                let (of, key) = (self.column(&inner), self.column(&inner));
                format!("(select sum({of}) from {input} where {key} = {one})")
            }
            7 => {
                let (input, inner) = self.input(depth);
                format!("(select count(*) from {input} where {} = {one})", self.column(&inner))
            }
            _ => format!("abs(coalesce({one}, 0))"),
        }
    }

    fn condition(&mut self, from: &From, depth: usize) -> String {
        let (one, other) = (self.column(from), self.column(from));
        match self.choose(11) {
            0 => format!("{one} > 1"),
            1 => format!("{one} = {other}"),
            2 => format!("{one} is null or {other} in (0, 2)"),
            kind @ (3 | 4) => {
                let (input, inner) = self.input(depth);
                let not = if kind == 3 { "" } else { "not " };
                format!("{one} {not}in (select {} from {input})", self.column(&inner))
            }
            kind @ (5 | 6) => {
                let (input, inner) = self.input(depth);
                let not = if kind == 5 { "" } else { "not " };
                let (key, than) = (self.column(&inner), self.column(&inner));
                let more = if self.choose(2) == 0 { String::new() } else { format!(" and {than} > {other}") };
                format!("{not}exists (select 1 from {input} where {key} = {one}{more})")
            }
            7 => {
                let (input, inner) = self.input(depth);
                format!("{one} >= (select min({}) from {input})", self.column(&inner))
            }
            8 => {
                let (input, inner) = self.input(depth);
                format!("({other} = 1 or exists (select 1 from {input} where {} = {one}))", self.column(&inner))
            }
            9 => format!("({one} = 1 or {other} = 2)"),
            _ => format!("true or {one} = {other}"),
        }
    }
}
