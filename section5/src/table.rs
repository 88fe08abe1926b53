//! A table of cars: read strictly, kept in one order, known by its hash.

use std::fmt::Write as _;
use std::path::Path;

use csv::{ByteRecord, StringRecord};
use sha2::{Digest, Sha256};

use crate::columns::{self, Columns, Wrong};
use crate::records::{self, Records};
use crate::schema::{Attribute, Car, Known, PRICES};
use crate::{Error, Result};

/// Cars, always in the order of their levels, whatever order they came in: so nothing that is computed from them
/// depends on the order of the rows in a file. It is the order of the published file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    cars: Vec<Car>,
}

impl Table {
    /// A table of these cars.
    pub fn new(mut cars: Vec<Car>) -> Self {
        cars.sort_unstable();
        Self { cars }
    }

    /// Reads a CSV file: with a header that names all attributes in any order, or without one and with the attributes
    /// in the order of [`Attribute::ALL`], as the published file is.
    ///
    /// # Errors
    /// If the file cannot be read, a column is missing, unknown or there twice, a line has too many or too few values,
    /// or a value is none of its attribute's; with file, line and column.
    pub fn read(path: &Path) -> Result<Self> {
        let text = records::read(path, "name a CSV file of cars; `section5 generate --output car.csv` makes one")?;
        Self::parse(&text, &path.display().to_string())
    }

    /// As [`Table::read`], from a text; `name` is what errors call it.
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
                message: "there is no car in it".to_owned(),
                help: format!("a line for each car: {}", columns::names(&Attribute::ALL)),
            });
        }
        Ok(Self::new(cars))
    }

    /// The cars, in order.
    pub fn cars(&self) -> &[Car] {
        &self.cars
    }

    /// The table as CSV; without the header it is the published file, if the table is the full one.
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

    /// How many cars have each price.
    pub fn prices(&self) -> [usize; PRICES] {
        let mut counts = [0; PRICES];
        for car in &self.cars {
            counts[car.price()] += 1;
        }
        counts
    }

    /// How many cars have the levels that are known.
    pub fn matching(&self, known: &Known) -> usize {
        self.cars.iter().filter(|car| known.matches(car)).count()
    }

    /// The table of the cars at these places.
    pub(crate) fn part(&self, places: &[usize]) -> Self {
        Self::new(places.iter().map(|place| self.cars[*place]).collect())
    }
}

/// The digits of a hash.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A string takes whatever is written to it.
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
