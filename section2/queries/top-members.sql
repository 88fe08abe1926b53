-- The ten members who have spent the most. Only settled payments count; ties are broken by the lower member_id.
select
    member.member_id,
    member.membership_id,
    member.first_name,
    member.last_name,
    spending.spent
from summary.member_spending as spending
join member on member.member_id = spending.member_id
where spending.spent > 0
order by spending.spent desc, spending.member_id
limit 10
