//! Text in another encoding than UTF-8: it is decoded between the decompression and the parser.

use std::fmt;

use encoding_rs::{Decoder, DecoderResult, EncoderResult, Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE};

use super::stream::Fill;
use super::unpack::Decompressed;
use crate::error::{Error, Result};

/// Bytes that are decoded at once.
const RAW_BYTES: usize = 128 << 10;

/// What is no text in the encoding becomes this byte: it is not UTF-8 either, and rejects its record.
const INVALID: u8 = 0xff;

/// Spellings of other programs, and the label in the standard.
const ALIASES: [(&str, &str); 8] = [
    ("latin-1", "latin1"),
    ("latin-9", "iso-8859-15"),
    ("latin9", "iso-8859-15"),
    ("utf-16-le", "utf-16le"),
    ("utf-16-be", "utf-16be"),
    ("cp932", "windows-31j"),
    ("cp936", "gbk"),
    ("cp949", "euc-kr"),
];

/// What is said of a file in UTF-32.
pub(crate) const UTF_32: &str = "is UTF-32, which is not read";
pub(crate) const UTF_32_HELP: &str = "convert it to UTF-8: iconv -f UTF-32 -t UTF-8";

/// An encoding other than UTF-8.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Charset {
    encoding: &'static Encoding,
    /// Whether a byte order mark decides on the order of bytes.
    any_order: bool,
}

impl Charset {
    /// The encoding with a label of the WHATWG standard; `None` is UTF-8.
    pub(crate) fn named(label: &str) -> Result<Option<Self>, String> {
        let lower = label.trim().to_ascii_lowercase().replace('_', "-");
        let standard = ALIASES.iter().find(|(alias, _)| *alias == lower).map_or(lower.as_str(), |(_, label)| label);
        let found = Encoding::for_label(standard.as_bytes())
            .or_else(|| Encoding::for_label(label.trim().as_bytes()))
            .filter(|encoding| *encoding != REPLACEMENT);
        match found {
            Some(encoding) if encoding == UTF_8 => Ok(None),
            Some(encoding) => Ok(Some(Self { encoding, any_order: standard == "utf-16" })),
            None => Err(format!("`{label}` is not an encoding that can be read")),
        }
    }

    /// Its name in the standard.
    pub(crate) fn name(self) -> &'static str {
        self.encoding.name()
    }

    /// The encoding in which a file with these first bytes is read; fails if its byte order mark is that of another one.
    fn of_file(self, head: &[u8], name: &str) -> Result<Self> {
        if is_utf_32(head) {
            return Err(Error::input(name, UTF_32, UTF_32_HELP));
        }
        let Some((marked, _)) = Encoding::for_bom(head) else { return Ok(self) };
        let is_utf_16 = marked == UTF_16LE || marked == UTF_16BE;
        if marked == self.encoding || (self.any_order && is_utf_16) {
            return Ok(Self { encoding: marked, any_order: false });
        }
        let (marked, own) = (marked.name(), self.name());
        let help = format!("specify `encoding: {}`", if is_utf_16 { "utf-16" } else { "utf-8" });
        Err(Error::input(name, format!("begins with the byte order mark of {marked}, and `encoding` is {own}"), help))
    }

    /// Whether it has every character.
    pub(crate) fn is_unicode(self) -> bool {
        self.encoding == UTF_16LE || self.encoding == UTF_16BE
    }

    /// Appends a text in the encoding. Fails with a character that it does not have.
    pub(crate) fn encode(self, text: &str, out: &mut Vec<u8>) -> Result<(), char> {
        if self.encoding == UTF_16LE || self.encoding == UTF_16BE {
            let to_bytes = if self.encoding == UTF_16LE { u16::to_le_bytes } else { u16::to_be_bytes };
            text.encode_utf16().for_each(|unit| out.extend_from_slice(&to_bytes(unit)));
            return Ok(());
        }
        let mut encoder = self.encoding.new_encoder();
        let mut rest = text;
        loop {
            // Room for the rest, and for what switches a stateful encoding back.
            out.reserve(encoder.max_buffer_length_from_utf8_without_replacement(rest.len()).unwrap_or(rest.len()) + 16);
            let (result, read) = encoder.encode_from_utf8_to_vec_without_replacement(rest, out, true);
            rest = &rest[read..];
            match result {
                EncoderResult::InputEmpty => return Ok(()),
                EncoderResult::OutputFull => {}
                EncoderResult::Unmappable(missing) => return Err(missing),
            }
        }
    }
}

impl fmt::Debug for Charset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a file begins as UTF-32 does, which nothing reads: with its byte order mark, or with characters of which three
/// bytes are zero.
pub(crate) fn is_utf_32(head: &[u8]) -> bool {
    let is_little = |unit: &[u8]| matches!(unit, [1..=255, 0, 0, 0]);
    let is_big = |unit: &[u8]| matches!(unit, [0, 0, 0, 1..=255]);
    match head {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => true,
        [first, second, ..] if head.len() >= 8 && (*first == 0 || *second == 0) => {
            let units = || head[..head.len().min(64)].chunks_exact(4);
            units().all(is_little) || units().all(is_big)
        }
        _ => false,
    }
}

