-- Treatments with their values where they belong. In older rows these stand one column to the left, from `type` on: `type`
-- has the time of the creation, `date_created` that of the last change, and so on; `provider_id` has the program. What
-- stood in `type` is lost, and so is the provider.
with treatment as (
    select
        *,
        coalesce(regexp_like(type, '^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}'), false) as repaired
    from raw_treatment
)

select
    id,
    status,
    case when not repaired then type end as type,
    case when repaired then cast(type as timestamp) else date_created end as date_created,
    case when repaired then date_created else date_modified end as date_modified,
    case when repaired then date_modified else date_submitted end as date_submitted,
    case when repaired then date_submitted else date_treatment end as date_treatment,
    case when not repaired then provider_id end as provider_id,
    case when repaired then provider_id else program_id end as program_id,
    repaired
from treatment
