//! The profile, as users see it: its form in JSON is part of the documentation of `weir profile`.
//!
//! Values are texts in the canonical form of their types; counts and measures are numbers.

use serde::Serialize;

use super::correlation::CorrelationProfile;
use super::distinct::DistinctCount;
use super::histogram::Bins;
use super::kind::Kind;
use super::target::TargetProfile;
use super::warning::Warning;

/// The profile of a table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Profile {
    /// The number of rows.
    pub(crate) rows: u64,
    pub(crate) columns: Vec<ColumnProfile>,
    /// The correlations of its columns of numbers; none if there are fewer than two.
    pub(crate) correlations: Option<CorrelationProfile>,
    /// Its columns, compared with the target.
    pub(crate) target: Option<TargetProfile>,
}

/// The profile of a column.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ColumnProfile {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) sql_type: String,
    #[serde(serialize_with = "kind")]
    pub(crate) kind: Kind,
    pub(crate) rows: u64,
    pub(crate) nulls: u64,
    /// Whether it shows values.
    pub(crate) shows_values: bool,
    pub(crate) distinct: Option<DistinctCount>,
    /// The least value; of texts in the order of their bytes.
    pub(crate) min: Option<String>,
    pub(crate) max: Option<String>,
    /// Of numbers and times.
    #[serde(rename = "distribution")]
    pub(crate) line: Option<LineProfile>,
    pub(crate) texts: Option<TextProfile>,
    pub(crate) top: Option<TopValues>,
    pub(crate) warnings: Vec<Warning>,
}

/// How numbers or times are distributed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LineProfile {
    pub(crate) mean: String,
    pub(crate) standard_deviation: Option<f64>,
    pub(crate) zeros: Option<u64>,
    pub(crate) negatives: Option<u64>,
    /// Infinite values, and those that are no number: nothing else counts them.
    pub(crate) not_finite: u64,
    pub(crate) quantiles: Vec<Quantile>,
    /// By how much the share of a quantile may be off, with a probability of 99 %.
    pub(crate) rank_error: f64,
    /// Values that are further from the quartiles than one and a half times the distance of these.
    pub(crate) outliers: Option<u64>,
    pub(crate) histogram: Option<HistogramProfile>,
    /// The same of the values from the first to the last hundredth, if most values are in one bin of the other: estimated,
    /// with the error of the quantiles.
    pub(crate) middle: Option<HistogramProfile>,
}

/// The least value that a share of all values does not exceed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Quantile {
    pub(crate) share: f64,
    pub(crate) value: String,
}

/// Counts of values in bins of equal width; a bin has its lower edge, not its upper one.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HistogramProfile {
    /// One more than there are bins.
    pub(crate) edges: Vec<String>,
    #[serde(flatten, serialize_with = "counts")]
    pub(crate) bins: Bins,
}

/// The lengths and patterns of texts.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TextProfile {
    /// Characters of the shortest text.
    pub(crate) shortest: u64,
    pub(crate) longest: u64,
    pub(crate) mean_length: f64,
    pub(crate) shortest_text: Option<String>,
    pub(crate) longest_text: Option<String>,
    pub(crate) empty: u64,
    pub(crate) with_blanks: u64,
    pub(crate) patterns: Option<TopValues>,
}

/// The most frequent values: each occurs at least as often as its count says, and at most `error` times more.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TopValues {
    pub(crate) values: Vec<TopValue>,
    pub(crate) error: u64,
}

/// A value that is frequent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TopValue {
    pub(crate) value: String,
    pub(crate) count: u64,
}

impl ColumnProfile {
    /// The number of values that are not null.
    pub(crate) fn values(&self) -> u64 {
        self.rows - self.nulls
    }

    /// The share of nulls.
    pub(crate) fn null_share(&self) -> f64 {
        if self.rows == 0 { 0.0 } else { self.nulls as f64 / self.rows as f64 }
    }
}

fn kind<S: serde::Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match kind {
        Kind::Number { .. } => "number",
        Kind::Time => "time",
        Kind::Boolean => "boolean",
        Kind::Text => "text",
        Kind::Unprofiled => "unprofiled",
    })
}

fn counts<S: serde::Serializer>(bins: &Bins, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map([("counts", &bins.counts)])
}
