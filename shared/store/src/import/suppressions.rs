//! A file becomes entries of the suppression list.

use campaign::Channel;
use campaign::address::{EmailAddress, PhoneNumber, domain_to_ascii};
use campaign::suppression::SuppressionReason;
use futures::Stream;
use jiff::Timestamp;
use platform::Deadline;

use super::columns::ColumnError;
use super::rows::{self, Sink, Until};
use super::{BATCH_ROWS, Extent, Faults, ImportError, MAX_REPORTED, RowFault};
use crate::Store;
use crate::StoreError;
use crate::suppression::{Became, SuppressedDomain, Suppression, no_room};

/// The longest source, in characters.
pub const MAX_SOURCE: usize = 200;
/// The columns that are looked at.
const COLUMNS: [&str; 5] = ["channel", "address", "domain", "reason", "source"];

/// What holds of rows that do not say it themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsaid {
    /// Over which channel an address is suppressed.
    pub channel: Channel,
    /// Why.
    pub reason: SuppressionReason,
    /// Where it comes from, for people.
    pub source: Option<String>,
}

/// What became of a file of suppressed addresses. `rows = new + updated + unchanged + invalid`, always.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SuppressionReport {
    /// Whether the file was read to its end.
    pub extent: Extent,
    /// Data rows of the file, as far as it was read.
    pub rows: u64,
    /// Addresses and domains that are on the list now and were not.
    pub new: u64,
    /// Those that were on it for a lesser reason.
    pub updated: u64,
    /// Those that were on it for the same reason or a graver one, by an earlier row too.
    pub unchanged: u64,
    /// Rows left out.
    pub invalid: u64,
    /// Why, for the first [`MAX_REPORTED`] of them.
    pub faults: Vec<RowFault>,
}

/// The address in the form that deliveries have it in.
///
/// # Errors
/// The field at fault, and what is wrong with it, for people.
pub fn canonical(channel: Channel, address: &str) -> Result<String, (&'static str, String)> {
    let parsed = match channel {
        Channel::Email => EmailAddress::parse(address).map(|address| address.as_str().to_owned()),
        Channel::Sms => PhoneNumber::parse(address).map(|number| number.as_str().to_owned()),
        Channel::Push | Channel::Webhook => {
            let message = "has no addresses that could be suppressed: email and sms have";
            return Err(("channel", message.to_owned()));
        }
    };
    parsed.map_err(|error| ("address", error.to_string()))
}

impl Store {
    /// Adds what a CSV file names to the suppression list, as by hand: an entry that is there keeps its time and the graver
    /// reason. The file has a column `address` or `domain`, or both, of which each row fills one; and perhaps `channel`,
    /// `reason` and `source`. Other columns are not looked at. A file that was exported is taken as it is. After `until` no more
    /// of it is read, which the report says.
    ///
    /// # Errors
    /// [`ImportError`]; the rows before may have been taken, and the same file may be taken again.
    pub async fn import_suppressions<B, E, S>(
        &self,
        bytes: S,
        unsaid: Unsaid,
        until: Option<Deadline>,
    ) -> Result<SuppressionReport, ImportError<E>>
    where
        B: AsRef<[u8]>,
        S: Stream<Item = Result<B, E>>,
    {
        let mut importing = Importing {
            store: self,
            unsaid,
            at: self.platform.clock.now(),
            columns: [None; COLUMNS.len()],
            addresses: Vec::new(),
            domains: Vec::new(),
            faults: Faults::up_to(MAX_REPORTED),
            report: SuppressionReport::default(),
        };
        let extent = rows::read(bytes, Until::of(self, until), &mut importing).await?;
        importing.write().await?;
        Ok(SuppressionReport { extent, faults: importing.faults.take(), ..importing.report })
    }
}

struct Importing<'s> {
    store: &'s Store,
    unsaid: Unsaid,
    at: Timestamp,
    /// Where each of [`COLUMNS`] is.
    columns: [Option<usize>; COLUMNS.len()],
    addresses: Vec<Suppression>,
    /// The domains, by name, and the row and line of each.
    domains: Vec<((String, SuppressedDomain), (u64, u64))>,
    faults: Faults,
    report: SuppressionReport,
}

/// What a row says.
enum Wanted {
    Address(Suppression),
    Domain(String, SuppressedDomain),
}

