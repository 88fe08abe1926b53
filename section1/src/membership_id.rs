//! Membership ids: the last name and five hexadecimal digits of a hash of the birthday, for example `Smith_3864b`.

use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::arrow::array::{Array, ByteView, Date32Array, StringViewArray};
use datafusion::arrow::buffer::{Buffer, NullBuffer};
use datafusion::common::{Result, exec_err};
use sha2::{Digest, Sha256};

use weir::function::calendar;
use weir::function::view;

/// The membership id of a member: `<last_name>_` and the first five hexadecimal digits, in lower case, of the SHA-256
/// of the birthday as `yyyymmdd`.
///
/// `birthday` is in days since 1970-01-01. None if its year is outside 1 to 9999.
///
/// ```
/// # use section1::membership_id::membership_id;
/// // printf 19700101 | sha256sum
/// assert_eq!(membership_id("Lee", 0).as_deref(), Some("Lee_53176"));
/// ```
pub fn membership_id(last_name: &str, birthday: i32) -> Option<String> {
    let ending = ending(birthday)?.to_le_bytes();
    let ending = str::from_utf8(&ending[..ENDING]).expect("an ending is `_` and hexadecimal digits");
    Some(format!("{last_name}{ending}"))
}

/// Applies [`membership_id`] to every row of two arrays of the same length; null if either is null.
///
/// # Errors
/// If the arrays differ in length, or the ids longer than 12 bytes exceed 2 GiB in total.
pub fn membership_ids(last_names: &StringViewArray, birthdays: &Date32Array) -> Result<StringViewArray> {
    if last_names.len() != birthdays.len() {
        return exec_err!("membership_id: {} last names but {} birthdays", last_names.len(), birthdays.len());
    }
    let given = NullBuffer::union(last_names.nulls(), birthdays.nulls());
    let mut long = LongIds::for_names(last_names.views())?;
    let mut views = Vec::with_capacity(last_names.len());
    let mut valid = Vec::with_capacity(last_names.len());
    for (row, (&name, &birthday)) in last_names.views().iter().zip(birthdays.values()).enumerate() {
        let ending = match &given {
            Some(given) if given.is_null(row) => None,
            _ => ending(birthday),
        };
        valid.push(ending.is_some());
        let length = name as u32 as usize;
        views.push(match ending {
            None => 0,
            Some(ending) if length <= INLINED_NAME => {
                let id = view::characters(name) | u128::from(ending) << (8 * length);
                view::inline(id, length + ENDING)
            }
            Some(ending) => long.view(last_names, row, ending),
        });
    }
    // SAFETY: a view is empty; or inlined, with a whole name and an ending, which is ASCII; or it points to the same in
    // the buffer and has the first four bytes of the name, which are the first four of the id.
    Ok(unsafe { view::array(views, long.buffers(), Some(valid.into())) })
}

/// Bytes after the last name: `_` and five digits.
const ENDING: usize = 6;

/// The longest name whose id is inlined.
const INLINED_NAME: usize = view::INLINED - ENDING;

/// Bytes of an ending in the memo and in the buffer, where the next id overwrites the unused ones.
const ENDING_WORD: usize = size_of::<u64>();

/// The ids that are too long to be inlined in a view.
struct LongIds {
    bytes: Vec<u8>,
    end: usize,
}

impl LongIds {
    /// Allocates the buffer for the ids of all `names`.
    fn for_names(names: &[u128]) -> Result<Self> {
        let lengths = names.iter().map(|&name| name as u32 as usize);
        let room: usize = lengths.filter(|&length| length > INLINED_NAME).map(|length| length + ENDING).sum();
        if room > view::BUFFER - ENDING_WORD - size_of::<u128>() {
            return exec_err!("membership_id: the ids of one batch exceed 2 GiB; split the batch");
        }
        let spare = if room == 0 { 0 } else { ENDING_WORD + size_of::<u128>() };
        Ok(Self { bytes: vec![0; room + spare], end: 0 })
    }

    #[inline]
    fn view(&mut self, names: &StringViewArray, row: usize, ending: u64) -> u128 {
        let name = names.views()[row];
        let length = name as u32 as usize;
        let start = self.end;
        if length <= view::INLINED {
            // Copying whole words is faster than copying a few bytes; the excess is overwritten.
            self.bytes[start..start + size_of::<u128>()].copy_from_slice(&view::characters(name).to_le_bytes());
        } else {
            self.bytes[start..start + length].copy_from_slice(names.value(row).as_bytes());
        }
        let middle = start + length;
        self.bytes[middle..middle + ENDING_WORD].copy_from_slice(&ending.to_le_bytes());
        self.end = middle + ENDING;
        ByteView {
            length: (length + ENDING) as u32,
            prefix: (name >> 32) as u32,
            buffer_index: 0,
            offset: start as u32,
        }
        .as_u128()
    }

    fn buffers(mut self) -> Vec<Buffer> {
        self.bytes.truncate(self.end);
        if self.bytes.is_empty() { vec![] } else { vec![Buffer::from_vec(self.bytes)] }
    }
}

