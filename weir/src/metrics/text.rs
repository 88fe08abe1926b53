//! The text format of Prometheus, version 0.0.4.

use std::fmt::Write as _;

/// A metric with all of its values.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    pub(super) samples: Vec<Sample>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
    /// A sum and a count.
    Summary,
}

#[derive(Debug)]
pub(super) struct Sample {
    suffix: &'static str,
    labels: Vec<(&'static str, String)>,
    pub(super) value: f64,
}

impl Sample {
    pub(super) fn new<'a>(
        suffix: &'static str,
        task: &'a str,
        environment: &'a str,
        labels: impl IntoIterator<Item = (&'static str, &'a str)>,
        value: f64,
    ) -> Self {
        let all = [("task", task), ("environment", environment)].into_iter().chain(labels);
        Self { suffix, ..Self::of(all, value) }
    }

    pub(super) fn of<'a>(labels: impl IntoIterator<Item = (&'static str, &'a str)>, value: f64) -> Self {
        let labels = labels.into_iter().map(|(name, value)| (name, value.to_owned()));
        Self { suffix: "", labels: labels.collect(), value }
    }
}

/// The text. A metric without values is not in it.
pub(super) fn written(families: &[Family]) -> String {
    let mut text = String::new();
    for Family { name, kind, help, samples } in families.iter().filter(|family| !family.samples.is_empty()) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Summary => "summary",
        };
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for Sample { suffix, labels, value } in samples {
            let labels: Vec<String> =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
            let _ = writeln!(text, "{name}{suffix}{{{}}} {value}", labels.join(","));
        }
    }
    text
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rules_are_escaped() {
        let samples = vec![Sample::new("_sum", "people", "prod", [("step", "a \"b\"\\\n")], 1.5)];
        let family = Family { name: "weir_step_seconds", kind: Kind::Summary, help: "Steps.", samples };
        let empty = Family { name: "weir_nothing", kind: Kind::Gauge, help: "Nothing.", samples: vec![] };
        assert_eq!(
            written(&[family, empty]),
            "# HELP weir_step_seconds Steps.\n# TYPE weir_step_seconds summary\n\
             weir_step_seconds_sum{task=\"people\",environment=\"prod\",step=\"a \\\"b\\\"\\\\\\n\"} 1.5\n"
        );
    }
}
