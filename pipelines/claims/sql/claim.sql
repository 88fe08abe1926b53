-- Claims; one without a date of creation has that of its treatment.
select
    claim.id,
    claim.status,
    claim.type,
    coalesce(claim.date_created, treatment.date_created) as date_created,
    claim.date_modified,
    claim.treatment_id,
    claim.program_id,
    claim.amount,
    claim.currency
from raw_claim as claim
left join repaired_treatment as treatment on treatment.id = claim.treatment_id
