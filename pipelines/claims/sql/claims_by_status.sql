-- How many claims there are with each status, and their amounts.
select
    coalesce(status, 'unknown') as status,
    coalesce(currency, 'unknown') as currency,
    count(*) as claims,
    sum(amount) as total_amount,
    max(amount) as max_amount,
    min(amount) as min_amount,
    cast(avg(amount) as decimal(18,2)) as avg_amount
from claim
group by coalesce(status, 'unknown'), coalesce(currency, 'unknown')
