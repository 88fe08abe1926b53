//! `section2 generate`

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use chrono::{Datelike, NaiveDate};
use clap::builder::TypedValueParser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Server;
use crate::Result;
use crate::generate::{Generate, ITEMS, Progress, generate};

/// Generate members, items, orders and payments, as skewed as real ones. Existing rows stay, and existing members order
/// too. One transaction.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Members to add; with 0, only existing members order.
    #[arg(long, value_name = "N", default_value = "10000", allow_negative_numbers = true,
        value_parser = up_to(20_000_000))]
    members: u64,
    /// Orders to add, with 3 items on average, spread over all members.
    #[arg(long, value_name = "N", default_value = "30000", allow_negative_numbers = true,
        value_parser = up_to(1_000_000_000))]
    orders: u64,
    /// Items to add [default: 1000, or none if there are items for sale]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = up_to(1_000_000))]
    items: Option<u64>,
    /// Seed of the random numbers; the same seed gives the same rows.
    #[arg(long, value_name = "S", default_value = "1", allow_negative_numbers = true, value_parser = up_to(u64::MAX))]
    seed: u64,
    /// The day after the last order; orders begin three years before.
    #[arg(long, value_name = "DATE", default_value = "2026-01-01", value_parser = day)]
    until: NaiveDate,
}

impl Arguments {
    pub(super) async fn run(self, server: &Server) -> Result<()> {
        let (database, mut client) = server.connect_migrated().await?;
        let started = Instant::now();
        let Self { members, orders, items, seed, until } = self;
        let bar = bar(members + items.unwrap_or(ITEMS) + orders * ROWS_PER_ORDER);
        let what = Generate { members, orders, items, seed, until };
        let generated = generate(&database, &mut client, &what, |progress| match progress {
            Progress::Rows(rows) => bar.inc(rows),
            Progress::Summaries => {
                bar.set_style(style("{spinner} summing up"));
                bar.enable_steady_tick(Duration::from_millis(100));
            }
        });
        let generated = generated.await;
        bar.finish_and_clear();
        println!("{database}: {} in {:.1} s", generated?, started.elapsed().as_secs_f64());
        Ok(())
    }
}

/// Approximate rows per order: the order, its lines and payments.
const ROWS_PER_ORDER: u64 = 5;

/// A progress bar on a terminal; hidden otherwise.
fn bar(rows: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(rows), ProgressDrawTarget::hidden());
    if std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::stderr());
    }
    bar.set_style(style("{wide_bar} {percent:>3}%  {human_pos} rows  {eta} left"));
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Parses a number with an upper limit, above which rows would not fit in memory or on disk.
fn up_to(most: u64) -> impl TypedValueParser<Value = u64> {
    let parse = move |text: &str| text.parse().ok().filter(|&number| number <= most);
    move |text: &str| parse(text).ok_or_else(|| format!("must be a whole number from 0 to {most}"))
}

/// Parses a day in the range that the server supports, including the years around it.
fn day(text: &str) -> Result<NaiveDate, String> {
    let day: NaiveDate = text.parse().map_err(|_| "must be a date such as 2026-01-01".to_owned())?;
    if !(1900..=9999).contains(&day.year()) {
        return Err("the year must be from 1900 to 9999".to_owned());
    }
    Ok(day)
}
