-- As the former superuser: a superuser that can rename it, and the future owner.
select format('create role %I', name) from unnest(array['weir_upgrade', 'weir_owner']) as name
where not exists (select from pg_roles where rolname = name) \gexec
alter role weir_upgrade with superuser login;
