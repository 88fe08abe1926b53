//! Whether values fit into the columns of a table, as its server says.

use std::collections::HashMap;
use std::fmt::{Debug, Write};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::DataFusionError;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::error::Result;
use crate::quality::ColumnTest;

/// A session that is asked about values, by one reader after the other.
#[derive(Debug)]
pub(in crate::sink) struct Session<S> {
    session: Mutex<S>,
    /// Readers may be on threads that are not the runtime's.
    runtime: Handle,
}

impl<S> Session<S> {
    pub(in crate::sink) fn new(session: S) -> Self {
        Self { session: Mutex::new(session), runtime: Handle::current() }
    }
}

/// What a session is asked about a column.
#[async_trait]
pub(in crate::sink) trait Ask: Debug + Send + Sync {
    type Session: Debug + Send;

    /// The positions of the texts that do not fit.
    async fn unfit(&self, session: &mut Self::Session, texts: &[&str]) -> Result<Vec<usize>>;
}

/// Asks whether values fit into a column of another type. Null does: whether a column takes it is another question.
#[derive(Debug)]
pub(in crate::sink) struct Fits<A: Ask> {
    pub(in crate::sink) session: Arc<Session<A::Session>>,
    pub(in crate::sink) ask: A,
}

impl<A: Ask> ColumnTest for Fits<A> {
    /// Each different value of a batch is asked for once.
    fn holds(&self, values: &ArrayRef) -> Result<BooleanBuffer, DataFusionError> {
        let texts = texts(values)?;
        let texts = texts.as_string_view();
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut different = Vec::new();
        for text in texts.iter().flatten() {
            places.entry(text).or_insert_with(|| {
                different.push(text);
                different.len() - 1
            });
        }
        if different.is_empty() {
            return Ok(BooleanBuffer::new_set(values.len()));
        }
        let Session { session, runtime } = &*self.session;
        let ask = async {
            let mut session = session.lock().await;
            self.ask.unfit(&mut session, &different).await
        };
        let unfit = tokio::task::block_in_place(|| runtime.block_on(ask))?;
        let mut fits = vec![true; different.len()];
        unfit.into_iter().for_each(|place| fits[place] = false);
        Ok(texts.iter().map(|text| text.is_none_or(|text| fits[places[text]])).collect())
    }
}

/// The values as texts that the server reads.
fn texts(values: &ArrayRef) -> Result<ArrayRef, DataFusionError> {
    let kind = match values.data_type() {
        DataType::Dictionary(_, kind) => kind,
        kind => kind,
    };
    if !matches!(kind, DataType::Binary | DataType::LargeBinary | DataType::BinaryView) {
        return Ok(cast(values, &DataType::Utf8View)?);
    }
    let bytes = cast(values, &DataType::BinaryView)?;
    let text = |bytes: &[u8]| {
        bytes.iter().fold("\\x".to_owned(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    };
    let texts = bytes.as_binary_view().iter().map(|bytes| bytes.map(text));
    Ok(Arc::new(texts.collect::<StringViewArray>()))
}