impl Importing<'_> {
    fn read(&self, cells: [&str; COLUMNS.len()]) -> Result<Wanted, (Option<&'static str>, String)> {
        let [channel, address, domain, reason, source] = cells;
        let channel = match channel {
            "" => self.unsaid.channel,
            name => [Channel::Email, Channel::Sms]
                .into_iter()
                .find(|channel| channel.name() == name)
                .ok_or((Some("channel"), "is neither email nor sms".to_owned()))?,
        };
        let reason = match reason {
            "" => self.unsaid.reason,
            name => SuppressionReason::from_name(name).ok_or_else(|| {
                let names = SuppressionReason::ALL.map(SuppressionReason::name).join(", ");
                (Some("reason"), format!("is none of {names}"))
            })?,
        };
        if source.chars().count() > MAX_SOURCE {
            return Err((Some("source"), format!("has at most {MAX_SOURCE} characters")));
        }
        let source = if source.is_empty() { self.unsaid.source.clone() } else { Some(source.to_owned()) };
        let at = self.at;
        match (address, domain) {
            ("", "") => Err((None, "names neither an address nor a domain".to_owned())),
            (address, "") => {
                let address = canonical(channel, address).map_err(|(field, why)| (Some(field), why))?;
                Ok(Wanted::Address(Suppression { channel, address: Some(address), reason, source, at }))
            }
            ("", _) if channel != Channel::Email => {
                Err((Some("channel"), "only email has domains".to_owned()))
            }
            ("", domain) => {
                let name = domain_to_ascii(domain).map_err(|error| (Some("domain"), error.to_string()))?;
                Ok(Wanted::Domain(name.into_owned(), SuppressedDomain { reason, source, at }))
            }
            _ => Err((None, "names an address and a domain: leave one empty".to_owned())),
        }
    }

    fn invalid(&mut self, fault: RowFault) {
        self.report.invalid += 1;
        self.faults.note(fault);
    }

    fn count(&mut self, became: Became) {
        *match became {
            Became::New => &mut self.report.new,
            Became::Updated => &mut self.report.updated,
            Became::Unchanged => &mut self.report.unchanged,
        } += 1;
    }

    async fn write(&mut self) -> Result<(), StoreError> {
        let list = &self.store.suppressions;
        let became = list.add_many(&std::mem::take(&mut self.addresses)).await?;
        let (domains, places): (Vec<_>, Vec<_>) = std::mem::take(&mut self.domains).into_iter().unzip();
        let of_domains = if domains.is_empty() { Vec::new() } else { list.add_domains(&domains).await? };
        for became in became {
            self.count(became);
        }
        for (became, (row, line)) in of_domains.into_iter().zip(places) {
            match became {
                Some(became) => self.count(became),
                None => {
                    self.invalid(RowFault {
                        row,
                        line,
                        field: Some("domain".to_owned()),
                        message: no_room(),
                    });
                }
            }
        }
        Ok(())
    }
}

/// A cell without what an export puts in front of one that a spreadsheet would run.
fn cell(text: &str) -> &str {
    let text = text.trim();
    match text.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['=', '+', '-', '@']) => rest,
        _ => text,
    }
}

