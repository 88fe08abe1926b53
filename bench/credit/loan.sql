-- Loans, with the hour that their file is of.
select
    * exclude (yyyy, mm, dd, hh),
    cast(yyyy || '-' || mm || '-' || dd || 'T' || hh || ':00:00' as timestamp) as window_start
from raw_loan
