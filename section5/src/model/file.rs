//! A fitted model as a file: one JSON document that says what it is, which version, and by a hash whether it is whole.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest, Sha256};

use super::{FeatureSet, Kind, Model};
use crate::evaluate::{Candidate, Scores, Settings};
use crate::records;
use crate::schema::Attribute;
use crate::table::{Table, hexadecimal};
use crate::{Error, Result};

/// What such a file says it is.
pub const FORMAT: &str = "section5 model";
/// The version of the format that is written, and the newest that can be read.
pub const VERSION: u64 = 1;

/// A model, what it was fitted to, and how good it is.
#[derive(Debug)]
pub struct Fitted {
    /// Which one it is.
    pub candidate: Candidate,
    /// What it looks at, in the order of a row.
    pub features: Vec<Attribute>,
    /// The cars that it was fitted to.
    pub training: Table,
    /// How good it is on cars that it has not seen, and how that was found out; none if that was not asked.
    pub evaluated: Option<(Settings, Scores)>,
    /// What predicts.
    pub model: Box<dyn Model>,
}

impl Fitted {
    /// Fits a model to all cars of a table.
    ///
    /// # Errors
    /// If the solver fails.
    pub fn fit(training: Table, candidate: Candidate) -> Result<Self> {
        let features = candidate.feature_set.features(&training);
        let model = candidate.model.fit(&training, &features)?;
        Ok(Self { candidate, features, training, evaluated: None, model })
    }

    /// The file.
    ///
    /// # Errors
    /// If the model has no form in JSON.
    pub fn to_json(&self) -> Result<String> {
        let (settings, scores) = self.evaluated.clone().unzip();
        let content = Content {
            model: self.candidate.model,
            feature_set: self.candidate.feature_set,
            features: self.features.clone(),
            data_sha256: self.training.sha256(),
            training: self.training.to_csv(true),
            settings,
            scores,
            parameters: self.model.save()?,
        };
        let failed = |error: serde_json::Error| Error::Fit {
            model: self.candidate.model.name(),
            message: format!("it cannot be written as JSON: {error}"),
        };
        let content = to_raw_value(&content).map_err(failed)?;
        let sha256 = hash(&content);
        let file = File { format: FORMAT.to_owned(), version: VERSION, sha256, content };
        Ok(serde_json::to_string(&file).map_err(failed)? + "\n")
    }

    /// Reads such a file.
    ///
    /// # Errors
    /// If it cannot be read, is something else, was written in a newer format, or is not as it was written.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let text = records::read(path, "name a file that `section5 train` has written")?;
        Self::parse(&text).map_err(|(message, help)| Error::Model { path: name, message, help })
    }

    fn parse(text: &[u8]) -> Result<Self, (String, &'static str)> {
        let broken = |message: String| (message, "write it anew: `section5 train`");
        let header = serde_json::from_slice::<Header>(text);
        let version = match header {
            Ok(Header { format: Some(format), version: Some(version) }) if format == FORMAT => version,
            Err(error) if error.is_eof() => return Err(broken(format!("the file is cut off: {error}"))),
            Err(_) | Ok(_) => {
                return Err(("this is no model".to_owned(), "name a file that `section5 train` has written"));
            }
        };
        if version > VERSION {
            let message = format!("the model was written in format {version}, and this program reads up to {VERSION}");
            return Err((message, "use the section5 that wrote it, or a newer one, or train again with this one"));
        }
        let file: File =
            serde_json::from_slice(text).map_err(|error| broken(format!("the file is broken: {error}")))?;
        if hash(&file.content) != file.sha256 {
            return Err(broken("the file is not as it was written: its hash is another".to_owned()));
        }
        Content::restore(&file.content).map_err(|message| broken(format!("the model is broken: {message}")))
    }
}

#[derive(Deserialize)]
struct Header {
    format: Option<String>,
    version: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    version: u64,
    /// Of the content's text, as it stands in the file.
    sha256: String,
    content: Box<RawValue>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    model: Kind,
    feature_set: FeatureSet,
    features: Vec<Attribute>,
    /// Of the cars without a header.
    data_sha256: String,
    /// The cars as CSV: what is predicted for some may rest on none of them, and that is to be said.
    training: String,
    settings: Option<Settings>,
    scores: Option<Scores>,
    parameters: Box<RawValue>,
}

impl Content {
    fn restore(content: &RawValue) -> Result<Fitted, String> {
        let fields: Self = serde_json::from_str(content.get()).map_err(|error| error.to_string())?;
        let training =
            Table::parse(fields.training.as_bytes(), "its training cars").map_err(|error| error.to_string())?;
        if training.sha256() != fields.data_sha256 {
            return Err("its training cars are not those that it names".to_owned());
        }
        let candidate = Candidate::new(fields.model, fields.feature_set);
        let model = candidate.model.load(&fields.parameters)?;
        let evaluated = fields.settings.zip(fields.scores);
        Ok(Fitted { candidate, features: fields.features, training, evaluated, model })
    }
}

fn hash(content: &RawValue) -> String {
    hexadecimal(&Sha256::digest(content.get()))
}