impl<E> Sink<E> for Importing<'_> {
    fn header(&mut self, names: &[String]) -> Result<(), ImportError<E>> {
        self.columns = COLUMNS.map(|column| names.iter().position(|name| name.eq_ignore_ascii_case(column)));
        if self.columns[1].is_none() && self.columns[2].is_none() {
            let message = "one of the columns must be address or domain".to_owned();
            return Err(ColumnError { name: names.join(","), message }.into());
        }
        Ok(())
    }

    fn row<'r>(&mut self, row: u64, line: u64, cells: impl Iterator<Item = &'r str>) {
        self.report.rows += 1;
        let mut wanted = [""; COLUMNS.len()];
        for (index, text) in cells.enumerate() {
            if let Some(column) = self.columns.iter().position(|column| *column == Some(index)) {
                wanted[column] = cell(text);
            }
        }
        match self.read(wanted) {
            Ok(Wanted::Address(entry)) => self.addresses.push(entry),
            Ok(Wanted::Domain(name, domain)) => self.domains.push(((name, domain), (row, line))),
            Err((field, message)) => {
                self.invalid(RowFault { row, line, field: field.map(str::to_owned), message });
            }
        }
    }

    fn unreadable(&mut self, fault: RowFault) {
        self.report.rows += 1;
        self.invalid(fault);
    }

    async fn relieve(&mut self) -> Result<(), ImportError<E>> {
        if self.addresses.len() + self.domains.len() >= BATCH_ROWS {
            self.write().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use platform::SystemClock;
    use platform::embedded::Embedded;

    use super::*;
    use crate::HashKey;
    use crate::suppression::MOST_DOMAINS;

    fn store() -> Store {
        Store::new(Embedded::in_memory(Arc::new(SystemClock)).platform(), HashKey([7; 32]))
    }

    async fn import(store: &Store, file: &str) -> SuppressionReport {
        let bytes = futures::stream::iter(file.as_bytes().chunks(7).map(Ok::<_, std::io::Error>));
        let unsaid =
            Unsaid { channel: Channel::Email, reason: SuppressionReason::Manual, source: Some("f".into()) };
        let report = store.import_suppressions(bytes, unsaid, None).await.unwrap();
        let sum = report.new + report.updated + report.unchanged + report.invalid;
        assert_eq!(report.rows, sum, "{report:?}");
        report
    }

    #[tokio::test]
    async fn every_row_is_counted_once_and_bad_ones_are_named() {
        let store = store();
        let report = import(
            &store,
            "\u{feff}Address;domain;channel;reason;source;other\r\n\
             Ann@Example.org;;;complaint;;x\r\n\
             ANN@example.ORG;;;hard_bounce;crm;x\r\n\
             ann@example.org;;;unsubscribed;;x\r\n\
             '+44 20 7946 0000;;sms;;;x\r\n\
             ;K\u{e4}se.de;;;;x\r\n\
             ;xn--kse-qla.de;;hard_bounce;;x\r\n\
             ann;;;;;x\r\n\
             ;;;;;x\r\n\
             a@x.io;x.io;;;;x\r\n\
             a@x.io;;fax;;;x\r\n\
             a@x.io;;;whim;;x\r\n\
             ;x.io;sms;;;x\r\n\
             a@x.io;;;;;x;too many\r\n",
        )
        .await;
        assert_eq!((report.rows, report.new, report.updated, report.unchanged), (13, 3, 2, 1));
        let faults: Vec<_> = report.faults.iter().map(|fault| (fault.row, fault.field.as_deref())).collect();
        let expected = [
            (7, Some("address")),
            (8, None),
            (9, None),
            (10, Some("channel")),
            (11, Some("reason")),
            (12, Some("channel")),
            (13, None),
        ];
        assert_eq!(faults, expected);
        let list = &store.suppressions;
        let ann = list.find(Channel::Email, "ann@example.org").await.unwrap().unwrap().suppression;
        assert_eq!((ann.reason, ann.source.as_deref()), (SuppressionReason::HardBounce, Some("crm")));
        assert_eq!(list.list(Channel::Email, None, 10).await.unwrap().0.len(), 1);
        let phone = list.find(Channel::Sms, "+442079460000").await.unwrap().unwrap().suppression;
        assert_eq!((phone.reason, phone.source.as_deref()), (SuppressionReason::Manual, Some("f")));
        assert_eq!(list.domains().await.unwrap()["xn--kse-qla.de"].reason, SuppressionReason::HardBounce);
    }

    #[tokio::test]
    async fn a_long_file_is_taken_whole_and_changes_nothing_the_second_time() {
        use std::fmt::Write;

        let store = store();
        let mut file = "address\n".to_owned();
        for number in 0..1001 {
            writeln!(file, "p{number}@example.org").unwrap();
        }
        let file = file.trim_end();
        assert_eq!(import(&store, file).await.new, 1001);
        let again = import(&store, file).await;
        assert_eq!((again.new, again.updated, again.unchanged), (0, 0, 1001));
        let mut listed = 0;
        let mut after = None;
        loop {
            let (page, next) = store.suppressions.list(Channel::Email, after, 100).await.unwrap();
            listed += page.len();
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(listed, 1001);
    }

    #[tokio::test]
    async fn there_is_room_for_so_many_domains() {
        use std::fmt::Write;

        let store = store();
        let mut file = "domain\n".to_owned();
        for number in 0..MOST_DOMAINS + 3 {
            writeln!(file, "d{number}.example.org").unwrap();
        }
        let report = import(&store, &file).await;
        assert_eq!((report.new, report.invalid), (MOST_DOMAINS as u64, 3));
        assert_eq!(report.faults[0].row, MOST_DOMAINS as u64 + 1);
    }

    #[tokio::test]
    async fn a_file_that_names_nobody_is_refused() {
        let bytes = || futures::stream::iter([Ok::<_, std::io::Error>("email,reason\na@x.io,manual\n")]);
        let unsaid = Unsaid { channel: Channel::Email, reason: SuppressionReason::Manual, source: None };
        let refused = store().import_suppressions(bytes(), unsaid, None).await;
        assert!(matches!(refused, Err(ImportError::Column(_))), "{refused:?}");
    }
}
