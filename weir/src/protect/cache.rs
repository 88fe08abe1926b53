//! Tokens of values that were met before: columns such as a day of birth have the same values again and again, and a token
//! costs much more than to look it up.

use std::collections::HashMap;

/// The most values that are kept.
const MOST: usize = 1 << 15;

/// After so many values it is asked whether enough of them were met before.
const TRIED: u32 = 1 << 17;

/// The tokens of one column, as one writer meets its values.
#[derive(Debug, Default)]
pub(crate) struct TokenCache {
    tokens: HashMap<Box<str>, Box<str>>,
    asked: u32,
    found: u32,
    /// Most values are new ones: to keep them costs more than it saves.
    is_off: bool,
}

impl TokenCache {
    /// The token of a value, which `make` makes unless it is known.
    pub(super) fn token<E>(
        &mut self,
        value: &str,
        make: impl FnOnce() -> Result<Box<str>, E>,
        write: impl FnOnce(&str),
    ) -> Result<(), E> {
        if self.is_off {
            write(&make()?);
            return Ok(());
        }
        self.asked += 1;
        if let Some(token) = self.tokens.get(value) {
            self.found += 1;
            write(token);
        } else {
            let token = make()?;
            write(&token);
            if self.tokens.len() < MOST {
                self.tokens.insert(value.into(), token);
            }
        }
        if self.asked == TRIED {
            if self.found < TRIED / 8 {
                *self = Self { is_off: true, ..Self::default() };
            } else {
                (self.asked, self.found) = (0, 0);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many tokens are made for values.
    fn made(values: impl Iterator<Item = u32>) -> usize {
        let (mut cache, mut made) = (TokenCache::default(), 0);
        for value in values {
            let make = || {
                made += 1;
                Ok::<_, ()>(format!("token of {value}").into_boxed_str())
            };
            cache.token(&value.to_string(), make, |token| assert_eq!(token, format!("token of {value}"))).unwrap();
        }
        made
    }

    #[test]
    fn a_token_is_made_once_for_values_that_come_again() {
        assert_eq!(made((0..100_000).map(|number| number % 20_000)), 20_000);
        assert_eq!(made(0..100_000), 100_000);
        // More values than are kept.
        let many = made((0..400_000).map(|number| number % 50_000));
        assert!((50_000..300_000).contains(&many), "{many}");
    }
}
