//! `section4 show`

mod table;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use weir_postgres::Database;

use crate::chart::{self, Terminal};
use crate::history::{self, Histories, History};
use crate::{Result, output};

/// Default number of table rows.
const ROWS: usize = 7;
/// Default number of days in the chart, if there is space for them.
const DAYS: usize = 56;
/// Default width if the output is not a terminal.
const WIDTH: usize = 80;
/// Columns reserved for the numbers at the chart's axis.
const MARGIN: usize = 10;

/// Show countries' daily cases and their 7-day average from the table covid: the last days as a table and a chart.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Countries; case, accents and punctuation are ignored. By default all if there are at most five, otherwise the
    /// five with the most cases in the last four weeks.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    country: Vec<String>,
    /// Number of last days to show. By default 7 in the table, up to 56 in the terminal's chart, and all in the PNG.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    last: Option<u32>,
    /// Also draw the chart to this file, written atomically: 1200 by 600 pixels, up to twelve countries.
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    /// Database URL, with libpq's options: postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true, default_value = "")]
    database_url: String,
    /// How long to retry while the server cannot be reached: 30s, 2m.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "0s")]
    wait: Duration,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        let database = self.database_url.parse::<Database>()?.application_name("section4");
        let mut client = database.connect(self.wait).await?;
        // A picture without a limit has all days, but the terminal has space for fewer.
        let last = match self.png {
            Some(_) => self.last,
            None => self.last.or(u32::try_from(DAYS).ok()),
        };
        let histories = history::read(&database, &mut client, &self.country, last).await?;
        if let Some(path) = &self.png {
            output::replace(path, &chart::png(&histories.shown)?)?;
        }
        output::print(self.text(&histories, terminal()).as_bytes())
    }

    fn text(&self, histories: &Histories, terminal: Terminal) -> String {
        let mut parts: Vec<String> = histories.shown.iter().map(|history| self.country(history, terminal)).collect();
        if histories.others > 0 {
            let (countries, them) =
                if histories.others == 1 { ("country is", "it") } else { ("countries are", "them") };
            let others = chart::count(i64::try_from(histories.others).unwrap_or(i64::MAX));
            let more = format!("{others} more {countries} in the table: select {them} with --country");
            let words: Vec<String> = more.split(' ').map(str::to_owned).collect();
            parts.push(chart::wrap(&words, terminal.width, 1));
        }
        parts.join("\n")
    }

    fn country(&self, history: &History, terminal: Terminal) -> String {
        let of_last = |count: usize| &history.days[history.days.len().saturating_sub(count)..];
        let asked = self.last.and_then(|last| usize::try_from(last).ok());
        let rows = of_last(asked.unwrap_or(ROWS));
        let drawn = of_last(asked.unwrap_or_else(|| default_days(terminal.width)));
        let name = table::plain(&history.country);
        let name = if terminal.has_colours { format!("\x1b[1m{name}\x1b[0m") } else { name };
        format!("{name}\n{}\n{}", table::table(rows, terminal.width), terminal.chart(drawn))
    }
}

/// The default number of days in a chart of this width: up to a week less than [`DAYS`] if that makes all bars wider.
fn default_days(width: usize) -> usize {
    let room = width.saturating_sub(MARGIN);
    let columns_each = ((room + 7) / DAYS).clamp(1, 3);
    DAYS.min(room / columns_each)
}

/// Properties of standard output; the width comes from `COLUMNS` or else from the terminal.
fn terminal() -> Terminal {
    let is_terminal = std::io::stdout().is_terminal();
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|columns| *columns > 0);
    let is = || {
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
        Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
    };
    Terminal { width: said.or_else(is).unwrap_or(WIDTH), has_colours: is_terminal && !output::is_plain() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_default_a_chart_fills_the_terminal() {
        let widths = [40, 60, 80, 114, 115, 120, 200];
        assert_eq!(widths.map(default_days), [30, 50, 56, 56, 52, 55, 56]);
    }
}
