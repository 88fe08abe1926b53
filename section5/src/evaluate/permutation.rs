//! Permutation test: whether a model is significantly better than guessing.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::folds::shuffle;
use crate::schema::PRICES;

/// Different from the streams of the folds.
const STREAM: u64 = u64::MAX;

/// The p-value of the number of correct predictions under the hypothesis that they are independent of the prices: the
/// share of permutations of the prices, including the true one, that agree with the predictions at least as often as
/// the true one. `votes` has for each car the number of repetitions that predict each price. `progress` is called after
/// each permutation.
///
/// The models are not fitted to permuted prices. Without any relation between features and price, a held-out car tends
/// to have a price that its training cars lack, so the test is conservative.
pub(super) fn p_value(
    votes: &[[u32; PRICES]],
    prices: &[usize],
    permutations: usize,
    seed: u64,
    progress: &dyn Fn(),
) -> f64 {
    let right =
        |prices: &[usize]| -> u64 { votes.iter().zip(prices).map(|(votes, price)| u64::from(votes[*price])).sum() };
    let true_one = right(prices);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(STREAM);
    let mut shuffled = prices.to_vec();
    let as_good = (0..permutations).filter(|_| {
        shuffle(&mut shuffled, &mut random);
        progress();
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
    fn correct_predictions_are_significant() {
        assert_eq!(p_value(&votes(|price| price), &PRICES_OF_CARS, 999, 1, &|| ()), 0.001);
    }

    #[test]
    fn a_constant_prediction_is_not_significant() {
        assert_eq!(p_value(&votes(|_| 2), &PRICES_OF_CARS, 999, 1, &|| ()), 1.0);
    }

    #[test]
    fn wrong_predictions_are_not_significant() {
        assert_eq!(p_value(&votes(|price| (price + 1) % PRICES), &PRICES_OF_CARS, 999, 1, &|| ()), 1.0);
    }
}
