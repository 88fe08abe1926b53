//! Names that nobody else has, on this machine or another.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

/// A name of 32 hexadecimal digits.
pub(crate) fn unique() -> String {
    // Each of these has keys from the system's random numbers.
    let part = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", part(), part())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ() {
        let names: std::collections::HashSet<String> = (0..1000).map(|_| unique()).collect();
        assert_eq!(names.len(), 1000);
        assert!(names.iter().all(|name| name.len() == 32));
    }
}
