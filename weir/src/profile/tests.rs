//! Profiles of small tables, and of parts of tables, compared with what is computed from all rows.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringViewArray,
};
use datafusion::arrow::datatypes::{Field, Schema};

use super::*;

type Columns = Vec<(&'static str, SqlType, ArrayRef)>;

fn texts(texts: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringViewArray::from(texts.to_vec()))
}

fn batch(columns: &Columns) -> (Vec<ProfiledColumn>, RecordBatch) {
    let profiled =
        columns.iter().map(|(name, sql_type, _)| ProfiledColumn { name: (*name).to_owned(), sql_type: *sql_type });
    let fields = columns.iter().map(|(name, _, values)| Field::new(*name, values.data_type().clone(), true));
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let rows = RecordBatch::try_new(schema.into(), columns.iter().map(|(_, _, values)| values.clone()).collect());
    (profiled.collect(), rows.unwrap())
}

/// The profile of a table that is read in parts of this many rows, by two threads.
fn of_parts(columns: &Columns, rows: usize, target: Option<usize>) -> Profile {
    let (columns, whole) = batch(columns);
    let groups = target.map(|target| Arc::new(Groups::of(&whole, &columns, target).unwrap()));
    let mut threads = [Profiler::new(&columns, groups.as_ref()), Profiler::new(&columns, groups.as_ref())];
    for (part, start) in (0..whole.num_rows()).step_by(rows).enumerate() {
        let length = rows.min(whole.num_rows() - start);
        threads[part % 2].update(&whole.slice(start, length)).unwrap();
    }
    let [mut all, other] = threads;
    all.merge(other);
    all.finish(&columns, &ShownValues::all(true))
}

fn of(columns: &Columns) -> Profile {
    of_parts(columns, usize::MAX, None)
}

/// The codes of the warnings about a column of texts, and their messages.
fn warnings(values: &[Option<&str>]) -> Vec<(&'static str, String)> {
    let profile = of(&vec![("text", SqlType::String, texts(values))]);
    profile.columns[0].warnings.iter().map(|warning| (warning.code, warning.text(true))).collect()
}

fn message(values: &[Option<&str>], code: &str) -> String {
    let found = warnings(values);
    found.iter().find(|(of, _)| *of == code).unwrap_or_else(|| panic!("no {code}: {found:?}")).1.clone()
}

#[test]
fn numbers_are_measured() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(3), None, Some(-1), Some(0), Some(3)]));
    let profile = of(&vec![("number", SqlType::Bigint, numbers)]);
    let column = &profile.columns[0];
    assert_eq!((column.rows, column.nulls, column.values()), (5, 1, 4));
    assert_eq!((column.min.as_deref(), column.max.as_deref()), (Some("-1"), Some("3")));
    assert_eq!(column.distinct.unwrap().count, 3);
    let line = column.line.as_ref().unwrap();
    assert_eq!((line.mean.as_str(), line.zeros, line.negatives, line.rank_error), ("1.25", Some(1), Some(1), 0.0));
    let quantiles: Vec<&str> = line.quantiles.iter().map(|quantile| quantile.value.as_str()).collect();
    assert_eq!(quantiles, ["-1", "-1", "-1", "0", "3", "3", "3"]);
    let histogram = line.histogram.as_ref().unwrap();
    assert_eq!((histogram.edges[0].as_str(), &histogram.bins.counts), ("-1", &vec![1, 1, 0, 0, 2]));
    let top = &column.top.as_ref().unwrap().values;
    assert_eq!((top[0].value.as_str(), top[0].count), ("3", 2));
}

#[test]
fn outliers_do_not_hide_the_others() {
    let numbers: Vec<f64> = (0..1_000).map(|row| f64::from(row) / 1_000.0).chain([1e6]).collect();
    let profile = of(&vec![("number", SqlType::Double, Arc::new(Float64Array::from(numbers)) as ArrayRef)]);
    let line = profile.columns[0].line.as_ref().unwrap();
    assert_eq!(line.histogram.as_ref().unwrap().bins.counts.iter().max(), Some(&1_000));
    let middle = line.middle.as_ref().unwrap();
    assert_eq!((middle.edges[0].as_str(), middle.edges[3].as_str(), middle.edges.len()), ("0", "0.15", 21));
    assert_eq!(middle.bins.counts, vec![50; 20]);
}

