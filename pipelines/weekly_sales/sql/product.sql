-- Products. Texts of the source have blanks at their ends; an empty one is missing.
select
    nullif(trim(product_id), '') as product_id,
    nullif(trim(division), '') as division,
    nullif(trim(gender), '') as gender,
    nullif(trim(category), '') as category
from raw_product
