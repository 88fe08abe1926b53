//! Histograms, as SVG in the units of a narrow screen.

use weir_page::{escape, thousands};

use crate::profile::HistogramProfile;

const WIDTH: f64 = 320.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 124.0;
const HEIGHT: f64 = 148.0;

/// A histogram with the edges of its range.
pub(super) fn histogram(name: &str, histogram: &HistogramProfile) -> String {
    let counts = &histogram.bins.counts;
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let (first, last) = (histogram.edges.first(), histogram.edges.last());
    let (first, last) = (first.map_or("", String::as_str), last.map_or("", String::as_str));
    let width = WIDTH / counts.len().max(1) as f64;
    let gap = if width > 4.0 { 1.0 } else { 0.0 };
    let bar = |(at, count): (usize, &u64)| {
        let height = (*count as f64 / most as f64 * (BOTTOM - TOP)).max(if *count > 0 { 1.0 } else { 0.0 });
        let bin = histogram.edges[at..].iter().take(2).map(|edge| escape(edge)).collect::<Vec<_>>().join(" to ");
        format!(
            "<rect class=\"bar\" opacity=\"1\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>{bin}: {}</title></rect>\n",
            at as f64 * width,
            BOTTOM - height,
            width - gap,
            thousands(*count)
        )
    };
    let bars: String = counts.iter().enumerate().filter(|(_, count)| **count > 0).map(bar).collect();
    let label = format!(
        "Histogram of {name}: {} bins from {first} to {last}, with up to {} values each",
        counts.len(),
        thousands(most)
    );
    format!(
        "<svg role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" xmlns=\"http://www.w3.org/2000/svg\">\n\
         <line x1=\"0\" y1=\"{BOTTOM}\" x2=\"{WIDTH}\" y2=\"{BOTTOM}\"/>\n{bars}\
         <text x=\"0\" y=\"12\" font-size=\"12\">up to {} values in a bin</text>\n\
         <text x=\"0\" y=\"142\" font-size=\"12\">{}</text>\n\
         <text x=\"{WIDTH}\" y=\"142\" font-size=\"12\" text-anchor=\"end\">{}</text>\n</svg>\n",
        escape(&label),
        thousands(most),
        escape(first),
        escape(last)
    )
}
