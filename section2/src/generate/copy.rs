//! Rows in the binary format of COPY, generated on a separate thread while the server receives earlier ones.

use std::panic::resume_unwind;
use std::pin::pin;

use bytes::{BufMut, Bytes, BytesMut};
use futures::SinkExt;
use tokio::sync::mpsc;
use weir_postgres::tokio_postgres::{Error, Transaction};

/// The rows are not received any more: the connection broke, or the server refused one.
#[derive(Debug)]
pub(super) struct Stopped;

/// Copies the rows that `write` generates; `progress` gets the number of rows sent since its last call. Returns the
/// number of rows.
pub(super) async fn copy(
    transaction: &Transaction<'_>,
    target: &str,
    progress: &impl Fn(u64),
    write: impl FnOnce(&mut Rows) -> Result<(), Stopped> + Send + 'static,
) -> Result<u64, Error> {
    /// Maximum number of chunks in the queue.
    const AHEAD: usize = 4;
    let sink = transaction.copy_in::<_, Bytes>(&format!("copy {target} from stdin (format binary)")).await?;
    let mut sink = pin!(sink);
    let (sender, mut pieces) = mpsc::channel(AHEAD);
    let maker = tokio::task::spawn_blocking(move || {
        let mut rows = Rows::new(sender);
        write(&mut rows).and_then(|()| rows.end())
    });
    let mut copied = 0;
    while let Some(Piece { bytes, rows }) = pieces.recv().await {
        sink.send(bytes).await?;
        copied += rows;
        progress(rows);
    }
    // Without the trailer the server discards everything, so a panic half-way cannot look complete.
    if let Err(error) = maker.await {
        resume_unwind(error.into_panic());
    }
    sink.finish().await?;
    Ok(copied)
}

struct Piece {
    bytes: Bytes,
    rows: u64,
}

/// Rows on their way to the server: call `row` first, then write its values in the order of the columns.
pub(super) struct Rows {
    sender: mpsc::Sender<Piece>,
    bytes: BytesMut,
    rows: u64,
}

const DAYS_TO_2000: i32 = 10_957;
const MICROSECONDS_TO_2000: i64 = DAYS_TO_2000 as i64 * 86_400_000_000;

impl Rows {
    const PIECE: usize = 128 << 10;
    const ROOM_FOR_A_ROW: usize = 4 << 10;

    fn new(sender: mpsc::Sender<Piece>) -> Self {
        let mut rows = Self { sender, bytes: Self::room(), rows: 0 };
        rows.bytes.put_slice(b"PGCOPY\n\xff\r\n\0");
        // No flags, and no header extension.
        rows.bytes.put_u64(0);
        rows
    }

    fn room() -> BytesMut {
        BytesMut::with_capacity(Self::PIECE + Self::ROOM_FOR_A_ROW)
    }

    fn end(mut self) -> Result<(), Stopped> {
        self.bytes.put_i16(-1);
        self.hand_over()
    }

    fn hand_over(&mut self) -> Result<(), Stopped> {
        let bytes = std::mem::replace(&mut self.bytes, Self::room()).freeze();
        let rows = std::mem::take(&mut self.rows);
        self.sender.blocking_send(Piece { bytes, rows }).map_err(|_| Stopped)
    }

    pub(super) fn row(&mut self, columns: i16) -> Result<(), Stopped> {
        if self.bytes.len() >= Self::PIECE {
            self.hand_over()?;
        }
        self.rows += 1;
        self.bytes.put_i16(columns);
        Ok(())
    }

    pub(super) fn bigint(&mut self, value: i64) {
        self.bytes.put_i32(8);
        self.bytes.put_i64(value);
    }

    pub(super) fn integer(&mut self, value: i32) {
        self.bytes.put_i32(4);
        self.bytes.put_i32(value);
    }

    pub(super) fn text(&mut self, value: &str) {
        self.bytes.put_i32(value.len() as i32);
        self.bytes.put_slice(value.as_bytes());
    }

    /// A date, as days since 1970-01-01.
    pub(super) fn date(&mut self, days: i32) {
        self.integer(days - DAYS_TO_2000);
    }

    /// A point in time, as microseconds since 1970-01-01.
    pub(super) fn time(&mut self, microseconds: Option<i64>) {
        match microseconds {
            Some(microseconds) => self.bigint(microseconds - MICROSECONDS_TO_2000),
            None => self.bytes.put_i32(-1),
        }
    }

