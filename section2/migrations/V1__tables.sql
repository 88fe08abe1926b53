-- Members, items and sales.
--
-- Money is numeric with two decimals, weights are kilograms with three, times carry their zone. What was sold is kept as
-- it was sold: an order line has its own price and weight, so a new cost of an item is none of a past order's.

create table member (
    member_id bigint generated always as identity primary key,
    membership_id text not null,
    first_name text not null,
    last_name text not null,
    birthday date not null,
    mobile text not null,
    email text not null,
    joined_at timestamptz not null default now(),
    constraint member_is_known_once unique (membership_id, first_name, email),
    constraint membership_id_is_name_and_five_hex_digits check (membership_id ~ '_[0-9a-f]{5}$'),
    constraint first_name_is_not_empty check (first_name <> ''),
    constraint last_name_is_not_empty check (last_name <> ''),
    constraint mobile_has_eight_digits check (mobile ~ '^[0-9]{8}$'),
    constraint email_has_one_at_sign check (email ~ '^[^@]+@[^@]+$')
);

comment on table member is 'Whoever may order: the applicants that were accepted.';
comment on column member.member_id is 'Key; two members may share a membership id.';
comment on column member.membership_id is 'The id that members know: last name, _, five hex digits.';
comment on column member.first_name is 'First name, and any middle names.';
comment on column member.last_name is 'Last name.';
comment on column member.birthday is 'Private.';
comment on column member.mobile is 'Private: eight digits.';
comment on column member.email is 'Private.';
comment on column member.joined_at is 'When the member came into this database.';

create table manufacturer (
    manufacturer_id bigint generated always as identity primary key,
    name text not null,
    constraint manufacturer_is_known_once unique (name),
    constraint manufacturer_has_a_name check (name <> '')
);

comment on table manufacturer is 'Who makes items.';
comment on column manufacturer.manufacturer_id is 'Key.';
comment on column manufacturer.name is 'Name; no two share one.';

create table item (
    item_id bigint generated always as identity primary key,
    manufacturer_id bigint not null references manufacturer,
    name text not null,
    cost numeric(12, 2) not null,
    weight_kg numeric(9, 3) not null,
    added_at timestamptz not null default now(),
    retired_at timestamptz,
    constraint item_is_known_once unique (manufacturer_id, name),
    constraint item_has_a_name check (name <> ''),
    constraint cost_is_not_negative check (cost >= 0),
    constraint weight_is_positive check (weight_kg > 0),
    constraint item_is_retired_after_it_is_added check (retired_at >= added_at)
);

-- For the check of order lines below: retired items are few, and so it looks at few.
create index item_retired on item (item_id, retired_at) where retired_at is not null;

comment on table item is 'What is for sale. Items are retired and never deleted: past orders name them.';
comment on column item.item_id is 'Key.';
comment on column item.manufacturer_id is 'Who makes it.';
comment on column item.name is 'Name; a manufacturer has no two items of one name.';
comment on column item.cost is 'What one costs when ordered now, in the currency of the shop.';
comment on column item.weight_kg is 'What one weighs, in kg.';
comment on column item.added_at is 'Since when it is for sale.';
comment on column item.retired_at is 'From when on it cannot be ordered; null while it is for sale.';

create table orders (
    order_id bigint generated always as identity primary key,
    member_id bigint not null references member,
    ordered_at timestamptz not null default now()
);

create index orders_of_member on orders (member_id);

comment on table orders is 'Orders; what is in one is in orders_item, what it comes to in order_total.';
comment on column orders.order_id is 'Key.';
comment on column orders.member_id is 'Who ordered; it stays so.';
comment on column orders.ordered_at is 'When.';

-- There is no index by item: questions by item are answered from summaries, and items are never deleted.
create table orders_item (
    order_id bigint not null references orders,
    item_id bigint not null references item,
    quantity integer not null,
    unit_price numeric(12, 2) not null,
    unit_weight_kg numeric(9, 3) not null,
    primary key (order_id, item_id),
    constraint quantity_is_positive check (quantity > 0),
    constraint unit_price_is_not_negative check (unit_price >= 0),
    constraint unit_weight_is_positive check (unit_weight_kg > 0)
);

