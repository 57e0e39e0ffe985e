//! Figures as they go out.

use campaign::report::{Figures, Of, Rate, Rates, Tallied};
use campaign::{Fact, Outcome};
use serde::Serialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::executions::out::Reasons;

/// What became of messages. Once nothing is pending, `targeted = sent + failed + excluded + unknown`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FiguresOut {
    /// How many were to get it: what the audience's reading wrote down, or the calls brought; not a sum of what follows.
    /// `null` for a part of the campaign's life.
    #[schema(required)]
    pub(super) targeted: Option<u64>,
    /// The provider took it.
    pub(super) sent: u64,
    /// It could not be sent.
    pub(super) failed: Reasons,
    /// It must not be sent.
    pub(super) excluded: Reasons,
    /// It may have been sent; nobody can say.
    pub(super) unknown: u64,
    /// Not decided yet; `null` where `targeted` is.
    #[schema(required)]
    pub(super) pending: Option<u64>,
    /// Whether `targeted = sent + failed + excluded + unknown`; `null` where `targeted` is.
    #[schema(required)]
    pub(super) balances: Option<bool>,
    /// How many may have got it twice.
    pub(super) possible_duplicates: u64,
    /// How many the provider told to have arrived and not come back since.
    pub(super) delivered: u64,
    /// How many came back.
    pub(super) bounced: BouncedOut,
    /// How many the provider is still trying to deliver, the last it has told.
    pub(super) delayed: u64,
    pub(super) opens: ByWhomOut,
    pub(super) clicks: ByWhomOut,
    /// How many wanted no more.
    pub(super) unsubscribed: u64,
    /// How many called it unwanted.
    pub(super) complained: u64,
    pub(super) rates: RatesOut,
}

/// How many came back.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BouncedOut {
    /// For good.
    pub(super) hard: u64,
    /// For a reason that may pass.
    pub(super) soft: u64,
}

/// How often, by people and by programs: scanners, prefetchers, mail services that hide who reads.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ByWhomOut {
    pub(super) human: TimesOut,
    pub(super) machine: TimesOut,
}

/// How often something was done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TimesOut {
    /// All times; `null` in the report of one call, of which that is not kept.
    #[schema(required)]
    pub(super) total: Option<u64>,
    /// For how many recipients, each counted once, at the first time: exact.
    pub(super) unique: u64,
}

/// Rates. What has arrived is, for each action, what was delivered where its provider has told of any delivery, and else
/// what was sent and has not come back. Those of a period are of what became known in it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RatesOut {
    /// Delivered, of sent. Nothing can be said where no delivery is told.
    delivery: RateOut,
    /// Come back for good, of sent.
    hard_bounce: RateOut,
    /// Come back for a reason that may pass, of sent.
    soft_bounce: RateOut,
    /// People who opened it, of what arrived.
    unique_open: RateOut,
    /// People who followed a link, of what arrived.
    unique_click: RateOut,
    /// People who followed a link, of people who opened it.
    click_to_open: RateOut,
    /// Unsubscribed, of what arrived.
    unsubscribe: RateOut,
    /// Complained, of what arrived.
    complaint: RateOut,
}

/// A rate, with its denominator, and in `of` what that counts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RateOut {
    /// The quotient, to six decimals; `null` where the denominator is 0.
    #[schema(required)]
    value: Option<f64>,
    #[schema(inline, value_type = OfSchema)]
    of: &'static str,
    numerator: u64,
    denominator: u64,
}

/// What the denominator of a rate counts.
pub(crate) struct OfSchema;

impl PartialSchema for OfSchema {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Of::ALL.map(Of::name))).into()
    }
}

impl ToSchema for OfSchema {}

impl From<Rate> for RateOut {
    fn from(rate: Rate) -> Self {
        Self {
            value: rate.value(),
            of: rate.of.name(),
            numerator: rate.numerator,
            denominator: rate.denominator,
        }
    }
}

impl From<Rates> for RatesOut {
    fn from(rates: Rates) -> Self {
        Self {
            delivery: rates.delivery.into(),
            hard_bounce: rates.hard_bounce.into(),
            soft_bounce: rates.soft_bounce.into(),
            unique_open: rates.unique_open.into(),
            unique_click: rates.unique_click.into(),
            click_to_open: rates.click_to_open.into(),
            unsubscribe: rates.unsubscribe.into(),
            complaint: rates.complaint.into(),
        }
    }
}

/// What is known beside the figures themselves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// Whether all of the campaign's life is reported, so that how many were targeted says something.
    pub(super) is_whole: bool,
    /// Whether visits are counted.
    pub(super) has_visits: bool,
}

impl FiguresOut {
    /// Of these actions together.
    pub(super) fn of<'t>(actions: impl IntoIterator<Item = &'t Tallied>, known: Known) -> Self {
        let actions: Vec<_> = actions.into_iter().collect();
        let (mut all, mut targeted) = (Figures::default(), 0);
        for tallied in &actions {
            all.add(&tallied.figures);
            targeted += tallied.targeted;
        }
        let counts = all.counts(targeted);
        let whole = |number| known.is_whole.then_some(number);
        Self {
            targeted: whole(targeted),
            sent: counts.outcome(Outcome::Sent),
            failed: Reasons::of(&counts, Outcome::Failed),
            excluded: Reasons::of(&counts, Outcome::Excluded),
            unknown: counts.outcome(Outcome::Unknown),
            pending: whole(counts.outcome(Outcome::Pending)),
            balances: known.is_whole.then(|| counts.balances()),
            possible_duplicates: counts.possible_duplicates(),
            delivered: all.members(Fact::Delivered),
            bounced: BouncedOut {
                hard: all.members(Fact::HardBounced),
                soft: all.members(Fact::SoftBounced),
            },
            delayed: all.members(Fact::Delayed),
            opens: ByWhomOut::of(&all, Fact::Opened, Fact::MachineOpened, known),
            clicks: ByWhomOut::of(&all, Fact::Clicked, Fact::MachineClicked, known),
            unsubscribed: all.members(Fact::Unsubscribed),
            complained: all.members(Fact::Complained),
            rates: Rates::of(actions.iter().map(|tallied| &tallied.figures)).into(),
        }
    }

    /// The rates, in the order of [`Rates`].
    pub(super) const fn rates(&self) -> [&RateOut; 8] {
        let rates = &self.rates;
        [
            &rates.delivery,
            &rates.hard_bounce,
            &rates.soft_bounce,
            &rates.unique_open,
            &rates.unique_click,
            &rates.click_to_open,
            &rates.unsubscribe,
            &rates.complaint,
        ]
    }
}

impl RateOut {
    /// Its value, denominator and what that counts, as cells.
    pub(super) fn cells(&self) -> [String; 3] {
        let value = self.value.map(|value| value.to_string()).unwrap_or_default();
        [value, self.denominator.to_string(), self.of.to_owned()]
    }
}

impl ByWhomOut {
    pub(super) fn of(figures: &Figures, human: Fact, machine: Fact, known: Known) -> Self {
        let times = |fact| TimesOut {
            total: known.has_visits.then(|| figures.visits(fact)),
            unique: figures.members(fact),
        };
        Self { human: times(human), machine: times(machine) }
    }

    /// Total and unique by people, then by programs, as cells.
    pub(super) fn cells(&self) -> [String; 4] {
        let total = |times: &TimesOut| times.total.map(|total| total.to_string()).unwrap_or_default();
        [
            total(&self.human),
            self.human.unique.to_string(),
            total(&self.machine),
            self.machine.unique.to_string(),
        ]
    }
}
