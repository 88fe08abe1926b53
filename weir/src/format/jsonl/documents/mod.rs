//! JSON documents as JSON Lines: the records of an array, or objects one after the other, become a line each.
//!
//! Only brackets and texts are looked at, so that records are found as fast as they arrive; whether a record is JSON is
//! for the parser of lines. What is not a list of records, or is not complete, ends the run.

#[cfg(test)]
mod tests;

use std::mem;
use std::sync::Arc;

use memchr::memchr3;

use crate::error::{Error, Result};
use crate::format::text::{Decompressed, Fill, byte_order_mark, check_text};

/// Bytes of the text that are looked at at once.
const CHUNK_BYTES: usize = 128 << 10;

/// The most brackets around a value.
const MOST_BRACKETS: usize = 10_000;

/// The most keys of an object that a message names, and the length up to which a key is compared.
const NAMED_KEYS: usize = 20;
const KEY_BYTES: usize = 4 << 10;

/// What stands for a line break within a text, which JSON does not allow: another character that it does not allow.
const CONTROL: u8 = 1;

/// Where the records of documents are: the keys from the outermost object to the array. Without a key a document is an
/// array, or the records are the documents.
pub(crate) type RecordsPath = Arc<[String]>;

/// The records of the JSON documents in a text, one on each line.
#[derive(Debug)]
pub(crate) struct Documents {
    source: Box<dyn Fill>,
    /// The name of the file.
    name: String,
    path: RecordsPath,
    state: State,
    /// The open brackets, from the outermost one.
    open: Vec<u8>,
    /// The text that is looked at.
    chunk: Vec<u8>,
    /// Whether it is the first one.
    is_first: bool,
    /// Records that have begun.
    records: u64,
    /// The number of keys of the path that were found.
    found: usize,
    /// The key that is being read, and those of the object in which the next key of the path should be.
    key: Vec<u8>,
    keys: Vec<String>,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A document, of which there was none.
    Begin,
    /// A document, or the end.
    Next,
    /// A record of an array, or its end.
    First,
    /// A record of an array.
    Record,
    /// A comma, or the end of the array.
    Comma,
    /// The rest of a record.
    Inside(Inside),
    /// The way to the array: see `Seek`.
    Seek(Seek),
    /// The rest of the document around the array.
    Rest { text: Text },
    /// The end of the text.
    End,
}

/// The part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Brackets(Text),
    /// A number or a word, which is no record.
    Word,
}

/// Whether a text is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Outside,
    Inside,
    /// After a backslash.
    Escaped,
}

/// The part of an object in which a key of the path is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seek {
    /// A key, or the end.
    Key,
    InKey(Text),
    Colon,
    Value,
    /// The rest of a value that is not on the path.
    Skipped(Text),
    Comma,
}