/// The encoding to declare for a file that begins as UTF-16 does: with its byte order mark, or as [`utf_16`] tells.
pub(crate) fn utf_16_of(head: &[u8]) -> Option<&'static str> {
    match head {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("utf-16"),
        _ => utf_16(head).map(|encoding| if encoding == UTF_16LE { "utf-16le" } else { "utf-16be" }),
    }
}

/// The kind of UTF-16 that a text without a byte order mark is. Whatever its language is, it has delimiters, digits and line
/// ends, of which one byte is zero; UTF-8 has hardly any such byte.
fn utf_16(text: &[u8]) -> Option<&'static Encoding> {
    const LOOKED_AT: usize = 4096;
    let text = &text[..text.len().min(LOOKED_AT) & !1];
    let is_ascii = |byte: u8| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n');
    let count = |is: &dyn Fn(u8, u8) -> bool| text.chunks_exact(2).filter(|unit| is(unit[0], unit[1])).count();
    let little = count(&|low, high| high == 0 && is_ascii(low));
    let big = count(&|high, low| high == 0 && is_ascii(low));
    let (most, least) = (little.max(big), little.min(big));
    let is_text = text.len() >= 4 && most > 3 * least && most * 40 >= text.len();
    let encoding = if little > big { UTF_16LE } else { UTF_16BE };
    // A text in UTF-8 may have a zero, but not where its other characters make sense in UTF-16, too.
    let (decoded, has_errors) = encoding.decode_without_bom_handling(text);
    let is_control = |c: char| c.is_control() && !matches!(c, '\t' | '\r' | '\n');
    let last_may_be_cut = decoded.trim_end_matches('\u{fffd}');
    let is_clean = !has_errors || !last_may_be_cut.contains('\u{fffd}');
    (is_text && is_clean && !last_may_be_cut.contains(is_control) && !is_mostly_utf_8(text, most)).then_some(encoding)
}

/// Whether a text is ASCII or UTF-8 with a few zeros in it. In UTF-16 every other byte of ASCII is zero.
fn is_mostly_utf_8(text: &[u8], zeros: usize) -> bool {
    let ascii = text.iter().filter(|byte| matches!(byte, b' '..=b'~' | b'\n')).count();
    ascii * 10 >= text.len() * 7 || (std::str::from_utf8(text).is_ok() && zeros * 20 < text.len())
}

/// The encoding in which a text most likely is that is not UTF-8.
pub(crate) fn guessed(text: &[u8], is_whole: bool) -> &'static Encoding {
    utf_16(text).unwrap_or_else(|| {
        let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
        detector.feed(text, is_whole);
        detector.guess(None, chardetng::Utf8Detection::Deny)
    })
}

/// The name of the encoding in which a text most likely is that is not UTF-8, if it is a text in it.
pub(crate) fn guessed_encoding(text: &[u8]) -> Option<&'static str> {
    let encoding = guessed(text, true);
    encoding.decode_without_bom_handling_and_without_replacement(text).map(|_| encoding.name())
}

/// The text of a file in UTF-8.
#[derive(Debug)]
pub(crate) struct Decoded {
    source: Decompressed,
    charset: Charset,
    decoder: Option<DebugDecoder>,
    raw: Vec<u8>,
}

/// The decoder, which has no form for people.
struct DebugDecoder(Decoder);

impl fmt::Debug for DebugDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.encoding().name())
    }
}

impl Decoded {
    pub(crate) fn new(source: Decompressed, charset: Charset) -> Self {
        Self { source, charset, decoder: None, raw: Vec::new() }
    }

    /// Decodes the bytes that were read.
    fn decode(decoder: &mut Decoder, raw: &[u8], is_last: bool, bytes: &mut Vec<u8>) {
        let mut rest = raw;
        loop {
            let room = decoder.max_utf8_buffer_length_without_replacement(rest.len()).unwrap_or(rest.len() * 3) + 16;
            let from = bytes.len();
            bytes.resize(from + room, 0);
            let (result, read, written) = decoder.decode_to_utf8_without_replacement(rest, &mut bytes[from..], is_last);
            bytes.truncate(from + written);
            rest = &rest[read..];
            match result {
                DecoderResult::InputEmpty => return,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => bytes.push(INVALID),
            }
        }
    }
}

impl Fill for Decoded {
    fn fill(&mut self, bytes: &mut Vec<u8>, length: usize) -> Result<bool> {
        loop {
            self.raw.clear();
            let is_last = self.source.fill(&mut self.raw, RAW_BYTES)?;
            let decoder = match &mut self.decoder {
                Some(decoder) => decoder,
                None => {
                    let charset = self.charset.of_file(&self.raw, self.source.name())?;
                    let decoder = charset.encoding.new_decoder_without_bom_handling();
                    self.decoder.insert(DebugDecoder(decoder))
                }
            };
            Self::decode(&mut decoder.0, &self.raw, is_last, bytes);
            if is_last || bytes.len() >= length {
                return Ok(is_last);
            }
        }
    }

    fn file(&mut self) -> Option<&mut Decompressed> {
        Some(&mut self.source)
    }
}