#[test]
fn large_whole_numbers_keep_all_digits() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX - 1, i64::MAX, i64::MAX - 2]));
    let profile = of(&vec![("number", SqlType::Bigint, numbers)]);
    assert_eq!(profile.columns[0].min.as_deref(), Some("9223372036854775805"));
    assert_eq!(profile.columns[0].max.as_deref(), Some("9223372036854775807"));
}

#[test]
fn dates_are_shown_as_dates() {
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![19_023, 19_024, 19_053]));
    let profile = of(&vec![("day", SqlType::Date, dates)]);
    let column = &profile.columns[0];
    assert_eq!((column.min.as_deref(), column.max.as_deref()), (Some("2022-01-31"), Some("2022-03-02")));
    let line = column.line.as_ref().unwrap();
    assert_eq!((line.mean.as_str(), line.standard_deviation), ("2022-02-10", None));
    let edges = &line.histogram.as_ref().unwrap().edges;
    assert!(edges.iter().all(|edge| edge.starts_with("2022-")), "{edges:?}");
}

#[test]
fn values_that_are_not_finite_are_counted_and_left_out() {
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, f64::INFINITY, 1.0, 2.0]));
    let profile = of(&vec![("a", SqlType::Double, numbers.clone()), ("b", SqlType::Double, numbers)]);
    let column = &profile.columns[0];
    let line = column.line.as_ref().unwrap();
    assert_eq!((line.not_finite, line.mean.as_str(), column.max.as_deref()), (2, "1.5", Some("2")));
    assert_eq!(column.warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), ["not_finite"]);
    assert!((profile.correlations.unwrap().values[1][0].unwrap() - 1.0).abs() < 1e-9);
}

#[test]
fn a_type_without_a_profile_has_its_nulls_counted() {
    let bytes: ArrayRef = Arc::new(BinaryArray::from_opt_vec(vec![Some(b"x"), None]));
    let profile = of(&vec![("bytes", SqlType::Binary, bytes)]);
    let column = &profile.columns[0];
    assert_eq!((column.nulls, column.distinct, column.min.clone()), (1, None, None));
    assert_eq!(column.warnings[0].code, "unprofiled");
}

#[test]
fn columns_without_values_and_with_one_are_told() {
    let booleans: ArrayRef = Arc::new(BooleanArray::from(vec![true, true]));
    let profile = of(&vec![("none", SqlType::String, texts(&[None, None])), ("one", SqlType::Boolean, booleans)]);
    let codes = |at: usize| profile.columns[at].warnings.iter().map(|warning| warning.code).collect::<Vec<_>>();
    assert_eq!((codes(0), codes(1)), (vec!["all_null"], vec!["constant"]));
}

#[test]
fn null_words_in_a_column_of_numbers_are_named() {
    let values: Vec<Option<&str>> = (0..300).map(|row| Some(if row % 3 == 0 { "NA" } else { "9120" })).collect();
    let message = message(&values, "null_word");
    assert_eq!(message, "`NA` 100 times in a column of numbers: probably a null; `--null-value NA`");
    let found = warnings(&values);
    assert!(found.iter().any(|(_, text)| text == "all of the other values are numbers, stored as text"), "{found:?}");
    assert!(warnings(&[Some("NA"), Some("SG"), Some("MY")]).iter().all(|(code, _)| *code != "null_word"));
}

#[test]
fn identifiers_with_zeros_are_no_numbers() {
    let codes: Vec<&str> = warnings(&[Some("007"), Some("12"), Some("12")]).iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, Vec::<&str>::new());
}