    /// A numeric with `SCALE` decimals, from 0 to 4, as a multiple of its last decimal.
    ///
    /// The server expects base-10,000 digits, the number of digits before the decimal point minus one, and the number
    /// of displayed decimals.
    pub(super) fn numeric<const SCALE: u32>(&mut self, value: i64) {
        const BASE: u64 = 10_000;
        let scaled = const { 10_u64.pow(SCALE) };
        let (mut whole, decimals) = (value.unsigned_abs() / scaled, value.unsigned_abs() % scaled);
        // The digits from the last to the first.
        let mut digits = [0_i16; 6];
        digits[0] = (decimals * (BASE / scaled)) as i16;
        let mut count = 1;
        while whole > 0 {
            digits[count] = (whole % BASE) as i16;
            whole /= BASE;
            count += 1;
        }
        self.bytes.put_i32(8 + 2 * count as i32);
        self.bytes.put_i16(count as i16);
        self.bytes.put_i16(count as i16 - 2);
        self.bytes.put_u16(if value < 0 { 0x4000 } else { 0 });
        self.bytes.put_u16(SCALE as u16);
        digits[..count].iter().rev().for_each(|&digit| self.bytes.put_i16(digit));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use weir_postgres::Database;
    use weir_postgres_testing::Cluster;

    use super::super::random::Random;
    use super::*;

    const TABLE: &str = "
        create temporary table value (
            line bigint, big bigint, small integer, text text, date date, time timestamptz, cents numeric, grams numeric
        )";

    /// Reference implementation: a decimal with `scale` digits after the point.
    fn decimal(value: i64, scale: usize) -> String {
        let digits = format!("{:0width$}", value.unsigned_abs(), width = scale + 1);
        let (whole, decimals) = digits.split_at(digits.len() - scale);
        format!("{}{whole}.{decimals}", if value < 0 { "-" } else { "" })
    }

    /// Integers of every size, and those around the powers of ten.
    fn numbers() -> Vec<i64> {
        let mut random = Random::new(1, 0);
        let mut numbers = vec![0, i64::MAX, i64::MIN];
        for power in 0..19 {
            let power = 10_i64.pow(power);
            numbers.extend([power - 1, power, power + 1, -power]);
        }
        numbers.extend((0..2000).map(|_| random.below(u64::MAX) as i64 >> random.below(63)));
        numbers
    }

    #[tokio::test]
    async fn the_server_reads_what_was_written() {
        let database: Database = Cluster::shared().database().parse().unwrap();
        let mut client = database.connect(Duration::ZERO).await.unwrap();
        let transaction = client.transaction().await.unwrap();
        transaction.batch_execute(TABLE).await.unwrap();
        let numbers = numbers();
        let given = numbers.clone();
        let day = |number: i64| (number % 500_000) as i32;
        let time = |number: i64| (number % 3 != 0).then_some(number % 100_000_000_000_000_000);
        let copied = copy(&transaction, "value", &|_| (), move |rows| {
            for (line, &number) in given.iter().enumerate() {
                rows.row(8)?;
                rows.bigint(line as i64);
                rows.bigint(number);
                rows.integer(number as i32);
                rows.text(&"ë".repeat(line % 5));
                rows.date(day(number));
                rows.time(time(number));
                rows.numeric::<2>(number);
                rows.numeric::<3>(number);
            }
            Ok(())
        });
        assert_eq!(copied.await.unwrap(), numbers.len() as u64);
        let query = "select big, small, text, date - date '1970-01-01', cents::text, grams::text,
                (extract(epoch from time) * 1000000)::bigint
            from value order by line";
        let rows = transaction.query(query, &[]).await.unwrap();
        assert_eq!(rows.len(), numbers.len());
        for (line, (row, &number)) in rows.iter().zip(&numbers).enumerate() {
            assert_eq!((row.get::<_, i64>(0), row.get::<_, i32>(1)), (number, number as i32));
            assert_eq!(row.get::<_, String>(2), "ë".repeat(line % 5));
            assert_eq!(row.get::<_, i32>(3), day(number));
            assert_eq!((row.get(4), row.get(5)), (decimal(number, 2), decimal(number, 3)));
            assert_eq!(row.get::<_, Option<i64>>(6), time(number));
        }
    }

    #[tokio::test]
    async fn a_row_that_the_server_refuses_is_an_error() {
        let database: Database = Cluster::shared().database().parse().unwrap();
        let mut client = database.connect(Duration::ZERO).await.unwrap();
        let transaction = client.transaction().await.unwrap();
        transaction
            .batch_execute("create temporary table value (positive integer check (positive > 0))")
            .await
            .unwrap();
        let refused = copy(&transaction, "value", &|_| (), |rows| {
            for number in (0..100_000).rev() {
                rows.row(1)?;
                rows.integer(number);
            }
            Ok(())
        });
        let error = refused.await.unwrap_err();
        assert!(error.as_db_error().is_some_and(|error| error.message().contains("check constraint")), "{error}");
    }

    #[tokio::test]
    async fn a_broken_connection_stops_the_generator() {
        let database: Database = Cluster::shared().database().parse().unwrap();
        let mut client = database.connect(Duration::ZERO).await.unwrap();
        let other = database.connect(Duration::ZERO).await.unwrap();
        let transaction = client.transaction().await.unwrap();
        let me: i32 = transaction.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
        transaction.batch_execute("create temporary table value (number integer)").await.unwrap();
        let endless = copy(&transaction, "value", &|_| (), |rows| {
            loop {
                rows.row(1)?;
                rows.integer(1);
            }
        });
        let broken = async { other.execute("select pg_terminate_backend($1)", &[&me]).await };
        let (copied, broken) = tokio::join!(endless, broken);
        copied.unwrap_err();
        broken.unwrap();
    }
}
