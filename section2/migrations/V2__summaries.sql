-- Summaries that the company's questions are answered from, kept up to date by the transactions that change what they
-- sum up: exact at any time, for everybody, and small.
--
-- A statement updates a summary once, with what all its rows come to, in the order of the keys, so that two statements
-- do not wait for each other in a circle. A transaction of several statements may: PostgreSQL ends one of the two (SQLSTATE
-- 40P01), and it can be repeated.

create schema summary;

comment on schema summary is 'What is derived from members, items and sales; written by triggers only.';

create table summary.member_spending (
    member_id bigint primary key,
    spent numeric not null
);

create index member_spending_by_rank on summary.member_spending (spent desc, member_id);

comment on table summary.member_spending is 'What members have paid. Who has never paid may be missing.';
comment on column summary.member_spending.member_id is 'The member.';
comment on column summary.member_spending.spent is 'The sum of the amounts of settled payments.';

create table summary.item_buyer (
    item_id bigint,
    member_id bigint,
    orders bigint not null,
    primary key (item_id, member_id)
);

comment on table summary.item_buyer is 'Who has ordered what; it tells when an item has one member more or less.';
comment on column summary.item_buyer.item_id is 'The item.';
comment on column summary.item_buyer.member_id is 'The member.';
comment on column summary.item_buyer.orders is 'Orders of this member with this item; 0 when these are gone.';

create table summary.item_sales (
    item_id bigint,
    slot smallint,
    orders bigint not null,
    units bigint not null,
    members bigint not null,
    primary key (item_id, slot)
);

comment on table summary.item_sales is
    'How often items were bought: the sum over their slots. Writers spread over the slots, so that orders of one popular item do not wait for each other.';
comment on column summary.item_sales.item_id is 'The item.';
comment on column summary.item_sales.slot is 'Which part of the sum: that of some server processes, by their number.';
comment on column summary.item_sales.orders is 'Orders with the item.';
comment on column summary.item_sales.units is 'Units ordered.';
comment on column summary.item_sales.members is 'Members who ordered it; a slot alone may be below 0.';

-- A trigger sees the rows that came, those that went, or both. So each summary has one statement, and a function around
-- it for each of the three, whose plan the server can keep.

do $migration$
declare
    -- What changes in the rows of a table, as rows to be added up.
    change record;
begin
    for change in
        values
            ('inserted', 'select order_id, amount, status from came'),
            ('deleted', 'select order_id, -amount as amount, status from went'),
            ('updated', 'select order_id, amount, status from came union all select order_id, -amount, status from went')
    loop
        execute format($function$
            create function summary.payments_%s() returns trigger
            language plpgsql
            security definer set search_path = pg_catalog, pg_temp as $$
            begin
                insert into summary.member_spending as known (member_id, spent)
                select orders.member_id, sum(change.amount)
                from (%s) as change
                join public.orders on orders.order_id = change.order_id
                where change.status = 'settled'
                group by orders.member_id
                having sum(change.amount) <> 0
                order by orders.member_id
                on conflict (member_id) do update set spent = known.spent + excluded.spent;
                return null;
            end
            $$
        $function$, change.column1, change.column2);
    end loop;

    for change in
        values
            ('inserted', 'select order_id, item_id, 1 as orders, quantity as units from came'),
            ('deleted', 'select order_id, item_id, -1 as orders, -quantity as units from went'),
            ('updated', 'select order_id, item_id, 1 as orders, quantity as units from came'
                || ' union all select order_id, item_id, -1, -quantity from went')
    loop
        execute format($function$
            create function summary.lines_%s() returns trigger
            language plpgsql
            security definer set search_path = pg_catalog, pg_temp as $$
            begin
                with bought as materialized (
                    select change.item_id, orders.member_id, sum(change.orders) as orders, sum(change.units) as units
                    from (%s) as change
                    join public.orders on orders.order_id = change.order_id
                    group by change.item_id, orders.member_id
                    having sum(change.orders) <> 0 or sum(change.units) <> 0
                ),
                buyer as (
                    insert into summary.item_buyer as known (item_id, member_id, orders)
                    select item_id, member_id, orders
                    from bought
                    where orders <> 0
                    order by item_id, member_id
                    on conflict (item_id, member_id) do update set orders = known.orders + excluded.orders
                    returning item_id, member_id, orders
                )
                insert into summary.item_sales as known (item_id, slot, orders, units, members)
                select
                    bought.item_id,
                    pg_backend_pid() %% 8,
                    sum(bought.orders),
                    sum(bought.units),
                    -- Members who have orders now and had none before, less those of whom it is the other way round.
                    count(*) filter (where buyer.orders > 0 and buyer.orders = bought.orders)
                    - count(*) filter (where buyer.orders = 0)
                from bought
                left join buyer on buyer.item_id = bought.item_id and buyer.member_id = bought.member_id
                group by bought.item_id
                order by bought.item_id
                on conflict (item_id, slot) do update set
                    orders = known.orders + excluded.orders,
                    units = known.units + excluded.units,
                    members = known.members + excluded.members;
                return null;
            end
            $$
        $function$, change.column1, change.column2);
    end loop;
