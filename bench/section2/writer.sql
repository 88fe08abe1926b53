-- For pgbench: an order of three items, some of them very popular, and its payment. Duplicate items give one line, and
-- retired ones none, so an order may have fewer lines.
\set member random_zipfian(1, :members, 1.01)
\set first random_zipfian(1, :items, 1.05)
\set second random_zipfian(1, :items, 1.05)
\set third random_zipfian(1, :items, 1.05)
begin;
insert into orders (member_id) values (:member) returning order_id as order \gset
insert into orders_item (order_id, item_id, quantity, unit_price, unit_weight_kg)
select :order, item_id, 1, cost, weight_kg from item
where item_id in (:first, :second, :third) and retired_at is null;
insert into txn (order_id, amount, status, settled_at)
select order_id, total_price, 'settled', now() from order_total where order_id = :order and lines > 0;
commit;
