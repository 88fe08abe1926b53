-- Creates Grafana's read-only user, with access to the table `covid` only. For psql:
--     psql -v password="$COVID_DB_PASSWORD" -f reader.sql "$DATABASE_URL"
-- Can be repeated, for example to set a new password. Without `password` it only grants, which needs no right to create
-- roles; with `role_only` it only creates the user.
\if :{?password}
select 'create role grafana login' where not exists (select from pg_roles where rolname = 'grafana') \gexec
alter role grafana with login password :'password' connection limit 10;
alter role grafana set default_transaction_read_only = on;
alter role grafana set statement_timeout = '30s';
\endif
\if :{?role_only}
\else
grant usage on schema public to grafana;
grant select on covid to grafana;
\endif
