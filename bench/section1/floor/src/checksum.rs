//! Compares outputs: row count and checksum, independent of order, files and quoting.

use std::error::Error;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::blocks::Blocks;
use crate::record::Lines;
use crate::run::ROUTES;

/// Print `route rows checksum` for both routes below `output`.
///
/// The checksum is the sum, modulo 2^128, of the first half of the SHA-256 of every row's unquoted fields.
pub(crate) fn print(output: &Path) -> Result<(), Box<dyn Error>> {
    let [successful, unsuccessful] = ROUTES;
    let routes = [
        sum::<7>(output, successful)?,
        sum::<5>(output, unsuccessful)?,
    ];
    for ((folder, _), (rows, sum)) in ROUTES.iter().zip(routes) {
        println!("{folder} {rows} {sum:032x}");
    }
    Ok(())
}

fn sum<const N: usize>(
    output: &Path,
    (folder, header): (&'static str, &'static str),
) -> Result<(u64, u128), Box<dyn Error>> {
    let blocks = Blocks::below(&output.join(folder), header)?;
    let sums = crate::on_every_thread(|_| {
        let (mut block, mut unquoted, mut row) = (Vec::new(), Vec::new(), Vec::new());
        let (mut rows, mut sum) = (0_u64, 0_u128);
        while let Some(records) = blocks.next(&mut block)? {
            for line in Lines::of(records) {
                let Some(fields) = line.fields::<N>(&mut unquoted) else {
                    let line = String::from_utf8_lossy(line.bytes);
                    return Err(format!("{folder}: expected {N} fields: {line}").into());
                };
                row.clear();
                for field in fields {
                    row.extend_from_slice(&(field.len() as u32).to_le_bytes());
                    row.extend_from_slice(field);
                }
                let digest = Sha256::digest(&row);
                let half = digest.first_chunk().expect("a digest has 32 bytes");
                rows += 1;
                sum = sum.wrapping_add(u128::from_le_bytes(*half));
            }
        }
        Ok((rows, sum))
    })?;
    Ok(sums
        .into_iter()
        .fold((0, 0), |(rows, sum), (more_rows, more)| {
            (rows + more_rows, sum.wrapping_add(more))
        }))
}
