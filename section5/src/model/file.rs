//! The model file: a JSON document with format name, version, content, and a hash of the content.

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

/// The format name in such a file.
pub const FORMAT: &str = "section5 model";
/// The version of the format that is written, and the newest one that can be read.
pub const VERSION: u64 = 1;

/// A fitted model with its training data and scores.
#[derive(Debug)]
pub struct Fitted {
    /// The candidate.
    pub candidate: Candidate,
    /// Its features, in the order of a row.
    pub features: Vec<Attribute>,
    /// The training cars.
    pub training: Table,
    /// Its cross-validation scores with their settings; none if it was not evaluated.
    pub evaluated: Option<(Settings, Scores)>,
    /// The fitted model.
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

    /// Serializes as a model file.
    ///
    /// # Errors
    /// If the model cannot be represented in JSON.
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

    /// Reads a model file.
    ///
    /// # Errors
    /// If it cannot be read, is not a model file, has a newer format, or is damaged.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let text = records::read(path, "specify a file that `section5 train` has written")?;
        Self::parse(&text).map_err(|(message, help)| Error::Model { path: name, message, help })
    }

    fn parse(text: &[u8]) -> Result<Self, (String, &'static str)> {
        let broken = |message: String| (message, "create it again: `section5 train`");
        let header = serde_json::from_slice::<Header>(text);
        let version = match header {
            Ok(Header { format: Some(format), version: Some(version) }) if format == FORMAT => version,
            Err(error) if error.is_eof() => return Err(broken(format!("the file is truncated: {error}"))),
            Err(_) | Ok(_) => {
                return Err((
                    "this is not a model file".to_owned(),
                    "specify a file that `section5 train` has written",
                ));
            }
        };
        if version > VERSION {
            let message = format!("the model has format version {version}, but this program supports up to {VERSION}");
            return Err((message, "use the section5 that wrote it or a newer one, or train again with this one"));
        }
        let file: File =
            serde_json::from_slice(text).map_err(|error| broken(format!("the file is damaged: {error}")))?;
        if hash(&file.content) != file.sha256 {
            return Err(broken("the file is damaged: its hash does not match".to_owned()));
        }
        Content::restore(&file.content).map_err(|message| broken(format!("the model is invalid: {message}")))
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
    /// Hash of the content's text in the file.
    sha256: String,
    content: Box<RawValue>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    model: Kind,
    feature_set: FeatureSet,
    features: Vec<Attribute>,
    /// Hash of the cars as CSV without a header.
    data_sha256: String,
    /// The training cars as CSV, to detect predictions that match none of them.
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
            return Err("its training cars do not match their hash".to_owned());
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
