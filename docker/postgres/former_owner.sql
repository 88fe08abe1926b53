-- In each database: what the former superuser made there gets the new owner. `reassign owned` refuses to do that for
-- the role that made the cluster. What belongs to an extension stays; sequences and types of tables follow these.
begin;
create temporary view former as select oid as owner from pg_roles where rolname = :'owner';
select format('alter database %I owner to weir_owner', datname)
from pg_database, former where datname = current_database() and datname <> 'postgres' and datdba = owner \gexec
select format('alter schema %I owner to weir_owner', nspname)
from pg_namespace, former
where nspowner = owner and nspname !~ '^pg_' and nspname not in ('information_schema', 'public') \gexec
create temporary view made as
select objects.* from (
    select 'pg_class'::regclass as class, oid, relnamespace as schema, relowner as owned_by,
        format('%s %s', case relkind when 'S' then 'sequence' when 'v' then 'view' when 'm' then 'materialized view'
            when 'f' then 'foreign table' else 'table' end, oid::regclass) as object
    from pg_class where relkind in ('r', 'p', 'v', 'm', 'f') and relpersistence <> 't'
        or relkind = 'S' and not exists (
            select from pg_depend
            where classid = 'pg_class'::regclass and objid = pg_class.oid and deptype in ('a', 'i')
        )
    union all
    select 'pg_proc'::regclass, oid, pronamespace, proowner, format('routine %s', oid::regprocedure) from pg_proc
    union all
    select 'pg_type'::regclass, type.oid, typnamespace, typowner, format('type %s', type.oid::regtype)
    from pg_type as type left join pg_class as class on class.oid = typrelid
    where typtype in ('d', 'e', 'r') or typtype = 'b' and typcategory <> 'A' or class.relkind = 'c'
    union all
    select 'pg_statistic_ext'::regclass, oid, stxnamespace, stxowner,
        format('statistics %s.%I', stxnamespace::regnamespace, stxname)
    from pg_statistic_ext
) as objects, former
where owned_by = owner and schema::regnamespace::text !~ '^(pg_|information_schema$)'
    and not exists (select from pg_depend where classid = class and objid = oid and deptype = 'e');
select format('alter %s owner to weir_owner', object) from made \gexec
select format('alter large object %s owner to weir_owner', lo.oid)
from pg_largeobject_metadata as lo, former where lomowner = owner \gexec
drop view made, former;
commit;
