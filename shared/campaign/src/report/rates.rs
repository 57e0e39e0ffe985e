//! Rates, with their denominators.

use super::Figures;
use crate::{Fact, Outcome};

/// What a rate is a rate of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// What the provider took.
    Sent,
    /// What the provider took of those actions of which it tells deliveries, where there are others.
    SentWhereDeliveriesAreTold,
    /// What has arrived.
    Delivered,
    /// What the provider took and has not come back, as nobody tells of deliveries.
    SentMinusBounced,
    /// Of each action what has arrived; where nobody tells of its deliveries, what was taken and has not come back.
    DeliveredOrSentMinusBounced,
    /// Who has opened it.
    UniqueOpens,
}

impl Of {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Sent,
        Self::SentWhereDeliveriesAreTold,
        Self::Delivered,
        Self::SentMinusBounced,
        Self::DeliveredOrSentMinusBounced,
        Self::UniqueOpens,
    ];

    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::SentWhereDeliveriesAreTold => "sent_where_deliveries_are_told",
            Self::Delivered => "delivered",
            Self::SentMinusBounced => "sent_minus_bounced",
            Self::DeliveredOrSentMinusBounced => "delivered_or_sent_minus_bounced",
            Self::UniqueOpens => "unique_opens",
        }
    }
}

/// A part of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Of what.
    pub of: Of,
    /// How many.
    pub numerator: u64,
    /// Of how many.
    pub denominator: u64,
}

impl Rate {
    /// The quotient, to six decimals; `None` where there is nothing to divide by.
    #[allow(clippy::cast_precision_loss, reason = "counts of messages are far below 2^52")]
    pub fn value(&self) -> Option<f64> {
        if self.denominator == 0 {
            return None;
        }
        Some((self.numerator as f64 / self.denominator as f64 * 1e6).round() / 1e6)
    }
}

/// The rates of some actions.
///
/// One rule says what has arrived, for each action: what its provider has told to be delivered, if it has told of any
/// delivery; else what was sent and has not come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Delivered, of sent. Where no delivery is told it is of nothing.
    pub delivery: Rate,
    /// Come back for good, of sent.
    pub hard_bounce: Rate,
    /// Come back for a reason that may pass, of sent.
    pub soft_bounce: Rate,
    /// People who opened it, of what arrived.
    pub unique_open: Rate,
    /// People who followed a link, of what arrived.
    pub unique_click: Rate,
    /// People who followed a link, of people who opened it.
    pub click_to_open: Rate,
    /// Who wants no more, of what arrived.
    pub unsubscribe: Rate,
    /// Who complained, of what arrived.
    pub complaint: Rate,
}

impl Rates {
    /// Of all these actions together.
    pub fn of<'f>(actions: impl IntoIterator<Item = &'f Figures>) -> Self {
        let mut all = Figures::default();
        let (mut told, mut told_of, mut assumed, mut told_any, mut assumed_any) = (0, 0, 0, false, false);
        for figures in actions {
            let sent = figures.outcome(Outcome::Sent);
            let delivered = figures.members(Fact::Delivered);
            if delivered > 0 {
                told += delivered;
                told_of += sent;
                told_any = true;
            } else if sent > 0 {
                let bounced = figures.members(Fact::HardBounced) + figures.members(Fact::SoftBounced);
                assumed += sent.saturating_sub(bounced);
                assumed_any = true;
            }
            all.add(figures);
        }
        let (of, of_sent) = match (told_any, assumed_any) {
            (true, true) => (Of::DeliveredOrSentMinusBounced, Of::SentWhereDeliveriesAreTold),
            (true, false) => (Of::Delivered, Of::Sent),
            (false, _) => (Of::SentMinusBounced, Of::Sent),
        };
        let sent = all.outcome(Outcome::Sent);
        let of_sent_all = |fact| Rate { of: Of::Sent, numerator: all.members(fact), denominator: sent };
        let of_arrived = |fact| Rate { of, numerator: all.members(fact), denominator: told + assumed };
        Self {
            delivery: Rate { of: of_sent, numerator: told, denominator: told_of },
            hard_bounce: of_sent_all(Fact::HardBounced),
            soft_bounce: of_sent_all(Fact::SoftBounced),
            unique_open: of_arrived(Fact::Opened),
            unique_click: of_arrived(Fact::Clicked),
            click_to_open: Rate {
                of: Of::UniqueOpens,
                numerator: all.members(Fact::Clicked),
                denominator: all.members(Fact::Opened),
            },
            unsubscribe: of_arrived(Fact::Unsubscribed),
            complaint: of_arrived(Fact::Complained),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;
    use crate::report::Counted;

    fn figures(sent: i64, facts: &[(Fact, i64)]) -> Figures {
        let mut figures = Figures::default();
        figures.book(Counted::Code(Code::Sent), sent);
        for (fact, count) in facts {
            figures.book(Counted::Members(*fact), *count);
        }
        figures
    }

    #[test]
    fn where_deliveries_are_told_they_are_what_arrived() {
        let told = figures(10, &[(Fact::Delivered, 8), (Fact::HardBounced, 1), (Fact::Opened, 2)]);
        let rates = Rates::of([&told]);
        assert_eq!(rates.unique_open, Rate { of: Of::Delivered, numerator: 2, denominator: 8 });
        assert_eq!(rates.delivery, Rate { of: Of::Sent, numerator: 8, denominator: 10 });
        assert_eq!(rates.unique_open.value(), Some(0.25));
        assert_eq!(rates.hard_bounce.value(), Some(0.1));
    }

    #[test]
    fn where_none_is_told_what_has_not_come_back_has_arrived() {
        let silent = figures(10, &[(Fact::SoftBounced, 1), (Fact::HardBounced, 2), (Fact::Clicked, 7)]);
        let rates = Rates::of([&silent]);
        assert_eq!(rates.unique_click, Rate { of: Of::SentMinusBounced, numerator: 7, denominator: 7 });
        assert_eq!(rates.delivery.value(), None, "nobody can say");
        assert_eq!(rates.click_to_open, Rate { of: Of::UniqueOpens, numerator: 7, denominator: 0 });
        assert_eq!(rates.click_to_open.value(), None);
    }

    #[test]
    fn of_several_actions_each_says_for_itself_what_arrived() {
        let told = figures(10, &[(Fact::Delivered, 8)]);
        let silent = figures(100, &[(Fact::HardBounced, 4), (Fact::Opened, 30)]);
        let nobody = Figures::default();
        let rates = Rates::of([&told, &silent, &nobody]);
        let of = Of::DeliveredOrSentMinusBounced;
        assert_eq!(rates.unique_open, Rate { of, numerator: 30, denominator: 104 });
        let of = Of::SentWhereDeliveriesAreTold;
        assert_eq!(rates.delivery, Rate { of, numerator: 8, denominator: 10 });
        assert_eq!(Rates::of([&told, &nobody]).unique_open.of, Of::Delivered);
        assert_eq!(Rates::of([]).unique_open.value(), None);
    }
}
