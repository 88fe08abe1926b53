-- Invoices; one without a date of creation has that of its treatment.
select
    invoice.id,
    invoice.status,
    coalesce(invoice.date_created, treatment.date_created) as date_created,
    invoice.treatment_id
from raw_invoice as invoice
left join repaired_treatment as treatment on treatment.id = invoice.treatment_id
