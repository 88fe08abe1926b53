//! One column: what is kept of its values, and its profile.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};

use super::fixed::{Fixed, Line};
use super::frequent::Frequent;
use super::histogram::{Bins, Scale};
use super::kind::{self, Kind};
use super::result::{ColumnProfile, HistogramProfile, LineProfile, Quantile, TextProfile, TopValue, TopValues};
use super::shown::ShownValues;
use super::text::Texts;
use super::{ProfiledColumn, warning};
use crate::task::SqlType;

/// The number of values and of patterns that are shown.
const TOP: usize = 10;

/// The share of values in one bin from which a histogram of the others is shown, too.
const MOST_IN_ONE: f64 = 0.6;

/// The shares of values up to a quantile.
const SHARES: [f64; 7] = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99];

/// What is known of a column so far.
#[derive(Debug)]
pub(super) struct ColumnProfiler {
    sql_type: SqlType,
    nulls: u64,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Fixed(Box<Fixed>),
    Texts(Box<Texts>),
    Unprofiled,
}

impl ColumnProfiler {
    pub(super) fn new(sql_type: SqlType) -> Self {
        let values = match Kind::of(sql_type) {
            Kind::Number { .. } | Kind::Time | Kind::Boolean => Values::Fixed(Box::new(Fixed::new(sql_type))),
            Kind::Text => Values::Texts(Box::new(Texts::new(sql_type == SqlType::String))),
            Kind::Unprofiled => Values::Unprofiled,
        };
        Self { sql_type, nulls: 0, values }
    }

    pub(super) fn kind(&self) -> Kind {
        Kind::of(self.sql_type)
    }

