//! Migrates a database to the newest schema.

use refinery::{Runner, Target};
use weir_postgres::Database;
use weir_postgres::tokio_postgres::{Client, error::SqlState};

use crate::{Error, Result};

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Advisory lock that serializes concurrent migrations.
const LOCK: i64 = 0x7365_6374_696f_6e32;

/// The newest version of the schema.
pub fn newest() -> i32 {
    versions(&runner()).max().unwrap_or(0)
}

/// Applies all missing migrations in one transaction; returns the applied ones.
pub async fn apply(database: &Database, client: &mut Client) -> Result<Vec<String>> {
    let failed = |error| database.statement_error(&error);
    client.execute("select pg_advisory_lock($1)", &[&LOCK]).await.map_err(failed)?;
    let applied = apply_alone(database, client).await;
    // At the latest, the lock ends with the session.
    let unlocked = client.execute("select pg_advisory_unlock($1)", &[&LOCK]).await.map_err(failed);
    let applied = applied?;
    unlocked?;
    Ok(applied)
}

async fn apply_alone(database: &Database, client: &mut Client) -> Result<Vec<String>> {
    refuse_newer(database, client).await?;
    let report = runner().set_grouped(true).run_async(client).await;
    let report = report.map_err(|error| broken(database, error))?;
    Ok(report.applied_migrations().iter().map(ToString::to_string).collect())
}

/// Fails unless a database has exactly the schema version of this program.
pub async fn check(database: &Database, client: &mut Client) -> Result<()> {
    refuse_newer(database, client).await?;
    let has = applied(database, client).await?.into_iter().max().unwrap_or(0);
    if has == newest() {
        return Ok(());
    }
    let message = format!("its schema has version {has}, but this program needs {}", newest());
    Err(Error::Schema { database: database.to_string(), message, help: "run `section2 migrate`".to_owned() })
}

async fn refuse_newer(database: &Database, client: &Client) -> Result<()> {
    let known = newest();
    match applied(database, client).await?.into_iter().max() {
        Some(newest) if newest > known => Err(Error::Schema {
            database: database.to_string(),
            message: format!("its schema has version {newest}, but this program supports at most {known}"),
            help: "use a newer section2: an older one could violate assumptions of the newer schema".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// The applied versions.
async fn applied(database: &Database, client: &Client) -> Result<Vec<i32>> {
    match client.query("select version from refinery_schema_history", &[]).await {
        Ok(rows) => Ok(rows.iter().map(|row| row.get(0)).collect()),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(vec![]),
        Err(error) => Err(database.statement_error(&error).into()),
    }
}

fn broken(database: &Database, error: refinery::Error) -> Error {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    let help = "nothing was changed; migrations need a user who may create tables and roles (CREATEROLE)".to_owned();
    Error::Schema { database: database.to_string(), message, help }
}

fn runner() -> Runner {
    embedded::migrations::runner().set_target(Target::Latest)
}

fn versions(runner: &Runner) -> impl Iterator<Item = i32> + use<'_> {
    runner.get_migrations().iter().map(|migration| migration.version())
}