impl Documents {
    pub(crate) fn new(source: Box<dyn Fill>, name: &str, path: RecordsPath) -> Self {
        Self {
            source,
            name: name.to_owned(),
            path,
            state: State::Begin,
            open: Vec::new(),
            chunk: Vec::new(),
            is_first: true,
            records: 0,
            found: 0,
            key: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// Looks at a chunk, and appends the records in it.
    fn take(&mut self, chunk: &[u8], lines: &mut Vec<u8>) -> Result<()> {
        let mut at = 0;
        while at < chunk.len() {
            at += match self.state {
                State::Inside(inside) => self.inside(inside, &chunk[at..], lines)?,
                State::Rest { text } => {
                    let (read, text) = self.skip(text, &chunk[at..], 0)?;
                    self.state = text.map_or(State::End, |text| State::Rest { text });
                    read
                }
                State::Seek(Seek::Skipped(text)) => {
                    let (read, text) = self.skip(text, &chunk[at..], self.found + 1)?;
                    self.state = State::Seek(text.map_or(Seek::Comma, Seek::Skipped));
                    read
                }
                State::Seek(Seek::InKey(text)) => {
                    self.in_key(text, chunk[at]);
                    1
                }
                state => {
                    if !chunk[at].is_ascii_whitespace() {
                        let is_read = self.between(state, chunk[at])?;
                        at += usize::from(is_read);
                        continue;
                    }
                    1
                }
            };
        }
        Ok(())
    }

    /// Takes a byte between records; returns whether it is not part of what comes next.
    fn between(&mut self, state: State, byte: u8) -> Result<bool> {
        let is_read = match (state, byte) {
            (State::Begin, b'[') if self.path.is_empty() => {
                self.open(byte)?;
                self.state = State::First;
                true
            }
            (State::Begin, b'{') if !self.path.is_empty() => {
                self.open(byte)?;
                self.state = State::Seek(Seek::Key);
                true
            }
            (State::Begin, b'[') => {
                let message = "is an array, and `records` names a key of an object";
                return Err(self.wrong(message, "remove `records`"));
            }
            (State::Begin | State::Next, b'{') if self.path.is_empty() => self.begin_record(),
            (State::Begin, _) => {
                let help = "correct its `format`, or the file";
                return Err(self.wrong("is not JSON: it begins with neither `{` nor `[`", help));
            }
            (State::First | State::Comma, b']') => {
                self.close(byte)?;
                let text = Text::Outside;
                self.state = if self.open.is_empty() { State::End } else { State::Rest { text } };
                true
            }
            (State::Comma, b',') => {
                self.state = State::Record;
                true
            }
            (State::First | State::Record, b',' | b']' | b'}' | b':') => return Err(self.unexpected("a record")),
            (State::First | State::Record, _) => self.begin_record(),
            (State::Comma, _) => return Err(self.unexpected("a comma or `]`")),
            (State::Seek(seek), byte) => self.seek(seek, byte)?,
            (State::Next, _) => return Err(self.unexpected("`{`")),
            (State::End | State::Inside(_) | State::Rest { .. }, _) => {
                let help = "correct the file; several documents in one file must be objects without `records`";
                return Err(self.wrong("has text behind its last record", help));
            }
        };
        Ok(is_read)
    }

    /// A byte of a record is the next one.
    fn begin_record(&mut self) -> bool {
        self.records += 1;
        self.state = State::Inside(Inside::Brackets(Text::Outside));
        false
    }

    /// Copies a part of a record onto its line; returns its length.
    fn inside(&mut self, inside: Inside, text: &[u8], lines: &mut Vec<u8>) -> Result<usize> {
        let level = self.level();
        let mut from = 0; // what is copied
        let mut at = 0;
        let mut state = match inside {
            Inside::Word => {
                let is_end = |byte: &u8| matches!(byte, b',' | b']' | b'}') || byte.is_ascii_whitespace();
                let end = text.iter().position(is_end);
                lines.extend_from_slice(&text[..end.unwrap_or(text.len())]);
                if end.is_some() {
                    self.end_record(lines);
                }
                return Ok(end.unwrap_or(text.len()));
            }
            Inside::Brackets(state) => state,
        };
        while at < text.len() {
            let byte = text[at];
            match state {
                Text::Escaped if byte != b'\n' => state = Text::Inside,
                Text::Inside | Text::Escaped => match memchr3(b'"', b'\\', b'\n', &text[at..]) {
                    None => at = text.len() - 1,
                    Some(next) => {
                        at += next;
                        match text[at] {
                            b'"' => state = Text::Outside,
                            b'\\' => state = Text::Escaped,
                            _ => {
                                lines.extend_from_slice(&text[from..at]);
                                lines.push(CONTROL);
                                from = at + 1;
                                state = Text::Inside;
                            }
                        }
                    }
                },
                Text::Outside => match byte {
                    b'"' => state = Text::Inside,
                    b'{' | b'[' => self.open(byte)?,
                    b'}' | b']' => self.close(byte)?,
                    b'\n' | b'\r' => {
                        lines.extend_from_slice(&text[from..at]);
                        lines.push(b' ');
                        from = at + 1;
                    }
                    _ if self.open.len() == level => {
                        self.state = State::Inside(Inside::Word);
                        return Ok(at);
                    }
                    _ => {}
                },
            }
            at += 1;
            if self.open.len() == level && state == Text::Outside {
                lines.extend_from_slice(&text[from..at]);
                self.end_record(lines);
                return Ok(at);
            }
        }
        lines.extend_from_slice(&text[from..]);
        self.state = State::Inside(Inside::Brackets(state));
        Ok(text.len())
    }

    fn end_record(&mut self, lines: &mut Vec<u8>) {
        lines.push(b'\n');
        self.state = if self.open.is_empty() { State::Next } else { State::Comma };
    }

    /// The number of brackets around the records.
    fn level(&self) -> usize {
        match (&self.open[..], self.path.len()) {
            ([b'[', ..], 0) => 1,
            (_, 0) => 0,
            (_, keys) => keys + 1,
        }
    }

    /// Passes over a value around which `level` brackets are open, or with none over the rest of the document. Returns
    /// the length that was read, and the state in which it goes on if the end is not in the text.
    fn skip(&mut self, mut state: Text, text: &[u8], level: usize) -> Result<(usize, Option<Text>)> {
        for (at, byte) in text.iter().enumerate() {
            match (state, byte) {
                (Text::Escaped, _) => state = Text::Inside,
                (Text::Inside, b'\\') => state = Text::Escaped,
                (Text::Inside, b'"') => state = Text::Outside,
                (Text::Inside, _) => {}
                (Text::Outside, b'"') => state = Text::Inside,
                (Text::Outside, b'{' | b'[') => self.open(*byte)?,
                (Text::Outside, b',' | b'}') if level > 0 && self.open.len() == level => return Ok((at, None)),
                (Text::Outside, b'}' | b']') => {
                    self.close(*byte)?;
                    if self.open.len() == level {
                        return Ok((at + 1, None));
                    }
                }
                (Text::Outside, _) => {}
            }
        }
        Ok((text.len(), Some(state)))
    }

    /// Takes a byte of an object on the way to the array; returns whether it is not part of what comes next.
    fn seek(&mut self, seek: Seek, byte: u8) -> Result<bool> {
        let next = match (seek, byte) {
            (Seek::Key, b'"') => {
                self.key.clear();
                Seek::InKey(Text::Inside)
            }
            (Seek::Key | Seek::Comma, b'}') => return Err(self.no_key()),
            (Seek::Comma, b',') => Seek::Key,
            (Seek::Colon, b':') => Seek::Value,
            (Seek::Value, _) if self.is_on_path() => {
                let is_last = self.found + 1 == self.path.len();
                let key = self.path[..=self.found].join(".");
                match byte {
                    b'[' if is_last => self.state = State::First,
                    b'{' if !is_last => self.state = State::Seek(Seek::Key),
                    _ => {
                        let what = if is_last { "an array" } else { "an object" };
                        return Err(self.wrong(&format!("`{key}` is not {what}"), "correct `records`"));
                    }
                }
                self.open(byte)?;
                self.found += 1;
                self.keys.clear();
                return Ok(true);
            }
            (Seek::Value, b',' | b'}' | b']' | b':') => return Err(self.unexpected("a value")),
            (Seek::Value, _) => {
                self.state = State::Seek(Seek::Skipped(Text::Outside));
                return Ok(false);
            }
            _ => return Err(self.unexpected("a key with its value")),
        };
        self.state = State::Seek(next);
        Ok(true)
    }

    /// Takes a byte of a key.
    fn in_key(&mut self, text: Text, byte: u8) {
        let text = match (text, byte) {
            (Text::Inside, b'\\') => Text::Escaped,
            (Text::Inside, b'"') => Text::Outside,
            _ => Text::Inside,
        };
        if text == Text::Outside {
            self.state = State::Seek(Seek::Colon);
            if self.keys.len() < NAMED_KEYS {
                self.keys.push(self.key());
            }
            return;
        }
        if self.key.len() < KEY_BYTES {
            self.key.push(byte);
        }
        self.state = State::Seek(Seek::InKey(text));
    }

    /// The key that was read last.
    fn key(&self) -> String {
        let quoted = [b"\"", &self.key[..], b"\""].concat();
        serde_json::from_slice(&quoted).unwrap_or_else(|_| String::from_utf8_lossy(&self.key).into_owned())
    }

    fn is_on_path(&self) -> bool {
        self.path.get(self.found).is_some_and(|key| *key == self.key())
    }

    fn open(&mut self, bracket: u8) -> Result<()> {
        if self.open.len() == MOST_BRACKETS {
            let message = format!("record {}: more than {MOST_BRACKETS} brackets are open", self.records);
            return Err(self.wrong(&message, "correct the file"));
        }
        self.open.push(bracket);
        Ok(())
    }

    fn close(&mut self, bracket: u8) -> Result<()> {
        let open = if bracket == b'}' { b'{' } else { b'[' };
        match self.open.pop() {
            Some(last) if last == open => Ok(()),
            _ => Err(self.unexpected(if bracket == b'}' { "`]`" } else { "`}`" })),
        }
    }

    /// Fails if the text must not end here.
    fn check_end(&self) -> Result<()> {
        let help = "write the complete file again";
        match self.state {
            State::End | State::Next => Ok(()),
            State::Begin => Err(self.wrong("has no JSON, only blanks", help)),
            State::Seek(_) => Err(self.wrong("is truncated: it ends before the array of records", help)),
            _ => Err(self.wrong(&format!("is truncated: it ends in or after record {}", self.records), help)),
        }
    }

    fn no_key(&self) -> Error {
        let parent = self.path[..self.found].join(".");
        let place = if parent.is_empty() { "it".to_owned() } else { format!("`{parent}`") };
        let keys = if self.keys.is_empty() { "none".to_owned() } else { self.keys.join(", ") };
        let message = format!("has no key `{}`", self.path[..=self.found].join("."));
        self.wrong(
            &message,
            &format!("correct `records`, the path of the array of records; the keys of {place} are: {keys}"),
        )
    }

    fn unexpected(&self, expected: &str) -> Error {
        let place = match self.records {
            0 => "before the first record".to_owned(),
            record => format!("in or after record {record}"),
        };
        self.wrong(
            &format!("is not JSON: {expected} is missing {place}"),
            "correct the file; no record of it was published",
        )
    }

    fn wrong(&self, message: &str, help: &str) -> Error {
        Error::input(&self.name, message, help)
    }
}

impl Fill for Documents {
    fn fill(&mut self, bytes: &mut Vec<u8>, length: usize) -> Result<bool> {
        loop {
            let mut chunk = mem::take(&mut self.chunk);
            chunk.clear();
            let is_last = self.source.fill(&mut chunk, CHUNK_BYTES)?;
            let start = if mem::take(&mut self.is_first) {
                check_text(&chunk, &self.name)?;
                byte_order_mark(&chunk)
            } else {
                0
            };
            self.take(&chunk[start..], bytes)?;
            self.chunk = chunk;
            if is_last {
                self.check_end()?;
            }
            if is_last || bytes.len() >= length {
                return Ok(is_last);
            }
        }
    }

    fn file(&mut self) -> Option<&mut Decompressed> {
        self.source.file()
    }
}
