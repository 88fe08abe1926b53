//! COVID-19: the confirmed cases of a country from a public API.
//!
//! [`source`] knows four services and their formats, and makes of each answer the same thing: a [`Series`] of
//! [`Measurement`]s, with a [`Warning`] for everything in it that a reader should know. [`fetch`] is how an answer comes
//! over the network, and [`mock`] a server that gives such answers without the internet. [`cases`] is what a task of the
//! engine sees of it. `history` reads what was loaded into PostgreSQL, and `chart` draws it. [`command`] is the command
//! line.
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
