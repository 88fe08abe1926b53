//! Reads applications and writes two folders of CSV.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::blocks::Blocks;
use crate::judge::{Applicant, Digests, REASONS, judge};
use crate::record::{Line, Lines};

const INPUT: &str = "name,email,date_of_birth,mobile_no";
/// The folders of the two routes, and the header of their files.
pub(crate) const ROUTES: [(&str, &str); 2] = [
    (
        "successful_application",
        "first_name,last_name,email,date_of_birth,mobile_no,above_18,membership_id",
    ),
    (
        "unsuccessful_application",
        "name,email,date_of_birth,mobile_no,reasons",
    ),
];

/// Process all applications of `input`; every thread writes one file per route below `output`.
pub(crate) fn run(input: &Path, output: &Path) -> Result<(), Box<dyn Error>> {
    let blocks = Blocks::below(input, INPUT)?;
    for (folder, _) in ROUTES {
        fs::create_dir_all(output.join(folder))?;
    }
    crate::on_every_thread(|number| {
        let [successful, unsuccessful] = ROUTES.map(|route| Part::create(output, route, number));
        let mut writer = Writer {
            successful: successful?,
            unsuccessful: unsuccessful?,
            digests: Digests::new(),
            endings: std::array::from_fn(|against| ending(against as u8)),
        };
        let (mut block, mut unquoted) = (Vec::new(), Vec::new());
        while let Some(records) = blocks.next(&mut block)? {
            for line in Lines::of(records) {
                let Some(fields) = line.fields::<4>(&mut unquoted) else {
                    return Err(format!(
                        "expected four fields: {}",
                        String::from_utf8_lossy(line.bytes)
                    )
                    .into());
                };
                match judge(fields) {
                    Ok(applicant) => writer.accept(&applicant, fields[1], line.has_quotes)?,
                    Err(against) => writer.reject(line, against)?,
                }
            }
        }
        writer.successful.flush()?;
        writer.unsuccessful.flush()?;
        Ok(())
    })?;
    Ok(())
}

/// The reasons column and line end of a rejected record.
fn ending(against: u8) -> Vec<u8> {
    let reasons: Vec<_> = (0..REASONS.len())
        .filter(|bit| against >> bit & 1 == 1)
        .map(|bit| REASONS[bit])
        .collect();
    format!(",{}\n", reasons.join(";")).into_bytes()
}

struct Writer {
    successful: Part,
    unsuccessful: Part,
    digests: Digests,
    endings: [Vec<u8>; 1 << REASONS.len()],
}

impl Writer {
    #[inline]
    fn accept(
        &mut self,
        applicant: &Applicant<'_>,
        email: &[u8],
        may_need_quotes: bool,
    ) -> io::Result<()> {
        let text = applicant.birthday.text();
        let digest = self.digests.of(applicant.birthday);
        let out = &mut self.successful.buffer;
        put(out, may_need_quotes, |out| {
            let words = applicant
                .first_name
                .split(u8::is_ascii_whitespace)
                .filter(|word| !word.is_empty());
            for (number, word) in words.enumerate() {
                if number > 0 {
                    out.push(b' ');
                }
                out.extend_from_slice(word);
            }
        });
        out.push(b',');
        put(out, may_need_quotes, |out| {
            out.extend_from_slice(applicant.last_name)
        });
        out.push(b',');
        put(out, may_need_quotes, |out| out.extend_from_slice(email));
        out.push(b',');
        out.extend_from_slice(&text);
        out.push(b',');
        out.extend_from_slice(&applicant.mobile);
        out.extend_from_slice(b",true,");
        put(out, may_need_quotes, |out| {
            out.extend_from_slice(applicant.last_name);
            out.push(b'_');
            out.extend_from_slice(&digest);
        });
        out.push(b'\n');
        self.successful.flush_if_full()
    }

    /// Write the unchanged record, including quotes, and the reasons.
    #[inline]
    fn reject(&mut self, line: Line<'_>, against: u8) -> io::Result<()> {
        self.unsuccessful.buffer.extend_from_slice(line.bytes);
        self.unsuccessful
            .buffer
            .extend_from_slice(&self.endings[usize::from(against)]);
        self.unsuccessful.flush_if_full()
    }
}

/// Append the output of `write`; fields that were not quoted in the input need no quotes.
#[inline]
fn put(out: &mut Vec<u8>, may_need_quotes: bool, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    write(out);
    if may_need_quotes {
        quote(out, start);
    }
}

/// Quote the text from `start` to the end of `out` if needed.
#[cold]
fn quote(out: &mut Vec<u8>, start: usize) {
    if !out[start..]
        .iter()
        .any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'))
    {
        return;
    }
    let field = out.split_off(start);
    out.push(b'"');
    for byte in field {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// One file of a route.
struct Part {
    file: File,
    buffer: Vec<u8>,
}

impl Part {
    const FULL: usize = 1 << 20;

    fn create(output: &Path, (folder, header): (&str, &str), number: usize) -> io::Result<Self> {
        let file = File::create(output.join(folder).join(format!("part-{number}.csv")))?;
        let mut buffer = Vec::with_capacity(Self::FULL + (1 << 12));
        buffer.extend_from_slice(header.as_bytes());
        buffer.push(b'\n');
        Ok(Self { file, buffer })
    }

    #[inline]
    fn flush_if_full(&mut self) -> io::Result<()> {
        if self.buffer.len() >= Self::FULL {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}
