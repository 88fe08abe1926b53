//! The tables of the ledger: what each version added to the one before.

use rusqlite::Transaction;

/// The steps from an empty file to the tables of today. A step that was published is never changed.
const STEPS: [&str; 10] = [RUNS, FILES, KINDS, CONTENTS, CHANGES, WATERMARKS, JOBS, ALERTS, COUNTERS, REPLAYS];

/// The version of the tables: how many steps they took.
pub(crate) const VERSION: i64 = STEPS.len() as i64;

/// What every run read, did and wrote.
pub(crate) const RUNS: &str = "
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
";

/// Which content a run read, and where its files go. From here on a path is absolute; before, it was as the task
/// has it. The ledger grows with every run, so that nothing of one run may be looked for in all of it.
const FILES: &str = "
alter table input add column hash text;     -- BLAKE3 of the content, of sources with `read: new`
alter table input add column archive text;  -- where the file is moved once the run is published
create index input_of_file on input (path, source);
create index input_of_run on input (run);
create index step_of_run on step (run);
create index reason_of_run on reason (run);
create index output_of_run on output (run);
";

/// A target has the kind of its sink as a tag: by it a run that died is read back. Before, a target was what it looked like.
/// A run has the window of time that it covers.
const KINDS: &str = r#"
alter table output rename column folder to target;
update output set target = json_set(
    target, '$.kind', case when json_type(target, '$.load') is null then 'folder' else 'postgres' end);
alter table run add column "window" text;
"#;

/// A file with the content of another one is looked for.
const CONTENTS: &str = "
create index input_of_content on input (hash) where hash is not null;
";

/// A run that reads all files every time enters only those that the run before it did not read: otherwise the ledger grows
/// with runs times files. Of older runs, what the newest run of the same key and source has read stays. And what the kernel
/// has counted before a run: so one that was killed for memory is told.
const CHANGES: &str = r#"
alter table input add column until text;        -- the first later run that did not find it; null as long as it is read
alter table run add column oom_kills integer;   -- processes of this control group that were killed for memory before
delete from input where hash is null and archive is null and (run, source) not in (
    select max(run.id), input.source from run join input on input.run = run.id
    group by run.task, run.environment, run."window", input.source);
create index output_with_target on output (run) where target <> '';
create index input_that_is_read on input (source) where hash is null and archive is null and until is null;
"#;

/// Up to which value of its cursor a run reads a source.
const WATERMARKS: &str = "
create table watermark (
    run text not null references run (id) on delete cascade,
    source text not null,
    cursor text not null,           -- the column
    value text not null             -- its greatest value, as the server writes it
) strict;
create index watermark_of_source on watermark (source);
create index watermark_of_run on watermark (run);
";

/// The windows of tasks that are to be run, or were.
const JOBS: &str = r#"
create table job (
    task text not null,
    environment text not null,
    "window" text not null,
    starts text not null,           -- when the window begins: RFC 3339, UTC
    due text not null,              -- when it was due
    state text not null,            -- waiting, running, done, empty or dead
    attempts integer not null default 0,
    ready text not null,            -- when it may be taken
    message text,                   -- why it is in this state
    primary key (task, environment, "window")
) strict;
create index job_that_waits on job (task, environment, state, starts);
"#;

/// Which alerts were sent, and which keys are in trouble.
const ALERTS: &str = r#"
create table alert (
    alert text not null,            -- its name
    task text not null,
    environment text not null,
    event text not null,
    run text not null,              -- the run that it was about, or ''
    sent text,                      -- when: RFC 3339, UTC; null if it could not be sent
    suppressed integer not null,    -- how many were not sent since then
    primary key (alert, task, environment, event)
) strict;
create table trouble (
    task text not null,
    environment text not null,
    "window" text not null,         -- or ''
    kind text not null,             -- unsuccessful, late
    since text not null,            -- RFC 3339, UTC
    runs integer not null,          -- how many runs were without success
    primary key (task, environment, "window", kind)
) strict;
"#;

/// What metrics are made of: it stays when old runs are removed.
const COUNTERS: &str = r#"
create table counter (
    task text not null,
    environment text not null,
    name text not null,
    labels text not null,           -- JSON: the values of the labels
    value real not null,
    primary key (task, environment, name, labels)
) strict;
"#;

/// Which rejected records were judged again, and published.
const REPLAYS: &str = "
create table replayed (
    run text not null references run (id) on delete cascade,
    source text not null,
    path text not null,             -- the file, as `input` has it, and the member of an archive
    line integer not null           -- from 1
) strict;
create index replayed_of_source on replayed (source);
create index replayed_of_run on replayed (run);
";

/// Migrates the tables of a version to those of today.
pub(crate) fn migrate(t: &Transaction<'_>, version: i64) -> rusqlite::Result<()> {
    for step in STEPS.iter().skip(version as usize) {
        t.execute_batch(step)?;
    }
    t.pragma_update(None, "user_version", VERSION)
}
