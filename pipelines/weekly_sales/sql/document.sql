-- One document for each group of products and year: all 52 weeks in their order, with zeros where nothing was sold.
with document_key as (
    -- Of names that differ only in capital letters, which are one channel, the first counts.
    select year, channel_key, min(channel) as channel, division, gender, category
    from week_sales
    group by year, channel_key, division, gender, category
),
week as (
    select unnest(range(1, 53)) as week
),
filled as (
    select
        k.*,
        w.week,
        coalesce(s.net_sales, 0) as net_sales,
        coalesce(s.sales_units, 0) as sales_units
    from document_key k
    cross join week w
    left join week_sales s
        on s.year = k.year and s.channel_key = k.channel_key and s.division = k.division and s.gender = k.gender
        and s.category = k.category and s.week = w.week
),
weeks as (
    select
        'RY' || right(cast(year as varchar), 2) as year,
        channel_key,
        channel,
        division,
        gender,
        category,
        json_object_agg('W' || week, net_sales order by week) as net_sales,
        json_object_agg('W' || week, sales_units order by week) as sales_units
    from filled
    group by year, channel_key, channel, division, gender, category
),
keyed as (
    select *, year || '_' || channel_key || '_' || division || '_' || gender || '_' || category as unique_key from weeks
)
select
    unique_key,
    json_object(
        'uniqueKey', unique_key,
        'division', division,
        'gender', gender,
        'category', category,
        'channel', channel,
        'year', year,
        'dataRows', json_array(
            json_object('rowId', 'Net Sales', 'dataRow', net_sales),
            json_object('rowId', 'Sales Units', 'dataRow', sales_units)
        )
    ) as body
from keyed
