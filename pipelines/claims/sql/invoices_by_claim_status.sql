-- How many invoices belong to claims with each status, by their treatment. An invoice of several claims counts once for
-- each status.
select
    coalesce(claim.status, 'unknown') as claim_status,
    count(distinct invoice.id) as invoices,
    max(invoice.date_created) as latest_invoice_date
from claim
join invoice on invoice.treatment_id = claim.treatment_id
group by coalesce(claim.status, 'unknown')
