//! Secrets are references: `${env:NAME}` and `${file:PATH}`. Their values appear in no error and no log.

use std::path::Path;

use serde_saphyr::Spanned;

use super::params::Params;
use crate::error::Result;
use crate::error::{Place, SourceText, TaskError};

/// Fills in parameters and secrets. A secret that is only a part of the text is percent-encoded as a part of a URL.
pub(super) fn fill(source: &SourceText, text: &Spanned<String>, params: &Params) -> Result<String> {
    let is_all = text.value.starts_with("${") && text.value.find('}') == Some(text.value.len() - 1);
    fill_with(source, text, params, |secret| if is_all { secret } else { percent_encoded(&secret) })
}

/// The same for a text that is no URL.
pub(super) fn fill_verbatim(source: &SourceText, text: &Spanned<String>, params: &Params) -> Result<String> {
    fill_with(source, text, params, |secret| secret)
}

fn fill_with(
    source: &SourceText,
    text: &Spanned<String>,
    params: &Params,
    written: impl Fn(String) -> String,
) -> Result<String> {
    params.fill_by(source, text, |name| {
        let error = |message: String, help: &str| {
            Box::new(TaskError::new(source, Place::of(text.referenced), message).with_help(help))
        };
        match name.split_once(':') {
            Some(("env", variable)) => Some(std::env::var(variable).map(&written).map_err(|_| {
                error(
                    format!("the environment variable `{variable}` is not set"),
                    "set it in the environment of the run",
                )
            })),
            Some(("file", path)) => Some(
                std::fs::read_to_string(Path::new(source.name()).with_file_name("").join(path))
                    .map_err(|cause| {
                        error(
                            format!("the secret in {path} cannot be read: {cause}"),
                            "give the user that runs weir read access to the file",
                        )
                    })
                    .map(|secret| written(secret.trim_end_matches(['\r', '\n']).to_owned())),
            ),
            Some((kind, _)) => {
                Some(Err(error(format!("unknown kind of secret `{kind}`"), "write ${env:NAME} or ${file:PATH}")))
            }
            None => None,
        }
    })
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String> {
        let source = SourceText::new(Path::new("weir.yaml"), format!("url: '{text}'"));
        let spec: std::collections::BTreeMap<String, Spanned<String>> = crate::task::parse_yaml(&source)?;
        fill(&source, &spec["url"], &Params::default())
    }

    #[test]
    fn a_whole_secret_is_verbatim_and_a_part_of_a_url_is_percent_encoded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "p@ss/wörd\n").unwrap();
        let reference = format!("${{file:{}}}", path.display());
        assert_eq!(filled(&reference).unwrap(), "p@ss/wörd");
        assert_eq!(
            filled(&format!("postgres://ann:{reference}@db/x")).unwrap(),
            "postgres://ann:p%40ss%2Fw%C3%B6rd@db/x"
        );
        assert_eq!(filled("${env:PATH}").unwrap(), std::env::var("PATH").unwrap());
    }

    #[test]
    fn a_missing_secret_is_named() {
        assert!(
            filled("${env:NO_SUCH_VARIABLE}")
                .unwrap_err()
                .to_string()
                .contains("variable `NO_SUCH_VARIABLE` is not set")
        );
        assert!(filled("${file:/no/such/file}").unwrap_err().to_string().contains("/no/such/file cannot be read"));
        assert!(filled("${vault:x}").unwrap_err().to_string().contains("unknown kind of secret `vault`"));
        assert!(filled("${other}").unwrap_err().to_string().contains("unknown parameter `${other}`"));
    }
}
