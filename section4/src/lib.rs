//! COVID-19 pipeline: confirmed cases by country from public APIs into PostgreSQL.
//!
//! [`source`] supports four services and their formats, and converts each response to [`Series`] of [`Measurement`]s,
//! with [`Warning`]s about suspicious data. [`fetch`] is the HTTP client, and [`mock`] a server that gives such
//! responses without internet access. [`cases`] is the fetcher of the engine's task. `history` reads the loaded table,
//! and `chart` draws it. [`command`] is the command line.
//!
//! ```no_run
//! use section4::source::{Countries, Request, Source};
//! use section4::fetch::{Client, Settings};
//!
//! # async fn singapore() -> section4::Result<()> {
//! let client = Client::new(Settings::default())?;
//! let request = Request::new(Source::DiseaseSh, None, Countries::Named(vec!["Singapore".to_owned()]))?;
//! for series in request.send(&client).await? {
//!     println!("{}: {} days", series.country, series.measurements.len());
//! }
//! # Ok(())
//! # }
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod cases;
mod chart;
pub mod command;
mod country;
mod error;
pub mod fetch;
mod history;
pub mod mock;
mod output;
mod series;
pub mod source;
mod value;
mod warning;

pub use error::{Error, Result};
pub use series::{Days, Measurement, Series};
pub use warning::{Warning, What};
