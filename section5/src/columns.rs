//! The columns of a CSV file, held against the attributes: by name, never by position.

use csv::StringRecord;

use crate::schema::Attribute;

/// Which attribute each column of a file has, in the order of the file.
#[derive(Debug, Clone)]
pub(crate) struct Columns(Vec<Attribute>);

/// What is wrong with a header or a row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The column, if it is about one.
    pub(crate) column: Option<String>,
    pub(crate) message: String,
    pub(crate) help: String,
}

impl Columns {
    /// All attributes in the order of a row, as in a file without a header.
    pub(crate) fn of_a_row() -> Self {
        Self(Attribute::ALL.to_vec())
    }

    /// The columns that a header names, if they are among those that are allowed, each at most once.
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
                None => return Err(wrong("there is no such column", format!("columns are {}", names(allowed)))),
                Some(attribute) if columns.contains(&attribute) => {
                    return Err(wrong("the column is there twice", "leave one of them out".to_owned()));
                }
                Some(attribute) => columns.push(attribute),
            }
        }
        Ok(Self(columns))
    }

    /// The first of these attributes that has no column.
    pub(crate) fn without(&self, required: &[Attribute]) -> Option<Attribute> {
        required.iter().copied().find(|attribute| !self.0.contains(attribute))
    }

    /// The attributes of a row with their values; as many as there are columns.
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
            help: format!("a line has a value for each of {}", names(&self.0)),
        })
    }
}

/// The number of the level that a value names.
pub(crate) fn level(attribute: Attribute, value: &str) -> Result<u8, Wrong> {
    attribute.level(value).ok_or_else(|| Wrong {
        column: Some(attribute.name().to_owned()),
        message: match value {
            "" => "there is no value".to_owned(),
            value => format!("{value:?} is not a value of it"),
        },
        help: format!("its values are {}", attribute.levels().join(", ")),
    })
}

/// A header names columns; a row has values only, and no value is a name.
pub(crate) fn is_header(record: &StringRecord) -> bool {
    record.iter().any(|field| Attribute::named(field).is_some())
}

pub(crate) fn names(attributes: &[Attribute]) -> String {
    attributes.iter().map(|attribute| attribute.name()).collect::<Vec<_>>().join(", ")
}
