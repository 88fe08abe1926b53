//! Random numbers: the same seed gives the same numbers on every machine. Floating-point code is limited to the four
//! basic operations, whose every bit IEEE 754 defines.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Random numbers of a seed.
#[derive(Debug, Clone)]
pub(super) struct Random(ChaCha8Rng);

impl Random {
    /// The numbers of a seed; different `stream`s are independent.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut numbers = ChaCha8Rng::seed_from_u64(seed);
        numbers.set_stream(stream);
        Self(numbers)
    }

    /// A number from 0 to below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        // A remainder would be slower and equally biased.
        ((u128::from(self.0.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }

    /// A fraction from 0 to below 1.
    pub(super) fn fraction(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with a probability of `cases` per mille.
    pub(super) fn per_mille(&mut self, cases: u64) -> bool {
        self.below(1000) < cases
    }

    /// A random element.
    pub(super) fn one_of<T: Copy>(&mut self, things: &[T]) -> T {
        things[self.below(things.len() as u64) as usize]
    }

    /// A random index, chosen by weight.
    pub(super) fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (place, &weight) in weights.iter().enumerate() {
            if left < weight {
                return place;
            }
            left -= weight;
        }
        unreachable!("the number is below the sum of the weights")
    }

    /// Multiplies `middle` by random factors, approximately log-normal: many results are slightly smaller or larger,
    /// few are many times larger.
    pub(super) fn spread(&mut self, middle: f64) -> f64 {
        const FACTORS: usize = 6;
        (0..FACTORS).fold(middle, |product, _| {
            let factor = 1.0 + self.fraction();
            if self.per_mille(500) { product * factor } else { product / factor }
        })
    }

    fn shuffle<T>(&mut self, things: &mut [T]) {
        for end in (1..things.len()).rev() {
            things.swap(end, self.below(end as u64 + 1) as usize);
        }
    }
}

/// A skewed distribution over items, by Zipf and Mandelbrot's law: the item of rank r has the weight 1 / (r + offset).
/// The ranks are assigned at random.
///
/// A choice takes constant time for any number of items (Walker's alias method).
#[derive(Debug)]
pub(super) struct Popularity {
    /// For every item, the probability that it is kept when hit, and the alternative otherwise.
    columns: Vec<(f32, u32)>,
}

impl Popularity {
    /// For `count` items, at least one.
    pub(super) fn new(count: usize, offset: f64, random: &mut Random) -> Self {
        let mut weights: Vec<f64> = (0..count).map(|rank| 1.0 / (rank as f64 + 1.0 + offset)).collect();
        let scale = count as f64 / weights.iter().sum::<f64>();
        random.shuffle(&mut weights);
        let mut columns: Vec<(f32, u32)> = (0..count as u32).map(|thing| (1.0, thing)).collect();
        let (mut small, mut large) = (vec![], vec![]);
        for (thing, weight) in weights.iter_mut().enumerate() {
            *weight *= scale;
            if *weight < 1.0 { &mut small } else { &mut large }.push(thing);
        }
        while let (Some(poor), Some(&rich)) = (small.pop(), large.last()) {
            columns[poor] = (weights[poor] as f32, rich as u32);
            weights[rich] -= 1.0 - weights[poor];
            if weights[rich] < 1.0 {
                small.extend(large.pop());
            }
        }
        Self { columns }
    }

    /// Chooses an item by its index.
    pub(super) fn choose(&self, random: &mut Random) -> usize {
        let thing = random.below(self.columns.len() as u64) as usize;
        let (kept, other) = self.columns[thing];
        if random.fraction() < f64::from(kept) { thing } else { other as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_chosen_by_their_rank() {
        const CHOICES: usize = 400_000;
        let mut random = Random::new(1, 0);
        let popularity = Popularity::new(50, 2.0, &mut random);
        let mut chosen = [0_usize; 50];
        for _ in 0..CHOICES {
            chosen[popularity.choose(&mut random)] += 1;
        }
        chosen.sort_unstable_by(|one, other| other.cmp(one));
        let sum: f64 = (0..50).map(|rank| 1.0 / (f64::from(rank) + 3.0)).sum();
        for (rank, &chosen) in chosen.iter().enumerate().take(5) {
            let wanted = CHOICES as f64 / (rank as f64 + 3.0) / sum;
            let difference = (chosen as f64 - wanted).abs() / wanted;
            assert!(difference < 0.05, "rank {rank}: {chosen} instead of {wanted}");
        }
    }

    #[test]
    fn one_thing_is_always_chosen() {
        let mut random = Random::new(1, 0);
        assert_eq!(Popularity::new(1, 0.0, &mut random).choose(&mut random), 0);
    }

    #[test]
    fn spread_numbers_have_their_middle_and_a_long_tail() {
        let mut random = Random::new(1, 0);
        let mut spread: Vec<_> = (0..10_001).map(|_| random.spread(100.0)).collect();
        spread.sort_unstable_by(f64::total_cmp);
        assert!((95.0..105.0).contains(&spread[5000]), "{}", spread[5000]);
        assert!(spread[9900] > 500.0 && spread[100] < 20.0, "{} {}", spread[9900], spread[100]);
    }
}