#[test]
fn dates_in_different_forms_are_told() {
    let values = [Some("2022-01-31"), Some("31/01/2022"), Some("1/2/2022"), Some("2022-02-01"), Some("5/5/2022")];
    assert_eq!(message(&values, "dates_as_text"), "all of the values are dates, stored as text");
    assert_eq!(message(&values, "mixed_dates"), "dates have different forms: `99/99/9999` 3, `9999-99-99` 2");
}

#[test]
fn blanks_empty_texts_and_case_are_told() {
    let values = [Some("Ann"), Some("ann"), Some(" Bob"), Some(""), Some("Cid"), None, Some("Cid")];
    assert_eq!(message(&values, "blanks"), "1 value with a blank before or behind: `trim` removes them");
    assert_eq!(message(&values, "empty"), "1 empty text, not null");
    let text = "1 value equal to another one but for upper and lower case: `Ann`, `ann`";
    assert_eq!(message(&values, "case_duplicates"), text);
}

#[test]
fn outliers_are_further_from_the_quartiles_than_usual() {
    let numbers: Vec<i64> = (0..100).chain([1_000, -1_000]).collect();
    let profile = of(&vec![("number", SqlType::Bigint, Arc::new(Int64Array::from(numbers)) as ArrayRef)]);
    assert_eq!(profile.columns[0].line.as_ref().unwrap().outliers, Some(2));
}

#[test]
fn without_values_a_profile_has_none() {
    let columns: Columns = vec![
        ("name", SqlType::String, texts(&[Some("Ann Secret"), Some("ann secret"), Some("Ann Secret"), Some("Bob")])),
        ("flag", SqlType::Boolean, Arc::new(BooleanArray::from(vec![true, false, true, true]))),
    ];
    let (profiled, rows) = batch(&columns);
    let groups = Arc::new(Groups::of(&rows, &profiled, 1).unwrap());
    let mut profiler = Profiler::new(&profiled, Some(&groups));
    profiler.update(&rows).unwrap();
    let shown = serde_json::to_string(&profiler.finish(&profiled, &ShownValues::all(true))).unwrap();
    let hidden = serde_json::to_string(&profiler.finish(&profiled, &ShownValues::all(false))).unwrap();
    assert!(
        shown.contains("Ann Secret") && !hidden.to_lowercase().contains("secret") && !hidden.contains("Bob"),
        "{hidden}"
    );
    assert!(hidden.contains("case_duplicates") && hidden.contains("\"value 1\""), "{hidden}");
}

/// Rows of which the columns tell more or less about two targets.
fn related(rows: usize) -> Columns {
    let number = |row: usize| (row * 7_919 % 1_000) as i64;
    let all = || (0..rows).map(number);
    let noise = (0..rows).map(|row| hash_of(&row.to_le_bytes()) as i64 % 1_000);
    let classes: Vec<String> = all().map(|number| format!("class {}", number / 250)).collect();
    vec![
        (
            "target",
            SqlType::Boolean,
            Arc::new(BooleanArray::from(all().map(|number| number >= 500).collect::<Vec<_>>())),
        ),
        (
            "number",
            SqlType::Bigint,
            Arc::new(all().map(|number| (number % 10 > 0).then_some(number)).collect::<Int64Array>()),
        ),
        ("class", SqlType::String, Arc::new(StringViewArray::from_iter_values(&classes))),
        ("noise", SqlType::Bigint, Arc::new(noise.collect::<Int64Array>())),
        ("mean", SqlType::Double, Arc::new(all().map(|number| number as f64 * 2.0).collect::<Float64Array>())),
        ("id", SqlType::String, Arc::new(StringViewArray::from_iter_values((0..rows).map(|row| row.to_string())))),
    ]
}

