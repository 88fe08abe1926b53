//! A user's crontab: five fields and a command a line.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use chrono_tz::Tz;

use crate::error::{Error, Result};
use crate::task::{NAMED_TIMES, Times, parse_cron, parse_zone, read_text};

/// The lines of a crontab that start a program.
#[derive(Debug)]
pub(crate) struct Crontab {
    /// The line's number, its fields and command.
    lines: Vec<Line>,
    /// The search path that it sets for its commands.
    search: Option<String>,
}

#[derive(Debug)]
struct Line {
    number: usize,
    fields: String,
    /// The program in the command, as it is written there.
    file: String,
    command: String,
    times: Times,
}

impl Crontab {
    /// Reads a crontab. Only the lines count whose command has the program, or a script that is named after it, as a word:
    /// `cd /srv && section1 run`, `section1-job`.
    pub(crate) fn read(path: &Path, program: &str) -> Result<Self> {
        let wrong = |number: Option<usize>, what: &str, help: &str| {
            let at = number.map_or(path.display().to_string(), |number| format!("{}:{number}", path.display()));
            Error::usage(format!("crontab {at}: {what}"), help)
        };
        let text = read_text(path).map_err(|what| wrong(None, &what, "specify a readable crontab"))?;
        let zone = local_zone();
        let mut crontab = Self { lines: vec![], search: None };
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some((name, value)) = assignment(line) {
                if name == "PATH" {
                    crontab.search = Some(value.to_owned());
                }
                continue;
            }
            let help = "write minute, hour, day of the month, month, day of the week and a command";
            let (fields, command) = split(line).map_err(|what| wrong(Some(number), &what, help))?;
            let Some(file) = started(command, program).filter(|_| fields != "@reboot") else { continue };
            let cron = parse_cron(&fields).map_err(|what| wrong(Some(number), &what, help))?;
            let times = Times::new(cron, &fields, zone);
            let (file, command) = (file.to_owned(), command.to_owned());
            crontab.lines.push(Line { number, fields, file, command, times });
        }
        if crontab.lines.is_empty() {
            let help = format!("add a line such as `0 * * * * {program} run`");
            return Err(wrong(None, &format!("no line starts {program}"), &help));
        }
        // A crontab has no due time that a program can find out when the command cannot be started.
        for line in &crontab.lines {
            let file = line.file.as_str();
            if crontab.find(file).is_none() {
                let search = crontab.search_path();
                let help = format!("write the full path of the command, or `PATH=...` above it; PATH is {search}");
                return Err(wrong(Some(line.number), &format!("the command {file} is not found"), &help));
            }
        }
        Ok(crontab)
    }

    /// The due times of each line.
    pub(crate) fn times(&self) -> impl Iterator<Item = &Times> {
        self.lines.iter().map(|line| &line.times)
    }

    /// The lines, to be shown.
    pub(crate) fn shown(&self) -> String {
        let lines: Vec<_> = self.lines.iter().map(|line| format!("{} {}", line.fields, line.command)).collect();
        lines.join("; ")
    }

    /// The search path of the commands: that of the crontab, otherwise that of this process, which cron passes on if it
    /// was started like this process.
    fn search_path(&self) -> String {
        self.search.clone().or_else(|| std::env::var("PATH").ok()).unwrap_or_default()
    }

    fn find(&self, file: &str) -> Option<PathBuf> {
        let is_program = |path: &PathBuf| {
            std::fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
        };
        if file.contains('/') {
            return Some(PathBuf::from(file)).filter(is_program);
        }
        let search = self.search_path();
        std::env::split_paths(&search).map(|folder| folder.join(file)).find(is_program)
    }
}

/// `NAME=value`, which sets a variable for the commands.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then(|| (name, value.trim().trim_matches(['"', '\''])))
}

/// The fields of a line, and its command.
fn split(line: &str) -> Result<(String, &str), String> {
    let mut rest = line;
    let mut word = || {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after.trim_start();
        word
    };
    let first = word();
    let fields = if first.starts_with('@') {
        let known = NAMED_TIMES.iter().find(|(name, _)| *name == first).map(|(_, fields)| (*fields).to_owned());
        known.or_else(|| (first == "@reboot").then(|| first.to_owned())).ok_or(format!("`{first}` is unknown"))?
    } else {
        let words: Vec<&str> = std::iter::once(first).chain((1..5).map(|_| word())).collect();
        words.join(" ").trim_end().to_owned()
    };
    if rest.is_empty() { Err(format!("`{line}` has no command")) } else { Ok((fields, rest)) }
}

/// The word of a command that is the program, or a script that is named after it.
fn started<'a>(command: &'a str, program: &str) -> Option<&'a str> {
    command.split([' ', '\t', ';', '&', '|', '(', ')']).find(|word| {
        let name = word.rsplit('/').next().and_then(|name| name.strip_prefix(program));
        name.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

/// The time zone in which cron reads its fields: that of the machine.
fn local_zone() -> Tz {
    let name = std::env::var("TZ").ok().or_else(|| iana_time_zone::get_timezone().ok());
    name.and_then(|name| parse_zone(name.trim_start_matches(':')).ok()).unwrap_or(chrono_tz::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Crontab, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crontab");
        std::fs::write(&path, text).unwrap();
        Crontab::read(&path, "sh").map_err(|error| error.to_string().replace(&path.display().to_string(), "FILE"))
    }

    #[test]
    fn the_lines_that_start_the_program_count() {
        let word = |command: &str| started(command, "weir").map(str::to_owned);
        assert_eq!(word("cd /srv && /usr/bin/weir run"), Some("/usr/bin/weir".into()));
        assert_eq!(word("timeout 1h weir run; true"), Some("weir".into()));
        assert_eq!(word("rm /tmp/weir.log"), None);
        let crontab =
            read("# hourly\nMAILTO=ops\n\n0 * * * * other\n@daily A=1 sh -c true\n5,10 6 * * mon-fri /bin/sh run\n");
        let crontab = crontab.unwrap();
        assert_eq!(crontab.shown(), "0 0 * * * A=1 sh -c true; 5,10 6 * * mon-fri /bin/sh run");
        assert_eq!(crontab.times().count(), 2);
        assert_eq!(read("PATH=\"/usr/bin:/bin\"\n* * * * * sh\n").unwrap().search.as_deref(), Some("/usr/bin:/bin"));
    }

    #[test]
    fn a_crontab_that_never_starts_the_program_is_refused_with_its_line() {
        let error = |text: &str| read(text).unwrap_err();
        assert_eq!(error("# nothing\n"), "crontab FILE: no line starts sh");
        assert_eq!(error("0 * * * * other\n"), "crontab FILE: no line starts sh");
        assert_eq!(error("\n0 0 30 2 * sh\n"), "crontab FILE:2: `0 0 30 2 *` is never due");
        assert!(error("61 * * * * sh\n").starts_with("crontab FILE:1: `61 * * * *`: "));
        assert_eq!(error("0 * * * sh\n"), "crontab FILE:1: `0 * * * sh` has no command");
        assert_eq!(error("@often sh\n"), "crontab FILE:1: `@often` is unknown");
        assert_eq!(error("* * * * * /no/such/sh\n"), "crontab FILE:1: the command /no/such/sh is not found");
        assert_eq!(error("PATH=/nowhere\n* * * * * sh\n"), "crontab FILE:2: the command sh is not found");
    }
}
