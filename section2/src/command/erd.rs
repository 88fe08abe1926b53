//! `section2 erd DIR`

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Server;
use crate::erd::{Entities, mermaid, svg};
use crate::{Error, Result};

/// Draw the entity-relationship diagram of a database: entity_diagram.mmd and entity_diagram.svg.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Output folder of the two files.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Arguments {
    pub(super) async fn run(self, server: &Server) -> Result<()> {
        let (database, mut client) = server.connect().await?;
        let entities = Entities::read(&database, &mut client).await?;
        for (name, text) in [("entity_diagram.mmd", mermaid(&entities)), ("entity_diagram.svg", svg(&entities))] {
            let path = self.folder.join(name);
            write(&path, &text)?;
            writeln!(std::io::stdout(), "{}", path.display())?;
        }
        Ok(())
    }
}

/// Replaces a file atomically, so that readers never see a partial one.
fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let replace = || {
        let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(path).map_err(|error| error.error)
    };
    match replace() {
        Ok(_) => Ok(()),
        Err(error) => {
            let missing = !folder.is_dir();
            let message = if missing { "its folder does not exist".to_owned() } else { error.to_string() };
            let help = if missing { "create the folder first" } else { "choose a writable folder" };
            Err(Error::Write { path: path.display().to_string(), message, help: help.to_owned() })
        }
    }
}
