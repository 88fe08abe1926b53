//! Properties of all tables of cars, including small and degenerate ones.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use proptest::sample::{Index, select};
use section5::evaluate::Candidate;
use section5::model::{FeatureSet, Fitted, Kind, Probabilities, most_probable};
use section5::rules::full_table;
use section5::schema::{Attribute, Car, Known};
use section5::table::Table;

/// Cars of the full table, some of them repeated, some with a class that the rules do not assign.
fn cars() -> impl Strategy<Value = Vec<Car>> {
    let car = (any::<Index>(), prop::option::weighted(0.2, 0..4_u8)).prop_map(|(at, class)| {
        let mut car = *at.get(full_table().cars());
        car.0[Attribute::Class.index()] = class.unwrap_or(car.level(Attribute::Class));
        car
    });
    prop::collection::vec(car, 1..60)
}

fn candidate() -> impl Strategy<Value = Candidate> {
    let kinds = prop_oneof![Just(Kind::Logistic), Just(Kind::Boosting), Just(Kind::Bayes)];
    let features = select(vec![FeatureSet::Selected, FeatureSet::All]);
    let others = (kinds, features).prop_map(|(kind, features)| Candidate::new(kind, features));
    prop_oneof![1 => Just(Candidate::new(Kind::Majority, FeatureSet::None)), 8 => others]
}

fn known() -> impl Strategy<Value = Known> {
    Attribute::FEATURES.map(|feature| prop::option::of(0..feature.levels().len() as u8)).prop_map(Known)
}

fn bits(probabilities: &Probabilities) -> [u64; 4] {
    probabilities.map(f64::to_bits)
}

/// Its predictions for every car, bit for bit.
fn of_all(fitted: &Fitted) -> Vec<[u64; 4]> {
    fitted.model.predict_proba(full_table().cars()).iter().map(bits).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn probabilities_are_finite_and_sum_to_1(cars in cars(), candidate in candidate(), known in known()) {
        let fitted = Fitted::fit(Table::new(cars), candidate).unwrap();
        let mut all = fitted.model.predict_proba(full_table().cars());
        all.push(fitted.model.predict_partial(&known, &fitted.training));
        for probabilities in all {
            prop_assert!(probabilities.iter().all(|probability| (0.0..=1.0 + 1e-12).contains(probability)));
            prop_assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{probabilities:?}");
        }
    }

    #[test]
    fn predictions_do_not_depend_on_the_order_of_rows(
        cars in cars(), candidate in candidate(), known in known(), seed in any::<u64>(),
    ) {
        let mut shuffled = cars.clone();
        let hash = |hash: u64, level: &u8| hash.rotate_left(7).wrapping_mul(0x9E37_79B9) ^ u64::from(*level);
        shuffled.sort_by_key(|car| car.0.iter().fold(seed, hash));
        let one = Fitted::fit(Table::new(cars), candidate).unwrap();
        let other = Fitted::fit(Table::new(shuffled), candidate).unwrap();
        let partial = |fitted: &Fitted| bits(&fitted.model.predict_partial(&known, &fitted.training));
        prop_assert_eq!(partial(&one), partial(&other));
        prop_assert_eq!(of_all(&one), of_all(&other));
    }

    #[test]
    fn saving_and_loading_changes_nothing(cars in cars(), candidate in candidate(), known in known()) {
        let saved = Fitted::fit(Table::new(cars), candidate).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.json");
        std::fs::write(&path, saved.to_json().unwrap()).unwrap();
        let loaded = Fitted::read(&path).unwrap();
        prop_assert_eq!((&saved.training, &saved.features), (&loaded.training, &loaded.features));
        prop_assert_eq!(of_all(&saved), of_all(&loaded));
        let partial = |fitted: &Fitted| bits(&fitted.model.predict_partial(&known, &fitted.training));
        prop_assert_eq!(partial(&saved), partial(&loaded));
        prop_assert_eq!(saved.to_json().unwrap(), loaded.to_json().unwrap());
    }

    #[test]
    fn a_fully_known_car_needs_no_averaging(cars in cars(), candidate in candidate(), at in any::<Index>()) {
        let fitted = Fitted::fit(Table::new(cars), candidate).unwrap();
        let car = *at.get(full_table().cars());
        let whole = fitted.model.predict_proba(&[car])[0];
        let partial = fitted.model.predict_partial(&Known::from(&car), &fitted.training);
        for (a, b) in whole.iter().zip(partial) {
            prop_assert!((a - b).abs() < 1e-12);
        }
    }

    #[test]
    fn a_written_table_is_read_unchanged(cars in cars(), header in any::<bool>()) {
        let table = Table::new(cars);
        prop_assert_eq!(&Table::parse(table.to_csv(header).as_bytes(), "it").unwrap(), &table);
    }

    #[test]
    fn prices_that_are_equally_probable_up_to_rounding_are_ordered_by_level(first in 0..3_usize) {
        let mut probabilities = [0.1; 4];
        probabilities[first] = 0.35;
        probabilities[3] = 0.35 + 1e-12;
        prop_assert_eq!(most_probable(&probabilities), first);
    }
}
