create table run (
    id text primary key,
    task text not null,
    environment text not null,
    started text not null,          -- RFC 3339, UTC
    ended text,
    state text not null,            -- running, publishing, or how it ended
    message text,                   -- why it ended so
    pid integer not null,
    parameters text not null,       -- JSON: name -> text
    seconds real,
    peak_memory integer,            -- bytes
    report text                     -- JSON: the whole report
) strict;
create index run_of_task on run (task, environment, started);
create table input (
    run text not null references run (id) on delete cascade,
    source text not null,
    path text not null,
    bytes integer not null,
    modified text not null
) strict;
create table step (
    run text not null references run (id) on delete cascade,
    number integer not null,
    name text not null,
    seconds real not null,
    rows integer,
    accepted integer,
    rejected integer
) strict;
create table reason (
    run text not null references run (id) on delete cascade,
    tbl text not null,
    rule text not null,
    effect text not null,           -- reject, warn, unreadable
    rows integer not null
) strict;
create table output (
    run text not null references run (id) on delete cascade,
    sink text not null,
    folder text not null,           -- JSON: where it is and where it is staged
    rows integer,
    bytes integer,
    publish integer not null default 0
) strict;
pragma user_version = 1;
