//! The items of a group as bytes, one after the other: what is kept of its rows, and what the parts of a group exchange. The
//! items of two parts are those of the whole.

/// An item of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item<'a> {
    /// What it is ordered by, as bytes that compare alike; empty if there is no order.
    pub(super) order: &'a [u8],
    /// The JSON of its key; empty in an array.
    pub(super) key: &'a [u8],
    /// The JSON of its value; empty if the row cannot be an item: `key` says why.
    pub(super) value: &'a [u8],
}

impl Item<'_> {
    /// Appends it.
    #[inline]
    pub(super) fn push(&self, out: &mut Vec<u8>) {
        for part in [self.order, self.key, self.value] {
            push_length(part.len(), out);
        }
        for part in [self.order, self.key, self.value] {
            out.extend_from_slice(part);
        }
    }
}

/// The items of a group, in the order in which they were added.
pub(super) fn items(mut bytes: &[u8]) -> impl Iterator<Item = Item<'_>> {
    std::iter::from_fn(move || {
        let lengths = [take_length(&mut bytes)?, take_length(&mut bytes)?, take_length(&mut bytes)?];
        let [order, key, value] = lengths.map(|length| bytes.split_off(..length));
        Some(Item { order: order?, key: key?, value: value? })
    })
}

/// Seven bits a byte, the lowest first; all but the last have the highest bit.
#[inline]
fn push_length(mut length: usize, out: &mut Vec<u8>) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

fn take_length(bytes: &mut &[u8]) -> Option<usize> {
    let mut length = 0;
    for shift in (0..).step_by(7) {
        let byte = *bytes.split_off_first()?;
        length |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn items_are_read_as_they_were_added(
            all in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), "[a-z]{0,9}", "[a-z]{0,200}"), 0..20),
        ) {
            let all: Vec<Item> = all
                .iter()
                .map(|(order, key, value)| Item { order, key: key.as_bytes(), value: value.as_bytes() })
                .collect();
            let mut bytes = Vec::new();
            all.iter().for_each(|item| item.push(&mut bytes));
            prop_assert!(items(&bytes).eq(all.iter().copied()));
        }
    }
}
