-- Products with leading zeros in their ids, and blanks around some categories. The last one is there twice, the one before it
-- has no division.
with number as (
    select value as n from generate_series(0, $products - 1) union all select $products - 1
)
select
    lpad(cast(567220000000 + n * 97 as varchar), 14, '0') as productid,
    case when n = $products - 2 then null else array_element(['APPAREL', 'FOOTWEAR', 'EQUIPMENT'], n % 3 + 1) end as division,
    array_element(['MENS', 'WOMENS', 'KIDS', 'UNISEX'], n / 3 % 4 + 1) as gender,
    array_element(['CRICKET', 'COLLECTIONS', ' GOLF', 'HOCKEY', 'RUNNING', 'TRAINING/GYM', 'SWIM & SURF', 'TENNIS '], n / 12 % 8 + 1)
        as category
from number
