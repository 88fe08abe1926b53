-- The sales of each group of products, channel, year and week.
select
    year,
    upper(channel) as channel_key,
    min(channel) as channel,
    division,
    gender,
    category,
    week,
    sum(net_sales) as net_sales,
    sum(sales_units) as sales_units
from sale
group by year, upper(channel), division, gender, category, week
