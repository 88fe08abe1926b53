-- The superuser, the owner of the database, and the roles of the section. Repeated at every start, so that passwords
-- are those of the secrets.

-- No log has a password, even if a statement fails.
set log_min_error_statement = panic;
set log_statement = none;
set log_min_duration_statement = -1;
set client_min_messages = warning;

\set superuser_password `cat /run/secrets/superuser_password`
\set owner_password `cat /run/secrets/postgres_password`
alter role postgres with superuser login password :'superuser_password';
drop role if exists weir_upgrade;

select format('create role %I', :'owner') where not exists (select from pg_roles where rolname = :'owner') \gexec
alter role :"owner" with login nosuperuser nocreatedb nocreaterole noreplication nobypassrls
    password :'owner_password';
select format('create database %I', :'database') where not exists (select from pg_database where datname = :'database')
\gexec
select format('alter database %I owner to %I', :'database', :'owner')
from pg_database join pg_roles on pg_roles.oid = datdba where datname = :'database' and rolname <> :'owner' \gexec

\if :{?section}
\ir :section.sql
\endif
