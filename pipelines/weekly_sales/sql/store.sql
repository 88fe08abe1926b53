-- Stores and their channels. Texts of the source have blanks at their ends; an empty one is missing.
select
    nullif(trim(store_id), '') as store_id,
    nullif(trim(channel), '') as channel,
    nullif(trim(country), '') as country
from raw_store
