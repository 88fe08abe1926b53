//! Plausible members.

use chrono::{Datelike, Days, Months, NaiveDate};
use sha2::{Digest, Sha256};

use super::calendar::{DAY, midnight};
use super::copy::{Rows, Stopped};
use super::people::{ACCENTED_FIRST_NAMES, FIRST_NAMES, LAST_NAMES};
use super::random::Random;

pub(super) const COLUMNS: &str =
    "member (member_id, membership_id, first_name, last_name, birthday, mobile, email, joined_at)";

/// Members who can order: existing ones, then generated ones.
#[derive(Debug)]
pub(super) struct Members {
    /// Keys of existing members. Their join times are ignored: imported members joined when they were imported.
    pub(super) known: Vec<i64>,
    /// The key of the first generated member; the others follow.
    pub(super) first: i64,
    /// Number of generated members.
    pub(super) made: u64,
    /// Start of the sales, in microseconds since 1970.
    pub(super) begin: i64,
    /// The day after the sales.
    pub(super) until: NaiveDate,
}

impl Members {
    /// Existing and generated members.
    pub(super) fn count(&self) -> usize {
        self.known.len() + self.made as usize
    }

    /// The key of a member by its index.
    pub(super) fn key(&self, number: usize) -> i64 {
        match self.known.get(number) {
            Some(&key) => key,
            None => self.first + (number - self.known.len()) as i64,
        }
    }

    /// Whether a member can order at a time.
    pub(super) fn has_joined(&self, number: usize, time: i64) -> bool {
        number < self.known.len() || self.joined((number - self.known.len()) as u64) <= time
    }

    /// Join time of a generated member: uniform from two years before the sales to their end; the first one joins at
    /// the very beginning, so that there is always a member who can order.
    fn joined(&self, number: u64) -> i64 {
        let begin = self.begin - 2 * 365 * DAY;
        let span = midnight(self.until) - begin;
        begin + (i128::from(span) * i128::from(number) / i128::from(self.made)) as i64
    }

    /// Writes the generated members.
    pub(super) fn write(&self, mut random: Random, rows: &mut Rows) -> Result<(), Stopped> {
        let adult = self.until - Months::new(18 * 12);
        for number in 0..self.made {
            let key = self.first + number as i64;
            let (first_name, mailbox) = if random.per_mille(5) {
                random.one_of(&ACCENTED_FIRST_NAMES)
            } else {
                same(random.one_of(&FIRST_NAMES))
            };
            let last_name = random.one_of(&LAST_NAMES);
            // The maximum of two draws: young members are more frequent.
            let age_in_days = random.below(60 * 365).min(random.below(60 * 365));
            let birthday = adult - Days::new(age_in_days);
            let mobile = [8, 9][random.below(2) as usize] * 10_000_000 + random.below(10_000_000);
            let top_level = random.one_of(&["com", "com", "com", "net"]);
            rows.row(8)?;
            rows.bigint(key);
            rows.text(&membership_id(last_name, birthday));
            rows.text(first_name);
            rows.text(last_name);
            rows.date((birthday - NaiveDate::default()).num_days() as i32);
            rows.text(&mobile.to_string());
            // The key makes it unique.
            rows.text(&format!("{mailbox}_{last_name}{key}@{}.{top_level}", random.one_of(&LAST_NAMES)).to_lowercase());
            rows.time(Some(self.joined(number)));
        }
        Ok(())
    }
}

fn same(name: &str) -> (&str, &str) {
    (name, name)
}

/// The last name, `_`, and the first five hexadecimal digits of the SHA-256 of the birthday as yyyymmdd.
fn membership_id(last_name: &str, birthday: NaiveDate) -> String {
    let written = format!("{:04}{:02}{:02}", birthday.year(), birthday.month(), birthday.day());
    let digest = Sha256::digest(written.as_bytes());
    format!("{last_name}_{:02x}{:02x}{:x}", digest[0], digest[1], digest[2] >> 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn membership_ids_are_those_of_section_1() {
        let birthday = NaiveDate::from_ymd_opt(1986, 1, 10).unwrap();
        assert_eq!(membership_id("Smith", birthday), "Smith_3864b");
    }

    #[test]
    fn a_member_can_order_at_any_time() {
        let until = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
        let begin = midnight(until) - 3 * 365 * DAY;
        for made in [1, 2, 1000] {
            let members = Members { known: vec![], first: 1, made, begin, until };
            assert!(members.has_joined(0, begin));
        }
    }
}
