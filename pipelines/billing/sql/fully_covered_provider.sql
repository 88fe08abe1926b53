-- Providers that have claims with a coverage of 100 percent and a service on one of the last days.
select
    c.npi,
    r.name as provider_name,
    r.specialty_code,
    count(*) as claims,
    count(distinct c.patient_id) as patients,
    sum(c.amount) as amount,
    min(c.service_date) as first_service_date,
    max(c.service_date) as last_service_date
from claim c
join provider r on r.npi = c.npi
where c.coverage_type = 100 and c.status <> 'VOID' and c.service_date > $as_of - $days and c.service_date <= $as_of
group by c.npi, r.name, r.specialty_code
order by claims desc, c.npi
