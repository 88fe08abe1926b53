//! MySQL as a kind of server.

use async_trait::async_trait;
use weir_database::load::{Counts, Staged};
use weir_mysql::Session;
use weir_mysql::load::{self, Load};

use super::encode::LoadData;
use crate::database::{Connector, SERVER_WAIT};
use crate::error::Result;
use crate::sink::table::{Server, Staging};
use crate::system::fault;

/// MySQL or MariaDB.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MySql;

#[async_trait]
impl Server for MySql {
    const KEY: &'static str = "mysql";

    type Load = Load;
    type Session = Session;
    type Encode = LoadData;

    async fn connect(connector: &Connector, connection: &str) -> Result<Session> {
        Ok(connector.mysql(connection)?.connect(SERVER_WAIT).await?)
    }

    async fn stage(mut session: Session, load: &Load) -> Result<(LoadData, Staging)> {
        load.create_staging(&mut session).await?;
        fault::point("staging_made");
        let load = load.clone();
        let staging = Staging::start(move |rows| async move {
            let rows = load.load_rows(&mut session, rows).await?;
            session.end().await;
            Ok(rows)
        });
        Ok((LoadData, staging))
    }

    async fn deduplicate(session: &mut Session, load: &Load, rows: u64) -> Result<Staged> {
        Ok(load.deduplicate(session, rows).await?)
    }

    async fn inspect(session: &mut Session, load: &Load) -> Result<()> {
        load.inspect(session).await?;
        Ok(())
    }

    async fn is_applied(session: &mut Session, load: &Load) -> Result<bool> {
        Ok(load.applied(session).await?.is_some())
    }

    async fn is_complete(session: &mut Session, load: &Load, staged: Staged) -> Result<bool> {
        Ok(load.is_complete(session, staged).await?)
    }

    async fn discard(session: &mut Session, load: &Load) -> Result<()> {
        Ok(load.discard(session).await?)
    }

    async fn begin(session: &mut Session, loads: &[(&Load, Staged)]) -> Result<Vec<Counts>> {
        Ok(load::begin(session, loads).await?)
    }

    async fn commit(session: &mut Session) -> Result<()> {
        Ok(load::commit(session).await?)
    }

    async fn release(session: &mut Session, loads: &[&Load]) -> Result<()> {
        Ok(load::release(session, loads).await?)
    }

    async fn roll_back(session: &mut Session) {
        load::roll_back(session).await;
    }
}
