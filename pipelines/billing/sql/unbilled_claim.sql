-- Claims that are open, the oldest service first. Patients are found by the hash of their key, which both tables have.
select
    c.claim_id,
    c.service_date,
    $as_of - c.service_date as days_open,
    c.amount,
    c.currency,
    c.coverage_type,
    c.visit_type,
    c.patient_id,
    p.patient_id is not null as patient_is_known,
    p.first_name as patient_first_name,
    p.last_name as patient_last_name,
    p.birth_year as patient_birth_year,
    p.phone as patient_phone,
    p.state as patient_state,
    c.npi,
    r.name as provider_name,
    r.specialty_code,
    r.phone as provider_phone
from claim c
left join patient p on p.patient_id = c.patient_id
left join provider r on r.npi = c.npi
where c.status = 'OPEN'
order by c.service_date, c.claim_id