    pub(super) fn update(&mut self, values: &ArrayRef, places: Option<&[f64]>) {
        self.nulls += values.null_count() as u64;
        match (&mut self.values, places) {
            (Values::Fixed(fixed), Some(places)) => fixed.update(values, places),
            (Values::Texts(texts), _) => texts.update(values.as_string_view()),
            _ => {}
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.nulls += other.nulls;
        match (&mut self.values, other.values) {
            (Values::Fixed(fixed), Values::Fixed(other)) => fixed.merge(*other),
            (Values::Texts(texts), Values::Texts(other)) => texts.merge(*other),
            _ => {}
        }
    }

    pub(super) fn finish(&self, column: &ProfiledColumn, rows: u64, shown: &ShownValues) -> ColumnProfile {
        let shows_values = shown.of(&column.name);
        let mut profile = ColumnProfile {
            name: column.name.clone(),
            sql_type: column.sql_type.to_string(),
            kind: self.kind(),
            rows,
            nulls: self.nulls,
            shows_values,
            distinct: None,
            min: None,
            max: None,
            line: None,
            texts: None,
            top: None,
            warnings: vec![],
        };
        match &self.values {
            Values::Fixed(fixed) => self.finish_fixed(fixed, &mut profile),
            Values::Texts(texts) => self.finish_texts(texts, &mut profile),
            Values::Unprofiled => {}
        }
        let texts = match &self.values {
            Values::Texts(texts) => Some(&**texts),
            _ => None,
        };
        profile.warnings = warning::of(&profile, self.sql_type, texts);
        profile
    }

    fn finish_fixed(&self, fixed: &Fixed, profile: &mut ColumnProfile) {
        let sql_type = self.sql_type;
        profile.distinct = Some(fixed.distinct.count(profile.values()));
        if let Some([(_, least), (_, most)]) = fixed.range {
            (profile.min, profile.max) = (Some(kind::text(sql_type, least)), Some(kind::text(sql_type, most)));
        }
        profile.line = fixed.line.as_ref().and_then(|line| self.line(line, profile.values()));
        profile.top = profile.shows_values.then(|| top(&fixed.frequent, |key| kind::text(sql_type, *key)));
    }

    fn line(&self, line: &Line, values: u64) -> Option<LineProfile> {
        let text = |place: f64| kind::text_at(self.sql_type, place);
        let quantiles = line.quantiles.at(&SHARES)?;
        let is_number = matches!(self.kind(), Kind::Number { .. });
        let measure = |measure: Option<f64>| measure.filter(|_| is_number);
        let bins = line.histogram.bins();
        let histogram =
            |bins: Bins| HistogramProfile { edges: bins.limits.iter().map(|limit| text(*limit)).collect(), bins };
        let middle = bins
            .as_ref()
            .filter(|bins| is_in_one_bin(bins))
            .and_then(|_| middle(self.sql_type, line, &quantiles, values));
        Some(LineProfile {
            mean: text_of_mean(self.sql_type, line.moments.mean()?),
            standard_deviation: measure(line.moments.deviation()),
            zeros: is_number.then_some(line.zeros),
            negatives: is_number.then_some(line.negatives),
            not_finite: line.not_finite,
            quantiles: SHARES
                .iter()
                .zip(&quantiles)
                .map(|(share, at)| Quantile { share: *share, value: text(*at) })
                .collect(),
            rank_error: line.quantiles.rank_error(),
            outliers: outliers(line, &quantiles, values),
            histogram: bins.map(histogram),
            middle: middle.map(histogram),
        })
    }

    fn finish_texts(&self, texts: &Texts, profile: &mut ColumnProfile) {
        let values = profile.values();
        profile.distinct = Some(texts.distinct.count(values));
        let shown = |text: &String| profile.shows_values.then(|| text.clone());
        if let Some([least, most]) = &texts.range {
            (profile.min, profile.max) = (shown(least), shown(most));
        }
        if let Some([(shortest, short), (longest, long)]) = &texts.lengths {
            profile.texts = Some(TextProfile {
                shortest: *shortest,
                longest: *longest,
                mean_length: texts.characters as f64 / values as f64,
                shortest_text: shown(short),
                longest_text: shown(long),
                empty: texts.empty,
                with_blanks: texts.blanks,
                patterns: (self.sql_type == SqlType::String).then(|| top(&texts.patterns, String::clone)),
            });
        }
        profile.top = profile.shows_values.then(|| top(&texts.frequent, String::clone));
    }
}

/// The most frequent values, as texts.
fn top<T: Clone + Ord + std::hash::Hash>(frequent: &Frequent<T>, text: impl Fn(&T) -> String) -> TopValues {
    let top = frequent.all().first(TOP);
    let values = top.values.iter().map(|(value, count)| TopValue { value: text(value), count: *count });
    TopValues { values: values.collect(), error: top.error }
}

/// Whether a histogram shows little more than that there are outliers.
fn is_in_one_bin(bins: &Bins) -> bool {
    let (most, all) = (bins.counts.iter().max().copied().unwrap_or(0), bins.counts.iter().sum::<u64>());
    bins.counts.len() > 2 && most as f64 > MOST_IN_ONE * all as f64
}

/// A histogram of the values from the first to the last hundredth, if they differ.
fn middle(sql_type: SqlType, line: &Line, quantiles: &[f64], values: u64) -> Option<Bins> {
    let (first, last) = (quantiles[0], quantiles[6]);
    let limits = Scale::of(sql_type).limits(first, last).filter(|_| last > first)?;
    let shares = line.quantiles.between(&limits)?;
    let counts = shares.iter().map(|share| (share * values as f64).round() as u64).collect();
    Some(Bins { limits, counts })
}

/// A mean of whole numbers may be none.
fn text_of_mean(sql_type: SqlType, mean: f64) -> String {
    match Kind::of(sql_type) {
        Kind::Number { .. } => kind::number(mean),
        _ => kind::text_at(sql_type, mean.round()),
    }
}

/// The number of values that are further from the middle half than one and a half times its width; none if that is zero.
fn outliers(line: &Line, quantiles: &[f64], values: u64) -> Option<u64> {
    let (first, third) = (quantiles[2], quantiles[4]);
    let fence = 1.5 * (third - first);
    if fence <= 0.0 {
        return None;
    }
    let (below, above) = line.quantiles.outside(first - fence, third + fence)?;
    Some(((below + above) * values as f64).round() as u64)
}
