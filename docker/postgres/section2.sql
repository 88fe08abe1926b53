-- The roles to which the migrations grant rights: their owner may not create roles.
select format('create role %I nologin', name) from unnest(array['logistics', 'analytics', 'sales']) as name
where not exists (select from pg_roles where rolname = name) \gexec