comment on table orders_item is 'Order lines: an item stands once in an order.';
comment on column orders_item.order_id is 'The order.';
comment on column orders_item.item_id is 'The item.';
comment on column orders_item.quantity is 'How many of it.';
comment on column orders_item.unit_price is 'What one cost when it was ordered.';
comment on column orders_item.unit_weight_kg is 'What one weighed when it was ordered, in kg.';

create table txn (
    txn_id bigint generated always as identity primary key,
    order_id bigint not null references orders,
    amount numeric(14, 2) not null,
    status text not null default 'pending',
    created_at timestamptz not null default now(),
    settled_at timestamptz,
    completed_at timestamptz,
    constraint amount_is_positive check (amount > 0),
    constraint status_is_known check (status in ('pending', 'settled', 'failed', 'refunded')),
    constraint money_that_came_has_a_time check ((status in ('settled', 'refunded')) = (settled_at is not null)),
    constraint only_paid_orders_are_completed check (completed_at is null or settled_at is not null)
);

create index txn_of_order on txn (order_id);

comment on table txn is 'Payments of orders. An order may have several: one that failed and one that came, or parts.';
comment on column txn.txn_id is 'Key.';
comment on column txn.order_id is 'The order that is paid.';
comment on column txn.amount is 'How much, in the currency of the shop.';
comment on column txn.status is 'pending, settled (the money is there), failed, or refunded.';
comment on column txn.created_at is 'When the payment was begun.';
comment on column txn.settled_at is 'When the money came; null before.';
comment on column txn.completed_at is 'When logistics had delivered what was paid; null before.';

-- Derived whenever it is read, so that it cannot differ from the lines.
create view order_total as
select
    orders.order_id,
    orders.member_id,
    orders.ordered_at,
    count(orders_item.item_id) as lines,
    coalesce(sum(orders_item.quantity * orders_item.unit_price), 0) as total_price,
    coalesce(sum(orders_item.quantity * orders_item.unit_weight_kg), 0) as total_weight_kg
from orders
left join orders_item on orders_item.order_id = orders.order_id
group by orders.order_id;

comment on view order_total is 'Orders and what their lines come to.';
comment on column order_total.order_id is 'The order.';
comment on column order_total.member_id is 'Who ordered.';
comment on column order_total.ordered_at is 'When.';
comment on column order_total.lines is 'How many items it names.';
comment on column order_total.total_price is 'The sum of quantity * unit_price over its lines.';
comment on column order_total.total_weight_kg is 'The sum of quantity * unit_weight_kg over its lines, in kg.';

create function order_keeps_its_member() returns trigger
language plpgsql as $$
begin
    raise exception 'order % keeps its member', old.order_id
        using errcode = 'restrict_violation', hint = 'Make a new order for the other member.';
end
$$;

comment on function order_keeps_its_member() is 'Refuses to hand an order to another member.';

create trigger order_keeps_its_member
before update of member_id on orders
for each row when (old.member_id is distinct from new.member_id)
execute function order_keeps_its_member();

create function retired_items_are_not_ordered() returns trigger
language plpgsql
security definer set search_path = pg_catalog, pg_temp as $$
declare
    retired bigint;
begin
    select item.item_id into retired
    from ordered
    join public.item on item.item_id = ordered.item_id
    join public.orders on orders.order_id = ordered.order_id
    where item.retired_at <= orders.ordered_at
    limit 1;
    if found then
        raise exception 'item % is retired', retired
            using errcode = 'check_violation', constraint = 'retired_items_are_not_ordered', table = 'orders_item',
            hint = 'Order another item.';
    end if;
    return null;
end
$$;

comment on function retired_items_are_not_ordered() is 'Refuses order lines of items that were retired before the order.';

create trigger retired_items_are_not_ordered
after insert on orders_item
referencing new table as ordered
for each statement execute function retired_items_are_not_ordered();

create trigger retired_items_are_not_ordered_later
after update on orders_item
referencing new table as ordered
for each statement execute function retired_items_are_not_ordered();
