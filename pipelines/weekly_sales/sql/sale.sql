-- Sales with their week, group of products and channel; null where the sale has no match.
select
    s.sale_id,
    s.net_sales,
    s.sales_units,
    s.date_id,
    s.product_id,
    s.store_id,
    d.year,
    d.week,
    p.division,
    p.gender,
    p.category,
    t.channel
from raw_sale s
left join calendar d on d.date_id = s.date_id
left join product p on p.product_id = s.product_id
left join store t on t.store_id = s.store_id
