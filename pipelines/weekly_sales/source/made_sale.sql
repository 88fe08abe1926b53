-- Sales. Few have no match in a dimension, no amount, or an amount that cannot be read.
with number as (
    select value as n, (value * 2654435761 + 12345) % 4294967296 as r from generate_series(1, $sales)
)
select
    n as "saleId",
    case
        when n % 100003 = 7 then 'n/a'
        when n % 50021 = 11 then null
        else cast(cast((r / 16 % 90000 + 99) / 100.0 as decimal(18, 2)) as varchar)
    end as "netSales",
    r % 9 + 1 as "salesUnits",
    case when n % 10007 = 3 then '999' else cast(401 + r / 64 % 40 as varchar) end as "storeId",
    case when n % 20011 = 5 then 1 else 4965 + r / 3 % 730 end as "dateId",
    case when n % 15013 = 9 then '00000000000000' else lpad(cast(567220000000 + (r / 128 % $products) * 97 as varchar), 14, '0') end
        as "productId"
from number
