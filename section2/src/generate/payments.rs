//! Payments of an order: mostly at once and in full.

use std::ops::Range;

use super::calendar::{DAY, HOUR, MINUTE, SECOND};
use super::random::Random;

/// A payment. Times are microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Payment {
    /// In hundredths of the currency.
    pub(super) amount: i64,
    pub(super) status: &'static str,
    pub(super) created: i64,
    pub(super) settled: Option<i64>,
    pub(super) completed: Option<i64>,
}

/// Frequencies of payment patterns per thousand orders.
const WAYS: [(Way, u64); 6] = [
    (Way::AtOnce, 880),
    (Way::FailsFirst, 40),
    (Way::InParts, 25),
    (Way::GivenBack, 25),
    (Way::Waits, 20),
    (Way::Fails, 10),
];

#[derive(Debug, Clone, Copy)]
enum Way {
    AtOnce,
    FailsFirst,
    InParts,
    GivenBack,
    Waits,
    Fails,
}

/// Generates the payments of a total in hundredths, for an order at the start of `time`; what is not done by its end is
/// pending. A total of 0 has no payment.
pub(super) fn pay(total: i64, time: Range<i64>, random: &mut Random, payments: &mut Vec<Payment>) {
    if total == 0 {
        return;
    }
    let end = time.end;
    let created = (time.start + random.between(5 * SECOND, 20 * MINUTE)).min(end - 1);
    match WAYS[random.weighted(&WAYS.map(|(_, orders)| orders))].0 {
        Way::AtOnce => payments.push(settled(total, created, end, random)),
        Way::FailsFirst => {
            payments.push(unsettled(total, "failed", created));
            let again = created + random.between(MINUTE, 2 * DAY);
            if again < end {
                payments.push(settled(total, again, end, random));
            }
        }
        Way::InParts => {
            let parts = random.between(2, 3);
            for part in 0..parts {
                let created = created + part * 30 * DAY;
                // The last part includes the remainder of the division.
                let amount = total / parts + if part == parts - 1 { total % parts } else { 0 };
                if created < end && amount > 0 {
                    payments.push(settled(amount, created, end, random));
                }
            }
        }
        Way::GivenBack => {
            let mut payment = settled(total, created, end, random);
            if payment.settled.is_some() {
                payment.status = "refunded";
            }
            payments.push(payment);
        }
        Way::Waits => payments.push(unsettled(total, "pending", created)),
        Way::Fails => payments.push(unsettled(total, "failed", created)),
    }
}

fn unsettled(amount: i64, status: &'static str, created: i64) -> Payment {
    Payment { amount, status, created, settled: None, completed: None }
}

/// The money is received soon or within days, and the parcel is delivered within ten more days.
fn settled(amount: i64, created: i64, end: i64, random: &mut Random) -> Payment {
    let soon = random.per_mille(850);
    let settled = created + if soon { random.between(SECOND, MINUTE) } else { random.between(HOUR, 3 * DAY) };
    let completed = settled + random.between(12 * HOUR, 10 * DAY);
    if settled >= end {
        return unsettled(amount, "pending", created);
    }
    let completed = (completed < end).then_some(completed);
    Payment { amount, status: "settled", created, settled: Some(settled), completed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payments_of(total: i64, time: Range<i64>) -> Vec<Vec<Payment>> {
        let mut random = Random::new(1, 0);
        let one = |_| {
            let mut payments = vec![];
            pay(total, time.clone(), &mut random, &mut payments);
            payments
        };
        (0..5000).map(one).collect()
    }

    fn sum(payments: &[Payment], status: &str) -> i64 {
        payments.iter().filter(|payment| payment.status == status).map(|payment| payment.amount).sum()
    }

    #[test]
    fn payments_do_not_exceed_the_total_of_the_order() {
        for payments in payments_of(1001, 0..1000 * DAY) {
            let paid = sum(&payments, "settled") + sum(&payments, "refunded");
            assert!(paid == 1001 || paid == 0, "{payments:?}");
        }
    }

    #[test]
    fn every_payment_pattern_occurs() {
        let all = payments_of(1001, 0..1000 * DAY);
        assert!(all.iter().any(|payments| payments.len() == 3));
        assert!(all.iter().any(|payments| payments.len() == 2 && payments[0].status == "failed"));
        for status in ["settled", "pending", "failed", "refunded"] {
            assert!(all.iter().any(|payments| payments.len() == 1 && payments[0].status == status), "{status}");
        }
    }

    #[test]
    fn nothing_happens_after_the_end() {
        for end in [1, MINUTE, HOUR, DAY, 40 * DAY] {
            for payment in payments_of(1001, 0..end).concat() {
                assert!(payment.created < end && payment.settled < Some(end) && payment.completed < Some(end));
            }
        }
    }

    #[test]
    fn a_total_of_zero_has_no_payment() {
        assert!(payments_of(0, 0..DAY).concat().is_empty());
    }

    #[test]
    fn no_partial_payment_is_zero() {
        assert!(payments_of(1, 0..1000 * DAY).concat().iter().all(|payment| payment.amount == 1));
    }
}