end
$migration$;

create trigger payments_inserted after insert on txn
referencing new table as came
for each statement execute function summary.payments_inserted();

create trigger payments_deleted after delete on txn
referencing old table as went
for each statement execute function summary.payments_deleted();

create trigger payments_updated after update on txn
referencing old table as went new table as came
for each statement execute function summary.payments_updated();

create trigger lines_inserted after insert on orders_item
referencing new table as came
for each statement execute function summary.lines_inserted();

create trigger lines_deleted after delete on orders_item
referencing old table as went
for each statement execute function summary.lines_deleted();

create trigger lines_updated after update on orders_item
referencing old table as went new table as came
for each statement execute function summary.lines_updated();

create procedure summary.rebuild()
language sql
set search_path = pg_catalog, pg_temp
begin atomic
    delete from summary.member_spending;
    delete from summary.item_buyer;
    delete from summary.item_sales;
    insert into summary.member_spending (member_id, spent)
    select orders.member_id, sum(txn.amount)
    from public.txn
    join public.orders on orders.order_id = txn.order_id
    where txn.status = 'settled'
    group by orders.member_id
    order by orders.member_id;
    insert into summary.item_buyer (item_id, member_id, orders)
    select orders_item.item_id, orders.member_id, count(*)
    from public.orders_item
    join public.orders on orders.order_id = orders_item.order_id
    group by orders_item.item_id, orders.member_id
    order by orders_item.item_id, orders.member_id;
    insert into summary.item_sales (item_id, slot, orders, units, members)
    select line.item_id, 0, line.orders, line.units, buyer.members
    from (
        select item_id, count(*) as orders, sum(quantity) as units
        from public.orders_item
        group by item_id
    ) as line
    join (
        select item_id, count(*) as members
        from summary.item_buyer
        group by item_id
    ) as buyer on buyer.item_id = line.item_id;
end;

comment on procedure summary.rebuild() is
    'Makes the summaries anew, after a bulk load without triggers. Nobody may write to txn and orders_item meanwhile.';
revoke execute on procedure summary.rebuild() from public;

-- What is emptied at once is summed up as nothing.

create function summary.payments_truncated() returns trigger
language plpgsql
security definer set search_path = pg_catalog, pg_temp as $$
begin
    truncate summary.member_spending;
    return null;
end
$$;

create function summary.lines_truncated() returns trigger
language plpgsql
security definer set search_path = pg_catalog, pg_temp as $$
begin
    truncate summary.item_buyer, summary.item_sales;
    return null;
end
$$;

create trigger payments_truncated after truncate on txn
for each statement execute function summary.payments_truncated();

create trigger lines_truncated after truncate on orders_item
for each statement execute function summary.lines_truncated();
