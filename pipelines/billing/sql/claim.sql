-- Claims of the new deliveries, with the name of their file and the time of the load.
select
    claim_id,
    patient_id,
    npi,
    visit_type,
    service_date,
    procedure_code,
    diagnosis_code,
    coverage_type,
    amount,
    currency,
    status,
    billed_on,
    updated_at,
    file,
    line,
    regexp_replace(file, '^.*/', '') as file_name,
    to_char($run_started_at, '%Y%m%dT%H%M%S%.3fZ') as load_time
from raw_claim
