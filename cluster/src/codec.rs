//! Plans as bytes: weir's own nodes behind a mark with the build of the program, all others as Ballista writes them.

use std::sync::Arc;

use ballista_core::serde::BallistaPhysicalExtensionCodec;
use datafusion::error::{DataFusionError, Result as QueryResult};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use weir::cluster::{Host, build_id, decode_aggregate, decode_function, encode, encode_aggregate, encode_function};
use weir::{Cli, Result};

/// No message of protobuf begins like this: its first byte would be a tag of the unknown wire type 7.
const MARK: &[u8] = b"\xffweir ";

/// Between the build and what follows.
const END: u8 = b'\n';

/// Writes and reads the nodes of plans.
#[derive(Debug)]
pub(crate) struct Codec {
    ballista: BallistaPhysicalExtensionCodec,
    host: Host,
    build: String,
}

impl Codec {
    /// The codec of this program.
    pub(crate) fn of(cli: &Cli) -> Result<Arc<Self>> {
        Ok(Self::new(cli.host(), build_id()?))
    }

    /// That of a program of this build.
    pub(crate) fn new(host: Host, build: String) -> Arc<Self> {
        Arc::new(Self { ballista: BallistaPhysicalExtensionCodec::default(), host, build })
    }

    /// The build of this program.
    pub(crate) fn build(&self) -> &str {
        &self.build
    }
}

impl PhysicalExtensionCodec for Codec {
    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> QueryResult<()> {
        let Some(own) = encode(&node)? else {
            return self.ballista.try_encode(node, buf, converter);
        };
        buf.extend(marked(&self.build, &own));
        Ok(())
    }

    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> QueryResult<Arc<dyn ExecutionPlan>> {
        match unmarked(&self.build, buf) {
            Ok(Some(own)) => self.host.decode(own, inputs),
            Ok(None) => self.ballista.try_decode(buf, inputs, context, converter),
            Err(message) => Err(DataFusionError::Execution(message)),
        }
    }

    fn try_encode_udf(&self, function: &ScalarUDF, buf: &mut Vec<u8>) -> QueryResult<()> {
        buf.extend(encode_function(function).into_iter().flat_map(|own| marked(&self.build, &own)));
        Ok(())
    }

    fn try_decode_udf(&self, name: &str, buf: &[u8]) -> QueryResult<Arc<ScalarUDF>> {
        decode_function(name, self.own(buf)?).map(Arc::new)
    }

    fn try_encode_udaf(&self, function: &AggregateUDF, buf: &mut Vec<u8>) -> QueryResult<()> {
        buf.extend(encode_aggregate(function).into_iter().flat_map(|own| marked(&self.build, &own)));
        Ok(())
    }

    fn try_decode_udaf(&self, name: &str, buf: &[u8]) -> QueryResult<Arc<AggregateUDF>> {
        decode_aggregate(name, self.own(buf)?).map(Arc::new)
    }
}

/// The codec of functions of which more is to be told than their names.
impl Codec {
    fn own<'a>(&self, buf: &'a [u8]) -> QueryResult<&'a [u8]> {
        let own = unmarked(&self.build, buf).map_err(DataFusionError::Execution)?;
        own.ok_or_else(|| DataFusionError::Execution("a function that nobody has told of".to_owned()))
    }
}

/// The bytes of a node of ours, behind the mark.
fn marked(build: &str, own: &[u8]) -> Vec<u8> {
    [MARK, build.as_bytes(), &[END], own].concat()
}

/// The bytes of a node of ours; none for one of anybody else. Fails if another build has written them.
fn unmarked<'a>(build: &str, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, String> {
    let Some(rest) = bytes.strip_prefix(MARK) else { return Ok(None) };
    let end = rest.iter().position(|byte| *byte == END).unwrap_or(rest.len());
    let (theirs, own) = (&rest[..end], rest.get(end + 1..).unwrap_or_default());
    if theirs == build.as_bytes() { Ok(Some(own)) } else { Err(other_build(build, &String::from_utf8_lossy(theirs))) }
}

/// What is wrong if two machines have different programs.
pub(crate) fn other_build(own: &str, theirs: &str) -> String {
    format!(
        "the machines of the cluster have different builds of the program, {own} and {theirs}: install the same build on the \
         clients, the scheduler and all executors, and start these again"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_of_the_same_build_comes_back() {
        let bytes = marked("1.0 abc", b"node\nwith lines");
        assert_eq!(unmarked("1.0 abc", &bytes), Ok(Some(b"node\nwith lines".as_slice())));
        assert_eq!(unmarked("1.0 abc", &marked("1.0 abc", b"")), Ok(Some(b"".as_slice())));
    }

    #[test]
    fn a_node_of_another_build_is_refused() {
        let error = unmarked("1.0 abc", &marked("1.0 def", b"node")).unwrap_err();
        assert!(error.contains("1.0 abc") && error.contains("1.0 def") && error.contains("install the same build"));
        assert!(unmarked("1.0 abc", b"\xffweir ").is_err());
    }

    #[test]
    fn nodes_of_others_are_left_alone() {
        assert_eq!(unmarked("1.0 abc", b"\x0a\x02xy"), Ok(None));
        assert_eq!(unmarked("1.0 abc", b""), Ok(None));
    }
}
