//! Objects of stores: each is brought to a temporary file, which is read in its place.

use std::fs;
use std::path::{Path, PathBuf};

use datafusion::logical_expr::ScalarUDF;

use super::input::Input;
use super::sample::Sample;
use crate::error::{Error, Result};
use crate::place;
use crate::task::Project;

/// The objects that were brought. Their files are removed when this is dropped.
#[derive(Default)]
pub(in crate::command) struct Objects {
    folders: Vec<PathBuf>,
}

impl Objects {
    /// Reads an object to its end.
    pub(super) async fn sample(&mut self, project: &Project, url: &str, functions: &[ScalarUDF]) -> Result<Sample> {
        let file = self.bring(project, url).await?;
        let mut sample = Sample::take(Input::open(&file)?, functions).await?;
        sample.input.given = PathBuf::from(url);
        Ok(sample)
    }

    /// The file of an object.
    pub(in crate::command) async fn bring(&mut self, project: &Project, url: &str) -> Result<PathBuf> {
        let name = Path::new(url).file_name().filter(|_| !url.ends_with('/') && !url.contains(['*', '?']));
        let Some(name) = name else {
            return Err(Error::usage(
                format!("{url}: is not one object"),
                "name one, as in s3://BUCKET/FOLDER/FILE.csv",
            ));
        };
        let file = self.folder(url)?.join(name);
        place::fetch(project, url, &file).await?;
        Ok(file)
    }

    fn folder(&mut self, url: &str) -> Result<PathBuf> {
        let name = format!("weir-init-{}-{}", std::process::id(), self.folders.len());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).map_err(|error| {
            Error::input(url, format!("{}: {error}", folder.display()), "set TMPDIR to a folder that is writable")
        })?;
        self.folders.push(folder.clone());
        Ok(folder)
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        for folder in &self.folders {
            if let Err(error) = fs::remove_dir_all(folder) {
                tracing::warn!(folder = %folder.display(), %error, "a temporary folder could not be removed");
            }
        }
    }
}
