//! Is a model better than guessing, or was it lucky?

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::folds::shuffle;
use crate::schema::PRICES;

/// Apart from the streams that folds are dealt from.
const STREAM: u64 = u64::MAX;

/// How probable at least as many right predictions are if they have nothing to do with the prices: the share of
/// permutations of the prices, the true one among them, that agree with the predictions at least as often as the true
/// one does. `votes` has for each car how many repetitions predict each price.
///
/// The models are not fitted to the shuffled prices. Without any relation between features and price a held-out car is
/// rather of a price that its training cars lack, so that the test says "lucky" too often rather than too rarely.
pub(super) fn p_value(votes: &[[u32; PRICES]], prices: &[usize], permutations: usize, seed: u64) -> f64 {
    let right =
        |prices: &[usize]| -> u64 { votes.iter().zip(prices).map(|(votes, price)| u64::from(votes[*price])).sum() };
    let true_one = right(prices);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(STREAM);
    let mut shuffled = prices.to_vec();
    let as_good = (0..permutations).filter(|_| {
        shuffle(&mut shuffled, &mut random);
        right(&shuffled) >= true_one
    });
    (1 + as_good.count()) as f64 / (1 + permutations) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICES_OF_CARS: [usize; 40] = {
        let mut prices = [0; 40];
        let mut at = 0;
        while at < 40 {
            prices[at] = at % PRICES;
            at += 1;
        }
        prices
    };

    fn votes(predicted: impl Fn(usize) -> usize) -> Vec<[u32; PRICES]> {
        let vote = |price: &usize| {
            let mut votes = [0; PRICES];
            votes[predicted(*price)] = 5;
            votes
        };
        PRICES_OF_CARS.iter().map(vote).collect()
    }

    #[test]
    fn predictions_that_are_all_right_are_no_chance() {
        assert_eq!(p_value(&votes(|price| price), &PRICES_OF_CARS, 999, 1), 0.001);
    }

    #[test]
    fn one_price_for_all_cars_is_as_right_in_any_order() {
        assert_eq!(p_value(&votes(|_| 2), &PRICES_OF_CARS, 999, 1), 1.0);
    }

    #[test]
    fn predictions_that_are_all_wrong_are_no_better_than_chance() {
        assert_eq!(p_value(&votes(|price| (price + 1) % PRICES), &PRICES_OF_CARS, 999, 1), 1.0);
    }
}
