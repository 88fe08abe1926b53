//! PostgreSQL as a kind of server.

use async_trait::async_trait;
use weir_database::load::{Counts, Staged};
use weir_postgres::Database;
use weir_postgres::load::{self, Load};
use weir_postgres::tokio_postgres::Client;

use super::copy::{self, Encoding};
use crate::database::{Connector, SERVER_WAIT};
use crate::error::Result;
use crate::sink::table::{Server, Staging};
use crate::system::fault;

/// PostgreSQL.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Postgres;

#[async_trait]
impl Server for Postgres {
    const KEY: &'static str = "postgres";

    type Load = Load;
    type Session = (Database, Client);
    type Encode = Encoding;

    async fn connect(connector: &Connector, connection: &str) -> Result<Self::Session> {
        let database = connector.postgres(connection)?;
        let client = database.connect(SERVER_WAIT).await?;
        Ok((database, client))
    }

    async fn stage((database, client): Self::Session, load: &Load) -> Result<(Encoding, Staging)> {
        let statements = load.begin_staging(&database, &client).await?;
        fault::point("staging_made");
        Ok(copy::start(database, client, statements))
    }

    async fn deduplicate((database, client): &mut Self::Session, load: &Load, rows: u64) -> Result<Staged> {
        Ok(load.deduplicate(database, client, rows).await?)
    }

    async fn inspect((database, client): &mut Self::Session, load: &Load) -> Result<()> {
        load.inspect(database, client).await?;
        Ok(())
    }

    async fn is_applied((database, client): &mut Self::Session, load: &Load) -> Result<bool> {
        Ok(load.applied(database, client).await?.is_some())
    }

    async fn is_complete((database, client): &mut Self::Session, load: &Load, staged: Staged) -> Result<bool> {
        Ok(load.is_complete(database, client, staged).await?)
    }

    async fn discard((database, client): &mut Self::Session, load: &Load) -> Result<()> {
        Ok(load.discard(database, client).await?)
    }

    async fn begin((database, client): &mut Self::Session, loads: &[(&Load, Staged)]) -> Result<Vec<Counts>> {
        Ok(load::begin(database, client, loads).await?)
    }

    async fn commit((database, client): &mut Self::Session) -> Result<()> {
        Ok(load::commit(database, client).await?)
    }

    async fn roll_back((_, client): &mut Self::Session) {
        // Where the session is lost, so is its transaction.
        let _ = client.batch_execute("rollback").await;
    }
}
