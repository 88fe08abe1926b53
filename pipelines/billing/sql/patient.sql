-- Patients of the new deliveries, with the name of their file and the time of the load.
select
    patient_id,
    first_name,
    last_name,
    date_of_birth,
    -- Of patients from the age of 90 on, the year would tell who they are.
    case when date_of_birth > $as_of - interval '90 years' then cast(extract(year from date_of_birth) as integer) end as birth_year,
    sex,
    ssn,
    insurance_number,
    phone,
    email,
    zip_code,
    state,
    emergency_contact,
    registered_on,
    updated_at,
    file,
    line,
    regexp_replace(file, '^.*/', '') as file_name,
    to_char($run_started_at, '%Y%m%dT%H%M%S%.3fZ') as load_time
from raw_patient
