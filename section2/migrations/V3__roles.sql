-- Who may do what. The roles cannot log in: people and programs are made members of them.
--
-- Roles belong to the whole server, and another database of it may have made them already.

do $$
declare
    name text;
begin
    foreach name in array array['logistics', 'analytics', 'sales'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = name) then
            begin
                execute format('create role %I nologin', name);
            exception
                -- Another database of the server was quicker.
                when duplicate_object or unique_violation then null;
            end;
        end if;
    end loop;
end
$$;

-- Orders with their weights, and which payments are complete: neither who the members are nor what things cost.
grant select on orders to logistics;
grant select (order_id, item_id, quantity, unit_weight_kg) on orders_item to logistics;
grant select (order_id, member_id, ordered_at, lines, total_weight_kg) on order_total to logistics;
grant select (item_id, manufacturer_id, name, weight_kg, added_at, retired_at) on item to logistics;
grant select (txn_id, order_id, status, created_at, settled_at, completed_at) on txn to logistics;
grant update (completed_at) on txn to logistics;

-- Everything but how to reach a member, and the birthday.
grant select (member_id, membership_id, first_name, last_name, joined_at) on member to analytics;
grant select on manufacturer, item, orders, orders_item, txn, order_total to analytics;
grant usage on schema summary to analytics;
grant select on all tables in schema summary to analytics;

-- Items come and are retired; what an item costs and weighs stays as it was added.
grant select on manufacturer, item to sales;
grant insert (name) on manufacturer to sales;
grant insert (manufacturer_id, name, cost, weight_kg) on item to sales;
grant update (retired_at) on item to sales;
