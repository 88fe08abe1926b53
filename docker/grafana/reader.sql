-- The user that Grafana reads with: it sees the table `covid` and nothing else, and changes nothing. For psql:
--     psql -v password="$COVID_DB_PASSWORD" -f reader.sql "$DATABASE_URL"
-- It can be run again: the password is then the new one.
select 'create role grafana login' where not exists (select from pg_roles where rolname = 'grafana') \gexec
alter role grafana with login password :'password' connection limit 10;
alter role grafana set default_transaction_read_only = on;
alter role grafana set statement_timeout = '30s';
grant usage on schema public to grafana;
grant select on covid to grafana;
