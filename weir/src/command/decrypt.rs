//! `decrypt` and `rotate`: encrypted values in a text, read or encrypted with the key in use.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Write};

use clap::ValueEnum;

use super::TokensArgs;
use crate::error::{Error, Result, number_of};
use crate::protect::{self, KeyRing};
use crate::task::{PROJECT_FILE, Project};

/// How a value stands in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TextFormat {
    /// As it is.
    Text,
    /// As a field of a CSV file: quoted where it has to be.
    Csv,
    /// Within a string of JSON.
    Jsonl,
}

impl TextFormat {
    /// The value in the text; `is_quoted` says that it stands in quotes.
    fn written(self, value: &str, is_quoted: bool) -> String {
        match self {
            Self::Text => value.to_owned(),
            Self::Csv if is_quoted => value.replace('"', "\"\""),
            Self::Csv if value.contains(['"', ',', ';', '\t', '|', '\n', '\r']) || value.is_empty() => {
                format!("\"{}\"", value.replace('"', "\"\""))
            }
            Self::Csv => value.to_owned(),
            Self::Jsonl => {
                let quoted = serde_json::Value::from(value).to_string();
                quoted[1..quoted.len() - 1].to_owned()
            }
        }
    }

    fn of(args: &TokensArgs) -> Self {
        let extension = args.file.as_ref().and_then(|file| file.extension()).and_then(|extension| extension.to_str());
        args.format.unwrap_or(match extension {
            Some("csv") => Self::Csv,
            Some("json" | "jsonl") => Self::Jsonl,
            _ => Self::Text,
        })
    }
}

pub(super) fn decrypt(args: &TokensArgs) -> Result<u8> {
    let format = TextFormat::of(args);
    each_line(args, |line, keys| protect::decrypted(line, keys, |value, is_quoted| format.written(value, is_quoted)))?;
    Ok(0)
}

pub(super) fn rotate(args: &TokensArgs) -> Result<u8> {
    let values = each_line(args, protect::encrypted_again)?;
    if !args.log.quiet {
        complain!("{} encrypted again", number_of(values as usize, "value"));
    }
    Ok(0)
}

/// Writes the lines of the input to standard output, changed; returns how many values were.
fn each_line(
    args: &TokensArgs,
    change: impl for<'t> Fn(&'t str, &KeyRing) -> Result<(Cow<'t, str>, u64)>,
) -> Result<u64> {
    let project = Project::load(&args.project)?;
    if !project.exists() {
        let message = format!("there is no {PROJECT_FILE} in {}", args.project.display());
        return Err(Error::usage(message, "name its folder with --project"));
    }
    let keys = KeyRing::of(&project, project.keys())?;
    let name = args.file.as_ref().map_or("standard input".to_owned(), |file| file.display().to_string());
    let failed = |error: std::io::Error| Error::input(&name, error, "name a text file: CSV, JSON Lines or plain text");
    let mut input: Box<dyn BufRead> = match &args.file {
        Some(file) => Box::new(BufReader::new(File::open(file).map_err(failed)?)),
        None => Box::new(std::io::stdin().lock()),
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    // Who reads it may have enough.
    let is_read = |written: std::io::Result<()>| match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Error::system("standard output cannot be written", error, "look at what reads it")),
        Ok(()) => Ok(true),
    };
    let (mut line, mut values) = (String::new(), 0);
    while input.read_line(&mut line).map_err(failed)? > 0 {
        let (changed, count) = change(&line, &keys)?;
        if !is_read(out.write_all(changed.as_bytes()))? {
            return Ok(values);
        }
        values += count;
        line.clear();
    }
    is_read(out.flush()).map(|_| values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stands_in_the_text_as_its_format_needs_it() {
        let text = "Lee, \"Ann\"\n";
        assert_eq!(TextFormat::Text.written(text, false), text);
        assert_eq!(TextFormat::Csv.written(text, false), "\"Lee, \"\"Ann\"\"\n\"");
        assert_eq!(TextFormat::Csv.written(text, true), "Lee, \"\"Ann\"\"\n");
        assert_eq!(TextFormat::Csv.written("Ann", false), "Ann");
        assert_eq!(TextFormat::Jsonl.written(text, true), r#"Lee, \"Ann\"\n"#);
    }
}
