//! Predictions for a CSV file of cars: one output row per input row; rejected rows go to a separate file.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use csv::{ByteRecord, StringRecord, Writer};

use crate::columns::{self, Columns, Wrong};
use crate::model::Fitted;
use crate::predict::Prediction;
use crate::records::{self, Records, at_line};
use crate::schema::{Attribute, Known};
use crate::{Error, Result};

/// Result of a file.
#[derive(Debug)]
pub struct Batch {
    /// As CSV: the columns of the input, then `price`, a probability for each price, and `matching_rows`.
    pub predicted: Vec<u8>,
    /// As CSV: `line`, `reason`, then the unchanged row.
    pub rejected: Vec<u8>,
    /// Number of predicted cars.
    pub cars: usize,
    /// Errors of the rejected rows, with their lines.
    pub bad_rows: Vec<Error>,
    /// Number of predicted cars that match no training row.
    pub extrapolated: usize,
}

/// Predicts the price of each car of a CSV file, whose header has features in any order; an empty value is unknown.
/// `name` is the name of the file in errors.
///
/// # Errors
/// If the file cannot be read, or its header has a duplicate column or one that is not a feature.
pub fn predict(text: &[u8], name: &str, fitted: &Fitted) -> Result<Batch> {
    let mut records = Records::new(text, name);
    let mut record = ByteRecord::new();
    let Some(line) = records.next(&mut record)? else {
        return Err(at_line(name, 1, empty("the header is missing")));
    };
    let wrong = |wrong| at_line(name, line, wrong);
    let header = records::text(&record).map_err(wrong)?;
    let columns = Columns::named(&header, &Attribute::FEATURES).map_err(wrong)?;
    let mut sheets = Sheets::new(&header)?;
    // Cached, because files have many cars but few distinct ones.
    let mut predictions = HashMap::new();
    while let Some(line) = records.next(&mut record)? {
        match known(&columns, &record) {
            Ok(known) => {
                let prediction = match predictions.entry(known) {
                    Entry::Occupied(there) => there.into_mut(),
                    Entry::Vacant(free) => free.insert(Prediction::of(known, fitted)),
                };
                sheets.predicted(&record, prediction)?;
            }
            Err(wrong) => sheets.rejected(&record, wrong, name, line)?,
        }
    }
    let batch = sheets.finish()?;
    match batch.cars + batch.bad_rows.len() {
        0 => Err(at_line(name, 1, empty("there are no rows after the header"))),
        _ => Ok(batch),
    }
}

fn empty(message: &str) -> Wrong {
    let help =
        format!("the first line must have some of {}; a line per car follows", columns::names(&Attribute::FEATURES));
    Wrong { column: None, message: message.to_owned(), help }
}

fn known(columns: &Columns, record: &ByteRecord) -> Result<Known, Wrong> {
    let mut known = Known::default();
    for (feature, value) in columns.values(&records::text(record)?)? {
        if !value.is_empty() {
            known = known.with(feature, columns::level(feature, value)?);
        }
    }
    Ok(known)
}

/// The two output files.
struct Sheets {
    predicted: Writer<Vec<u8>>,
    rejected: Writer<Vec<u8>>,
    cars: usize,
    bad_rows: Vec<Error>,
    extrapolated: usize,
}

impl Sheets {
    fn new(header: &StringRecord) -> Result<Self> {
        let sheet = || csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
        let mut sheets = Self { predicted: sheet(), rejected: sheet(), cars: 0, bad_rows: Vec::new(), extrapolated: 0 };
        let probabilities = Attribute::Buying.levels().iter().map(|price| format!("probability_{price}"));
        let added = std::iter::once("price".to_owned()).chain(probabilities).chain(["matching_rows".to_owned()]);
        let columns: Vec<String> = header.iter().map(str::to_owned).chain(added).collect();
        sheets.predicted.write_record(columns).map_err(unwritten)?;
        sheets.rejected.write_record(["line", "reason"].into_iter().chain(header)).map_err(unwritten)?;
        Ok(sheets)
    }

    fn predicted(&mut self, record: &ByteRecord, prediction: &Prediction) -> Result<()> {
        self.cars += 1;
        self.extrapolated += usize::from(prediction.matching_rows == 0);
        let mut row = record.clone();
        row.push_field(prediction.price().as_bytes());
        for probability in prediction.probabilities {
            row.push_field(format!("{probability:.6}").as_bytes());
        }
        row.push_field(prediction.matching_rows.to_string().as_bytes());
        self.predicted.write_byte_record(&row).map_err(unwritten)
    }

    fn rejected(&mut self, record: &ByteRecord, wrong: Wrong, name: &str, line: u64) -> Result<()> {
        let reason = match &wrong.column {
            Some(column) => format!("{column}: {}", wrong.message),
            None => wrong.message.clone(),
        };
        self.bad_rows.push(at_line(name, line, wrong));
        let mut row = ByteRecord::from(vec![line.to_string(), reason]);
        row.extend(record);
        self.rejected.write_byte_record(&row).map_err(unwritten)
    }

    fn finish(self) -> Result<Batch> {
        let Self { predicted, rejected, cars, bad_rows, extrapolated } = self;
        let bytes = |sheet: Writer<Vec<u8>>| sheet.into_inner().map_err(|error| Error::Output(error.into_error()));
        Ok(Batch { predicted: bytes(predicted)?, rejected: bytes(rejected)?, cars, bad_rows, extrapolated })
    }
}

fn unwritten(error: csv::Error) -> Error {
    Error::Output(error.into())
}
