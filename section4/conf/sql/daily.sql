-- One row per country and day: new cases since the previous day, and their 7-day average.
with total as (
    select
        country,
        date,
        total_cases,
        source,
        lag(date) over series as date_before,
        lag(total_cases) over series as total_before
    from measurement
    window series as (partition by country order by date)
),

-- The first day of a series is only what the second is counted from.
day as (
    select
        country,
        date,
        total_cases,
        source,
        total_cases - total_before as num_cases,
        cast(date as integer) - cast(date_before as integer) as days_covered
    from total
    where date_before is not null
),

-- Seven consecutive days are seven consecutive rows of one day each.
week as (
    select
        country,
        date,
        total_cases,
        source,
        num_cases,
        days_covered,
        avg(num_cases) over last_seven as average,
        sum(case when days_covered = 1 then 1 else 0 end) over last_seven as single_days
    from day
    window last_seven as (partition by country order by date rows between 6 preceding and current row)
)

select
    country,
    date as measurement_date,
    num_cases,
    case when single_days = 7 then average end as num_p7d_avg_cases,
    total_cases,
    days_covered,
    source
from week
where date >= $from
