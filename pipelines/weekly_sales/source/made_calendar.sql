-- The days of two years, in seasons of 13 weeks.
with day as (
    select value as n, date '2018-01-01' + cast(value as integer) as day from generate_series(0, 729)
)
select
    4965 + n as datekey,
    extract(day from day) as datecalendarday,
    extract(year from day) as datecalendaryear,
    (n % 365) / 7 % 13 + 1 as weeknumberofseason
from day
