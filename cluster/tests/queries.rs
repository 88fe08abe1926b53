//! Queries of many kinds give the same rows on a cluster as on one machine.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{TestCluster, compute, compute_here, compute_with_exchanges, rows};
use weir::cluster::JobFailed;

const QUERIES: &[&str] = &[
    "select f.id, m.id from few f left join many m on f.id > m.id + 50",
    "select f.id, m.id from few f full join many m on f.id > m.id + 50",
    "select f.id, m.id from many m left join few f on f.id > m.id + 50",
    "select f.id from few f where not exists (select 1 from many m where f.id > m.id + 50)",
    "select f.id from few f where exists (select 1 from many m where f.id > m.id + 50)",
    "select f.id from few f where f.id not in (select m.id * 3 from many m)",
    "select f.id from few f where f.id not in (select case when m.id = 1 then null else m.id * 3 end from many m)",
    "select m.id from many m where m.id not in (select f.id from few f)",
    "select part from many intersect select id from few",
    "select part from many except select id from few where id > 3",
    "select id, row_number() over (order by id) as n from many",
    "select count(distinct part) as a, count(distinct text) as b from many",
    "select distinct part, text from many",
    "select part, text, count(*) as n from many group by grouping sets ((part), (text), ())",
    "select id, (select max(f.id) from few f) as x from many m where id < 1000",
    "select id from many order by id limit 10 offset 5",
    "select count(*) as n from (select id from many limit 100) t",
    "select f.id, m.n from few f left join (select count(*) as n from many) m on true",
    "select f.id, m.id from few f right join many m on f.id = m.id and f.text < m.text where m.id < 200",
    "select f.id from few f left semi join many m on f.id = m.id",
    "select f.id from few f left anti join many m on f.id = m.id + 10",
    "select m.id from few f right anti join many m on f.id = m.id + 10 where m.id < 500",
    "select a.id from many a join many b on a.id = b.id join few c on b.id = c.id",
    "with r as (select id, text from many where part = 2) select a.id, b.text from r a join r b on a.id = b.id",
    "select sum(id) over (partition by part order by id rows between 2 preceding and current row) as s from many",
    "select array_agg(id order by id) as ids from few",
    "select part, array_agg(id order by id) as ids from many where id < 100 group by part",
    "select id from many union select id from few",
    "select part, max(text), min(text) from many group by part having count(*) > 10 order by part",
    "select 1 as a union all select 2 as a union all select id from few",
    "select f.id from few f, few g, few h where f.id = g.id and g.id = h.id and f.id in (select part from many)",
    "select * from (values (1, 'a'), (2, 'b')) v(x, y) join few on few.id = v.x",
    "select count(*) as n from few a cross join few b",
    "select unnest([1,2,id]) as u from few",
    "select approx_distinct(id) > 0 as x from many",
    "select median(id) as m from many",
    "select first_value(id order by id desc) as m, last_value(text order by id) as l from many",
    "select o.id, m.id from one o left join many m on o.id > m.id + 20",
    "select o.id, m.id from many m left join one o on o.id > m.id + 20",
    "select o.id, m.id from one o full join many m on o.id = m.id + 20",
    "select o.id, m.id from one o cross join many m where m.id < 100",
    "select o.id, m.id from many m cross join one o where m.id < 100",
    "select id from one union all select id from few union all select id from many",
    "select id from one where id not in (select id from many where id > 10)",
    "select count(*) as n from one",
    "select part, max(id) as total from one group by part",
    "select part, max(id) as total from (select * from one union all select * from many) t group by part",
    "select id from one order by id desc limit 7",
    "select m.id, (select count(*) from one) as n from many m where m.id < 100",
    "select m.id, o.n from many m join (select count(*) as n, 3 as part from one) o on o.part = m.part",
];

const ROWS: i64 = 3_000;

#[tokio::test(flavor = "multi_thread")]
async fn queries_give_the_same_rows_as_on_one_machine() {
    let cluster = TestCluster::start(2, &[]);
    cluster.ready().await;
    let client = cluster.connect();
    let mut wrong = vec![];
    for sql in QUERIES {
        let here = rows(&compute_here(sql, ROWS).await);
        let mut check = |how: &str, there: Result<Vec<_>, JobFailed>| match there {
            Ok(there) if rows(&there) == here => {}
            Ok(there) => wrong.push(format!("{how}: {} for {} rows: {sql}", rows(&there).len(), here.len())),
            Err(error) => wrong.push(format!("{how}: {sql}: {}", error.0)),
        };
        let late = || Err(JobFailed("it does not end".to_owned()));
        let patience = Duration::from_secs(60);
        let there = tokio::time::timeout(patience, compute(client.as_ref(), sql, ROWS)).await;
        check("as planned", there.unwrap_or_else(|_| late()));
        // It is refused: the smaller side would have to be sent to one task.
        if !sql.contains("not in (") {
            let there = tokio::time::timeout(patience, compute_with_exchanges(client.as_ref(), sql, ROWS)).await;
            check("with exchanges", there.unwrap_or_else(|_| late()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
