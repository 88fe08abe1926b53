//! The columns of a CSV file, matched with the attributes by name.

use csv::StringRecord;

use crate::schema::Attribute;

/// The attribute of each column, in the order of the file.
#[derive(Debug, Clone)]
pub(crate) struct Columns(Vec<Attribute>);

/// An error of a header or a row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The column, if it concerns one.
    pub(crate) column: Option<String>,
    pub(crate) message: String,
    pub(crate) help: String,
}

impl Columns {
    /// All attributes in the order of a row, as in a file without a header.
    pub(crate) fn of_a_row() -> Self {
        Self(Attribute::ALL.to_vec())
    }

    /// The columns of a header; only allowed ones, each at most once.
    pub(crate) fn named(header: &StringRecord, allowed: &[Attribute]) -> Result<Self, Wrong> {
        let mut columns = Vec::with_capacity(header.len());
        for name in header {
            let known = Attribute::named(name).filter(|attribute| allowed.contains(attribute));
            let wrong = |message: &str, help: String| Wrong {
                column: Some(name.to_owned()),
                message: message.to_owned(),
                help,
            };
            match known {
                None => return Err(wrong("unknown column", format!("the columns are {}", names(allowed)))),
                Some(attribute) if columns.contains(&attribute) => {
                    return Err(wrong("duplicate column", "remove one of them".to_owned()));
                }
                Some(attribute) => columns.push(attribute),
            }
        }
        Ok(Self(columns))
    }

    /// The first required attribute without a column.
    pub(crate) fn without(&self, required: &[Attribute]) -> Option<Attribute> {
        required.iter().copied().find(|attribute| !self.0.contains(attribute))
    }

    /// The attributes of a row with their values, one per column.
    pub(crate) fn values<'r>(
        &self,
        record: &'r StringRecord,
    ) -> Result<impl Iterator<Item = (Attribute, &'r str)> + use<'_, 'r>, Wrong> {
        let (has, must) = (record.len(), self.0.len());
        if has == must {
            return Ok(self.0.iter().copied().zip(record));
        }
        Err(Wrong {
            column: None,
            message: format!("the line has {has} {}, not {must}", if has == 1 { "value" } else { "values" }),
            help: format!("a line must have a value for each of {}", names(&self.0)),
        })
    }
}

/// The number of the level with this name.
pub(crate) fn level(attribute: Attribute, value: &str) -> Result<u8, Wrong> {
    attribute.level(value).ok_or_else(|| Wrong {
        column: Some(attribute.name().to_owned()),
        message: match value {
            "" => "the value is missing".to_owned(),
            value => format!("{value:?} is not a valid value"),
        },
        help: format!("valid values are {}", attribute.levels().join(", ")),
    })
}

/// A header has column names; a row has only values, and no value is a column name.
pub(crate) fn is_header(record: &StringRecord) -> bool {
    record.iter().any(|field| Attribute::named(field).is_some())
}

pub(crate) fn names(attributes: &[Attribute]) -> String {
    attributes.iter().map(|attribute| attribute.name()).collect::<Vec<_>>().join(", ")
}
