//! The expected contents of the summaries, computed from the sales.
#![allow(dead_code)] // each test file uses its own part of this

/// The number of summary rows that differ from the sales, and of orders that differ from their lines. One statement, so
/// everything is from one snapshot.
pub(crate) const DIFFERENCES: &str = "
    select
        (
            select count(*)
            from (select member_id, spent from summary.member_spending where spent <> 0) as summary
            full join (
                select member_id, sum(amount) as spent
                from txn join orders using (order_id)
                where status = 'settled'
                group by member_id
            ) as naive using (member_id)
            where summary.spent is distinct from naive.spent
        )
        + (
            select count(*)
            from (select item_id, member_id, orders from summary.item_buyer where orders <> 0) as summary
            full join (
                select item_id, member_id, count(*) as orders
                from orders_item join orders using (order_id)
                group by item_id, member_id
            ) as naive using (item_id, member_id)
            where summary.orders is distinct from naive.orders
        )
        + (
            select count(*)
            from (
                select item_id, sum(orders) as orders, sum(units) as units, sum(members) as members
                from summary.item_sales
                group by item_id
                having sum(orders) <> 0 or sum(units) <> 0 or sum(members) <> 0
            ) as summary
            full join (
                select item_id, count(*) as orders, sum(quantity) as units, count(distinct member_id) as members
                from orders_item join orders using (order_id)
                group by item_id
            ) as naive using (item_id)
            where (summary.orders, summary.units, summary.members)
                is distinct from (naive.orders, naive.units, naive.members)
        )
        + (
            select count(*)
            from order_total
            cross join lateral (
                select count(*), coalesce(sum(quantity * unit_price), 0), coalesce(sum(quantity * unit_weight_kg), 0)
                from orders_item
                where orders_item.order_id = order_total.order_id
            ) as naive (lines, price, weight)
            where (order_total.lines, total_price, total_weight_kg)
                is distinct from (naive.lines, naive.price, naive.weight)
        )";

/// The queries, and equivalent plain aggregates.
pub(crate) const QUESTIONS: [(&str, &str); 2] = [
    (include_str!("../../queries/top-members.sql"), include_str!("../../../bench/section2/plain_top_members.sql")),
    (include_str!("../../queries/top-items.sql"), include_str!("../../../bench/section2/plain_top_items.sql")),
];