#[test]
fn columns_are_ordered_by_what_they_tell_about_classes() {
    let target = of_parts(&related(5_000), 700, Some(0)).target.unwrap();
    assert_eq!(target.classes.as_deref(), Some(&["false".to_owned(), "true".to_owned()][..]));
    let strengths: Vec<(&str, f64)> =
        target.columns.iter().map(|column| (column.name.as_str(), column.strength)).collect();
    let strength = |name: &str| strengths.iter().find(|(of, _)| *of == name).unwrap().1;
    assert!(strength("class") > 0.999 && strength("mean") > 0.9 && strength("number") > 0.9, "{strengths:?}");
    assert!(strength("noise") < 0.05 && strength("id") < 0.05, "{strengths:?}");
    assert!(strengths.is_sorted_by(|a, b| a.1 >= b.1));
    let class = target.columns.iter().find(|column| column.name == "class").unwrap();
    let groups: Vec<_> = class.groups.iter().map(|group| (group.label.as_deref().unwrap(), group.rows)).collect();
    assert_eq!(groups, [("class 0", 1_250), ("class 1", 1_250), ("class 2", 1_250), ("class 3", 1_250)]);
    assert_eq!(class.groups[3].measure, GroupMeasure::Shares(vec![0.0, 1.0]));
}

#[test]
fn a_number_is_compared_in_ten_groups_and_one_of_nulls() {
    let target = of_parts(&related(5_000), 700, Some(4)).target.unwrap();
    assert_eq!(target.classes, None);
    let number = target.columns.iter().find(|column| column.name == "number").unwrap();
    let rows: Vec<u64> = number.groups.iter().map(|group| group.rows).collect();
    assert_eq!(rows, [vec![450; 10], vec![500]].concat());
    let means: Vec<f64> = number.groups[..10]
        .iter()
        .map(|group| match group.measure {
            GroupMeasure::Mean(mean) => mean,
            GroupMeasure::Shares(_) => panic!("the target has a mean"),
        })
        .collect();
    assert!(means.is_sorted() && means[0] < 120.0 && means[9] > 1_880.0, "{means:?}");
    assert!(number.strength > 0.9 && target.columns.last().unwrap().strength < 0.05);
}

#[test]
fn a_target_that_cannot_be_compared_is_refused() {
    let (columns, rows) = batch(&vec![
        ("day", SqlType::Date, Arc::new(Date32Array::from(vec![1, 2])) as ArrayRef),
        ("one", SqlType::String, texts(&[Some("x"), Some("x")])),
        ("none", SqlType::String, texts(&[None, None])),
    ]);
    let refused = |target: usize| Groups::of(&rows, &columns, target).unwrap_err();
    assert_eq!(refused(0), "is of type date; a target has numbers, or few values");
    assert_eq!(refused(1), "has the same value in every row");
    assert_eq!(refused(2), "has only nulls");
    let many: Vec<String> = (0..100).map(|row| row.to_string()).collect();
    let many: ArrayRef = Arc::new(StringViewArray::from_iter_values(&many));
    let (columns, rows) = batch(&vec![("id", SqlType::String, many)]);
    assert!(Groups::of(&rows, &columns, 0).unwrap_err().starts_with("has more than 50 different values"));
}

#[test]
fn the_parts_of_a_table_have_the_profile_of_the_whole() {
    let columns = related(2_000);
    let whole = serde_json::to_value(of_parts(&columns, usize::MAX, Some(0))).unwrap();
    for rows in [1, 999, 1_500] {
        let parts = serde_json::to_value(of_parts(&columns, rows, Some(0))).unwrap();
        assert_same("", &whole, &parts);
    }
}

/// The same values, but for the rounding of sums.
fn assert_same(at: &str, one: &serde_json::Value, other: &serde_json::Value) {
    use serde_json::Value;
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            assert_eq!(one.len(), other.len(), "{at}");
            one.iter().for_each(|(key, value)| assert_same(&format!("{at}.{key}"), value, &other[key]));
        }
        (Value::Array(one), Value::Array(other)) => {
            assert_eq!(one.len(), other.len(), "{at}");
            one.iter().zip(other).for_each(|(one, other)| assert_same(at, one, other));
        }
        (Value::Number(one), Value::Number(other)) => {
            let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            assert!((one - other).abs() <= 1e-9 * one.abs().max(1.0), "{at}: {one} {other}");
        }
        _ => assert_eq!(one, other, "{at}"),
    }
}
