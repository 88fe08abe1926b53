//! Tables, views and queries of a MySQL or MariaDB database.
//!
//! A server cannot give its snapshot to another session, so one session reads all of a run: `serve` owns it, and answers one
//! request after the other; `snapshot` is its address; `answer` is the stream of a query's rows. `kind` has the types of
//! columns, `catalogue` looks them up, `reading` maps them to the declared ones; `constant` and `query` write values in SQL;
//! `describe` is for `init`.

mod answer;
mod catalogue;
mod constant;
mod describe;
mod kind;
mod query;
mod reading;
mod serve;
mod snapshot;

pub(super) use describe::describe;
pub(super) use reading::Times;
pub(super) use snapshot::MysqlSnapshot;
