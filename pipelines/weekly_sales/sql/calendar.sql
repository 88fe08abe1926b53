-- Days with the week that their sales count for. The weeks of a season run from 1 to 13, in each of four seasons. The calendar has
-- no week of the year: its days of a year are consecutive numbers, and the 365th day belongs to the last week.
select
    date_id,
    year,
    case $weeks
        when 'season' then week_of_season
        when 'year' then least((date_id - min(date_id) over (partition by year)) / 7 + 1, 52)
    end as week
from raw_calendar
