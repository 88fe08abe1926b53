-- The result of top-members, computed from the payments.
select
    member.member_id,
    member.membership_id,
    member.first_name,
    member.last_name,
    sum(txn.amount) as spent
from txn
join orders on orders.order_id = txn.order_id
join member on member.member_id = orders.member_id
where txn.status = 'settled'
group by member.member_id
order by spent desc, member.member_id
limit 10
