-- Providers of the new deliveries, with the name of their file and the time of the load.
with numbered as (
    select
        *,
        -- The digits of a number, first every second one, whose double has this sum of digits.
        case
            when regexp_like(npi, '^[12][0-9]{9}$') then
                translate(
                    substr(npi, 1, 1) || substr(npi, 3, 1) || substr(npi, 5, 1) || substr(npi, 7, 1) || substr(npi, 9, 1),
                    '0123456789', '0246813579'
                ) || substr(npi, 2, 1) || substr(npi, 4, 1) || substr(npi, 6, 1) || substr(npi, 8, 1) || substr(npi, 10, 1)
        end as digits
    from raw_provider
)

select
    npi,
    -- By Luhn over the prefix 80840, whose part of the sum is 24, and the number.
    coalesce(
        (24 + cast(substr(digits, 1, 1) as integer) + cast(substr(digits, 2, 1) as integer)
            + cast(substr(digits, 3, 1) as integer) + cast(substr(digits, 4, 1) as integer)
            + cast(substr(digits, 5, 1) as integer) + cast(substr(digits, 6, 1) as integer)
            + cast(substr(digits, 7, 1) as integer) + cast(substr(digits, 8, 1) as integer)
            + cast(substr(digits, 9, 1) as integer) + cast(substr(digits, 10, 1) as integer)) % 10 = 0,
        false
    ) as npi_is_valid,
    name,
    specialty_code,
    tax_id,
    bank_account,
    phone,
    contract_from,
    contract_until,
    updated_at,
    file,
    line,
    regexp_replace(file, '^.*/', '') as file_name,
    to_char($run_started_at, '%Y%m%dT%H%M%S%.3fZ') as load_time
from numbered
