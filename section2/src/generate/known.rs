//! Existing rows of the database, and its free keys.

use std::collections::HashSet;
use std::pin::pin;

use futures::TryStreamExt;
use weir_postgres::Database;
use weir_postgres::tokio_postgres::types::ToSql;
use weir_postgres::tokio_postgres::{Error as ServerError, Transaction};

use super::items::Item;
use super::{Generate, Generated};
use crate::{Error, Result};

/// Existing rows of the database.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) members: Vec<i64>,
    /// Those for sale.
    pub(super) items: Vec<Item>,
    pub(super) manufacturers: HashSet<String>,
    pub(super) orders: u64,
    pub(super) first: FirstKeys,
}

/// The first free keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct FirstKeys {
    pub(super) member: i64,
    pub(super) manufacturer: i64,
    pub(super) item: i64,
    pub(super) order: i64,
    pub(super) payment: i64,
}

impl Known {
    pub(super) async fn read(transaction: &Transaction<'_>) -> Result<Self, ServerError> {
        let no_parameters: [&dyn ToSql; 0] = [];
        let members = transaction.query_raw("select member_id from member order by member_id", no_parameters).await?;
        let mut members = pin!(members);
        let mut keys = vec![];
        while let Some(row) = members.try_next().await? {
            keys.push(row.get(0));
        }
        let items = "select item_id, (cost * 100)::bigint, (weight_kg * 1000)::bigint from item
            where retired_at is null order by item_id";
        // The time at which an existing item was added to the database says nothing about its sales.
        let items = transaction.query(items, &[]).await?.into_iter().map(|row| Item {
            key: row.get(0),
            cost: row.get(1),
            weight: row.get(2),
            added: i64::MIN,
            retired: None,
        });
        let items = items.collect();
        let manufacturers = transaction.query("select name from manufacturer", &[]).await?;
        let manufacturers = manufacturers.iter().map(|row| row.get(0)).collect();
        let orders: i64 = transaction.query_one("select count(*) from orders", &[]).await?.get(0);
        let first = FirstKeys {
            member: first_key(transaction, "member", "member_id").await?,
            manufacturer: first_key(transaction, "manufacturer", "manufacturer_id").await?,
            item: first_key(transaction, "item", "item_id").await?,
            order: first_key(transaction, "orders", "order_id").await?,
            payment: first_key(transaction, "txn", "txn_id").await?,
        };
        Ok(Self { members: keys, items, manufacturers, orders: orders as u64, first })
    }

    pub(super) fn check(&self, database: &Database, what: &Generate) -> Result<()> {
        let nothing = |message: &str, help: &str| {
            Err(Error::Nothing { database: database.to_string(), message: message.to_owned(), help: help.to_owned() })
        };
        if what.orders == 0 {
            return Ok(());
        }
        if self.members.is_empty() && what.members == 0 {
            return nothing(
                "there are no members who could order",
                "generate some with `--members`, or import section 1's with `section2 import-members`",
            );
        }
        if self.items.is_empty() && what.items == Some(0) {
            return nothing("there are no items for sale", "generate some with `--items`");
        }
        Ok(())
    }
}

/// The key after the last used one, even if its row was deleted.
async fn first_key(transaction: &Transaction<'_>, table: &str, column: &str) -> Result<i64, ServerError> {
    let query = format!(
        "select 1 + greatest(
            (select max({column}) from {table}),
            pg_sequence_last_value(pg_get_serial_sequence('{table}', '{column}')),
            0
        )"
    );
    Ok(transaction.query_one(&query, &[]).await?.get(0))
}

/// Advances the sequences past the written keys.
pub(super) async fn advance(
    transaction: &Transaction<'_>,
    first: FirstKeys,
    added: &Generated,
) -> Result<(), ServerError> {
    let keys = [
        ("member", "member_id", first.member, added.members),
        ("manufacturer", "manufacturer_id", first.manufacturer, added.manufacturers),
        ("item", "item_id", first.item, added.items),
        ("orders", "order_id", first.order, added.orders),
        ("txn", "txn_id", first.payment, added.payments),
    ];
    for (table, column, first, count) in keys {
        if count > 0 {
            let query = format!("select setval(pg_get_serial_sequence('{table}', '{column}'), $1)");
            transaction.query_one(&query, &[&(first + count as i64 - 1)]).await?;
        }
    }
    Ok(())
}
