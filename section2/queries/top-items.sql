-- The three most frequently ordered items: by number of orders, then by units ordered, then by the lower item_id.
with sold as (
    select
        item_id,
        sum(orders) as orders,
        sum(units) as units,
        sum(members) as members
    from summary.item_sales
    group by item_id
    having sum(orders) > 0
    order by orders desc, units desc, item_id
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
