-- Items of invoices; one without a date of creation has that of the treatment of its invoice.
select
    item.id,
    item.status,
    coalesce(item.date_created, treatment.date_created) as date_created,
    item.invoice_id,
    item.product_id,
    item.currency,
    item.amount
from raw_invoice_item as item
left join raw_invoice as invoice on invoice.id = item.invoice_id
left join repaired_treatment as treatment on treatment.id = invoice.treatment_id