/// `_` and the digits of a birthday, the first one in the lowest byte, zeros above the sixth; none if its year is
/// outside 1 to 9999.
///
/// Birthdays from 1900 to 2099 are memoized: a file has millions of birthdays but few distinct ones.
#[inline]
fn ending(birthday: i32) -> Option<u64> {
    /// Zero for days that are not computed yet. Each entry is independent, so threads need no ordering: two that
    /// compute the same entry store the same value.
    static MEMO: [AtomicU64; MEMO_DAYS] = [const { AtomicU64::new(0) }; MEMO_DAYS];
    let Some(entry) = MEMO.get(birthday.wrapping_sub(MEMO_START) as u32 as usize) else {
        return compute_ending(birthday);
    };
    match entry.load(Ordering::Relaxed) {
        0 => {
            let ending = compute_ending(birthday)?;
            entry.store(ending, Ordering::Relaxed);
            Some(ending)
        }
        ending => Some(ending),
    }
}

/// 1900-01-01.
const MEMO_START: i32 = -25_567;
/// Number of days of the years 1900 to 2099.
const MEMO_DAYS: usize = 73_049;

#[cold]
fn compute_ending(birthday: i32) -> Option<u64> {
    let (year, month, day) = calendar::date(birthday);
    if !(1..=9999).contains(&year) {
        return None;
    }
    let hash = Sha256::digest(format!("{year:04}{month:02}{day:02}"));
    let digit = |index: usize| {
        let half = hash[index / 2] >> (4 * (1 - index % 2)) & 15;
        b"0123456789abcdef"[usize::from(half)]
    };
    Some(u64::from_le_bytes([b'_', digit(0), digit(1), digit(2), digit(3), digit(4), 0, 0]))
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, NaiveDate};
    use proptest::prelude::*;

    use super::*;

    fn day(year: i32, month: u32, day: u32) -> i32 {
        NaiveDate::from_ymd_opt(year, month, day).unwrap().num_days_from_ce() - 719_163
    }

    /// Reference implementation with chrono and the whole hash.
    fn reference(last_name: Option<&str>, birthday: Option<i32>) -> Option<String> {
        let date = NaiveDate::from_num_days_from_ce_opt(birthday?.checked_add(719_163)?)?;
        if !(1..=9999).contains(&date.year()) {
            return None;
        }
        let hash = Sha256::digest(date.format("%Y%m%d").to_string());
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(format!("{}_{}", last_name?, &hash[..5]))
    }

    fn names() -> impl Strategy<Value = String> {
        let [short, middling, any, long] = ["[A-Za-z]{0,8}", "[A-Za-z]{9,14}", "\\PC{0,8}", "[a-z]{15,40}"];
        prop_oneof![4 => short, 2 => middling, 1 => any, 1 => long]
    }

    fn birthdays() -> impl Strategy<Value = i32> {
        prop_oneof![4 => -25_600i32..50_000, 1 => -800_000i32..3_000_000, 1 => any::<i32>()]
    }

    fn members() -> impl Strategy<Value = Vec<(Option<String>, Option<i32>)>> {
        let name = prop::option::weighted(0.9, names());
        let birthday = prop::option::weighted(0.9, birthdays());
        prop::collection::vec((name, birthday), 0..60)
    }

    proptest! {
        #[test]
        fn an_array_has_the_ids_of_the_reference(
            members in members(),
            skip in 0usize..10,
            take in 0usize..60,
        ) {
            let skip = skip.min(members.len());
            let take = take.min(members.len() - skip);
            let names: StringViewArray = members.iter().map(|(name, _)| name.as_deref()).collect();
            let birthdays: Date32Array = members.iter().map(|(_, birthday)| *birthday).collect();
            let names = names.slice(skip, take);
            let ids = membership_ids(&names, &birthdays.slice(skip, take)).unwrap();
            ids.to_data().validate_full().unwrap();
            let expected: Vec<_> = members[skip..skip + take]
                .iter()
                .map(|(name, birthday)| reference(name.as_deref(), *birthday))
                .collect();
            let found: Vec<_> = ids.iter().map(|id| id.map(str::to_owned)).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn one_member_has_the_id_of_the_reference(name in names(), birthday in birthdays()) {
            let expected = reference(Some(&name), Some(birthday));
            prop_assert_eq!(membership_id(&name, birthday), expected);
        }
    }

    #[test]
    fn the_digits_are_those_of_sha256sum() {
        // printf 19860110 | sha256sum
        assert_eq!(membership_id("Smith", day(1986, 1, 10)).as_deref(), Some("Smith_3864b"));
    }

    #[test]
    fn a_memoized_birthday_has_the_same_digits() {
        let birthday = day(2001, 2, 3);
        assert_eq!(membership_id("Lee", birthday), membership_id("Lee", birthday));
        assert_eq!(ending(birthday), compute_ending(birthday));
    }

    #[test]
    fn the_memo_covers_1900_to_2099() {
        assert_eq!(MEMO_START, day(1900, 1, 1));
        assert_eq!(MEMO_START + MEMO_DAYS as i32, day(2100, 1, 1));
    }

    #[test]
    fn a_year_without_four_digits_has_no_id() {
        assert_eq!(membership_id("Lee", day(9999, 12, 31) + 1), None);
        assert_eq!(membership_id("Lee", day(1, 1, 1) - 1), None);
        assert!(membership_id("Lee", day(9999, 12, 31)).is_some());
        assert!(membership_id("Lee", day(1, 1, 1)).is_some());
    }

    #[test]
    fn arrays_of_different_lengths_are_refused() {
        let names = StringViewArray::from_iter_values(["Lee"]);
        assert!(membership_ids(&names, &Date32Array::from(vec![0, 1])).is_err());
    }
}
