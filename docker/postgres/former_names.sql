-- Last, in one transaction: the names. The owner may use what it was granted before.
select format('grant %I to weir_owner', role.rolname)
from pg_auth_members join pg_roles as role on role.oid = roleid join pg_roles as member on member.oid = member
where member.rolname = :'owner' \gexec
alter role :"owner" rename to postgres;
alter role weir_owner rename to :"owner";
