-- Treatments with the program of their claim: of several claims, of the one that was changed last.
with claim as (
    select
        treatment_id,
        program_id,
        row_number() over (partition by treatment_id order by date_modified desc nulls last, id desc) as place
    from raw_claim
    where treatment_id is not null
)

select
    treatment.id,
    treatment.status,
    treatment.type,
    treatment.date_created,
    treatment.date_modified,
    treatment.date_submitted,
    treatment.date_treatment,
    treatment.provider_id,
    coalesce(claim.program_id, treatment.program_id) as program_id,
    treatment.repaired
from repaired_treatment as treatment
left join claim on claim.treatment_id = treatment.id and claim.place = 1
