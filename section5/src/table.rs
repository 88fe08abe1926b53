//! A table of cars: strictly validated, in a canonical order, identified by its hash.

use std::fmt::Write as _;
use std::path::Path;

use csv::{ByteRecord, StringRecord};
use sha2::{Digest, Sha256};

use crate::columns::{self, Columns, Wrong};
use crate::records::{self, Records};
use crate::schema::{Attribute, Car, Known, PRICES};
use crate::{Error, Result};

/// Cars, always sorted by their levels, so that results do not depend on the order of rows in a file. It is the order
/// of the published file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    cars: Vec<Car>,
}

impl Table {
    /// Creates a table of these cars.
    pub fn new(mut cars: Vec<Car>) -> Self {
        cars.sort_unstable();
        Self { cars }
    }

    /// Reads a CSV file: with a header that has all attributes in any order, or without one and with the attributes in
    /// the order of [`Attribute::ALL`], like the published file.
    ///
    /// # Errors
    /// If the file cannot be read, a column is missing, unknown or duplicate, a line has too many or too few values, or
    /// a value is invalid for its attribute; with file, line and column.
    pub fn read(path: &Path) -> Result<Self> {
        let text = records::read(path, "specify a CSV file of cars; `section5 generate --output car.csv` writes one")?;
        Self::parse(&text, &path.display().to_string())
    }

    /// As [`Table::read`], from a text; `name` is its name in errors.
    ///
    /// # Errors
    /// As [`Table::read`].
    pub fn parse(text: &[u8], name: &str) -> Result<Self> {
        let mut records = Records::new(text, name);
        let mut record = ByteRecord::new();
        let mut columns = None;
        let mut cars = Vec::new();
        while let Some(line) = records.next(&mut record)? {
            let wrong = |wrong| records::at_line(name, line, wrong);
            let record = records::text(&record).map_err(wrong)?;
            match &columns {
                None if columns::is_header(&record) => columns = Some(header(&record).map_err(wrong)?),
                _ => {
                    let columns = columns.get_or_insert_with(Columns::of_a_row);
                    cars.push(car(columns, &record).map_err(wrong)?);
                }
            }
        }
        if cars.is_empty() {
            return Err(Error::Table {
                place: name.to_owned(),
                message: "it has no cars".to_owned(),
                help: format!("write a line per car: {}", columns::names(&Attribute::ALL)),
            });
        }
        Ok(Self::new(cars))
    }

    /// The cars, in order.
    pub fn cars(&self) -> &[Car] {
        &self.cars
    }

    /// The table as CSV; the full table without the header equals the published file.
    pub fn to_csv(&self, with_header: bool) -> String {
        let mut text = String::with_capacity(self.cars.len() * 32);
        if with_header {
            text.push_str(&Attribute::ALL.map(Attribute::name).join(","));
            text.push('\n');
        }
        for car in &self.cars {
            text.push_str(&Attribute::ALL.map(|attribute| attribute.level_name(car.level(attribute))).join(","));
            text.push('\n');
        }
        text
    }

    /// SHA-256 of the table as CSV without a header, in hexadecimal digits: the same for the same cars in any order.
    pub fn sha256(&self) -> String {
        hexadecimal(&Sha256::digest(self.to_csv(false)))
    }

    /// Number of cars with each price.
    pub fn prices(&self) -> [usize; PRICES] {
        let mut counts = [0; PRICES];
        for car in &self.cars {
            counts[car.price()] += 1;
        }
        counts
    }

    /// Number of cars with the known levels.
    pub fn matching(&self, known: &Known) -> usize {
        self.cars.iter().filter(|car| known.matches(car)).count()
    }

    /// The table of the cars at these indices.
    pub(crate) fn part(&self, places: &[usize]) -> Self {
        Self::new(places.iter().map(|place| self.cars[*place]).collect())
    }
}

/// The digits of a hash.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn header(record: &StringRecord) -> Result<Columns, Wrong> {
    let columns = Columns::named(record, &Attribute::ALL)?;
    match columns.without(&Attribute::ALL) {
        None => Ok(columns),
        Some(missing) => Err(Wrong {
            column: Some(missing.name().to_owned()),
            message: "the column is missing".to_owned(),
            help: format!("a table of cars has the columns {}", columns::names(&Attribute::ALL)),
        }),
    }
}

fn car(columns: &Columns, record: &StringRecord) -> Result<Car, Wrong> {
    let mut car = Car([0; _]);
    for (attribute, value) in columns.values(record)? {
        car.0[attribute.index()] = columns::level(attribute, value)?;
    }
    Ok(car)
}
