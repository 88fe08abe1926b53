-- The result of top-items, computed from the order lines.
with sold as (
    select
        orders_item.item_id,
        count(*) as orders,
        sum(orders_item.quantity) as units,
        count(distinct orders.member_id) as members
    from orders_item
    join orders on orders.order_id = orders_item.order_id
    group by orders_item.item_id
    order by orders desc, units desc, orders_item.item_id
    limit 3
)
select
    sold.item_id,
    item.name as item,
    manufacturer.name as manufacturer,
    sold.orders,
    sold.units,
    sold.members
from sold
join item on item.item_id = sold.item_id
join manufacturer on manufacturer.manufacturer_id = item.manufacturer_id
order by sold.orders desc, sold.units desc, sold.item_id
