use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use datafusion::arrow::array::{RecordBatch, StringViewArray};
use datafusion::arrow::datatypes::DataType;

use super::*;
use crate::format::write::{FileLayout, RowGroups};
use crate::report::{RunKey, State};
use crate::sink::content::RowContent;
use crate::task::{Compression, OutputFormat, ParamChoice, Task};

const TASK: &str = "
name: applications
sources: {s: {files: {path: in.csv, format: csv}, columns: {name: string}}}
sinks: {members: {from: s, mode: overwrite, files: {path: out, format: csv}}}
";

fn connector() -> crate::database::Connector {
    let task = Task::parse(Path::new("task.yaml"), TASK.to_owned(), &ParamChoice::default());
    crate::database::Connector::of(&task.unwrap())
}

async fn commit(sink: &dyn Prepared) -> Result<()> {
    for transaction in crate::sink::transactions(std::iter::once(sink)) {
        crate::sink::commit(&*transaction, &connector()).await?;
    }
    Ok(())
}

fn folder(target: &Path, run: &str) -> Folder {
    let (key, connector) = (RunKey::new("applications", "default"), connector());
    let sink = SinkRun {
        at: chrono::Utc::now(),
        sink: "members",
        number: 0,
        key: &key,
        run,
        connector: &connector,
        has_several_servers: false,
        history: &|_| Ok(Some(State::Done)),
    };
    Folder::new(&sink, target, vec![]).unwrap()
}

fn open(target: &Path, run: &str, mode: Mode) -> Result<OpenFolder> {
    let column = OutputColumn {
        name: "name".into(),
        of_route: "name".into(),
        index: 0,
        kind: DataType::Utf8View,
        is_json: false,
    };
    let layout = FileLayout {
        format: OutputFormat::Csv,
        compression: Compression::None,
        level: None,
        row_groups: RowGroups::default(),
        columns: vec![column],
        csv: Default::default(),
        must_be_finite: true,
    };
    let content = Content::Rows(RowContent { columns: layout.columns.clone(), layout, partition_by: None });
    OpenFolder::new(folder(target, run), mode, content, &|_| Ok(Some(State::Done)))
}

/// Prepares a folder with these values.
async fn prepared(target: &Path, run: &str, mode: Mode, values: &[&str]) -> Box<dyn Prepared> {
    let writing = Box::new(open(target, run, mode).unwrap()).begin().await.unwrap();
    let mut parts = vec![];
    if !values.is_empty() {
        let column = StringViewArray::from_iter_values(values);
        let batch = RecordBatch::try_from_iter([("name", Arc::new(column) as _)]).unwrap();
        let mut part = writing.parts().part().unwrap();
        part.write(&batch, None).unwrap();
        parts.extend(part.finish().unwrap());
    }
    writing.prepare(parts).await.unwrap().1
}

async fn committed(target: &Path, run: &str, mode: Mode, values: &[&str]) {
    commit(&*prepared(target, run, mode, values).await).await.unwrap();
}

fn run_of(target: &Path) -> String {
    let marker = fs::read_to_string(target.join(MARKER)).unwrap();
    serde_json::from_str::<Manifest>(&marker).unwrap().run
}

#[tokio::test]
async fn a_folder_is_replaced_as_a_whole_and_nothing_is_left_next_to_it() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("out/members");
    committed(&target, "1", Mode::Overwrite, &[]).await;
    committed(&target, "2", Mode::Overwrite, &[]).await;
    assert_eq!(run_of(&target), "2");
    assert_eq!(fs::read_to_string(target.join("part-00000.csv")).unwrap(), "name\n");
    assert_eq!(fs::read_dir(root.path().join("out")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_commit_can_be_repeated_after_a_crash_before_and_after_the_exchange() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("members");
    committed(&target, "1", Mode::Overwrite, &[]).await;
    let second = prepared(&target, "2", Mode::Overwrite, &[]).await;
    commit(&*second).await.unwrap();
    // As if the process had died between the exchange and the clean-up.
    let staging = folder(&target, "2").staging;
    fs::create_dir(&staging).unwrap();
    commit(&*second).await.unwrap();
    assert_eq!(run_of(&target), "2");
    assert!(!staging.exists());
}

#[tokio::test]
async fn an_append_touches_none_of_the_former_files() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("members");
    committed(&target, "1", Mode::Append, &["Ann"]).await;
    let of_folder = fs::metadata(&target).unwrap().ino();
    let former = fs::metadata(target.join("part-1-00000.csv")).unwrap();
    committed(&target, "2", Mode::Append, &["Bob"]).await;
    let still = fs::metadata(target.join("part-1-00000.csv")).unwrap();
    assert_eq!(fs::metadata(&target).unwrap().ino(), of_folder, "the folder is the same");
    assert_eq!((former.ino(), former.ctime_nsec(), former.nlink()), (still.ino(), still.ctime_nsec(), still.nlink()));
    let manifest: Manifest = serde_json::from_str(&fs::read_to_string(target.join(MARKER)).unwrap()).unwrap();
    assert_eq!(
        (manifest.rows, manifest.files),
        (2, vec!["part-1-00000.csv".to_owned(), "part-2-00000.csv".to_owned()])
    );
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn an_append_that_died_between_two_moves_is_finished() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("members");
    committed(&target, "1", Mode::Append, &["Ann"]).await;
    let second = prepared(&target, "2", Mode::Append, &["Bob"]).await;
    let staging = folder(&target, "2").staging;
    fs::rename(staging.join("part-2-00000.csv"), target.join("part-2-00000.csv")).unwrap();
    assert!(!second.is_committed(&connector()).await.unwrap());
    assert!(!second.is_lost(&connector()).await.unwrap());
    commit(&*second).await.unwrap();
    drop(second);
    assert_eq!(run_of(&target), "2");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_foreign_file_stops_the_sink_and_stays() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("members");
    let prepared = prepared(&target, "1", Mode::Overwrite, &[]).await;
    fs::create_dir(&target).unwrap();
    fs::write(target.join("diary.txt"), "mine").unwrap();
    let error = open(&target, "1", Mode::Overwrite).unwrap_err().to_string();
    assert!(error.contains("diary.txt: was not written by a run of this task"), "{error}");
    assert!(commit(&*prepared).await.is_err());
    assert_eq!(fs::read_to_string(target.join("diary.txt")).unwrap(), "mine");
}

#[tokio::test]
async fn the_folder_of_another_task_stops_the_sink() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("members");
    committed(&target, "2", Mode::Overwrite, &[]).await;
    let other = Folder { task: "billing".into(), ..folder(&target, "1") };
    let error = other.check_own().unwrap_err().to_string();
    assert!(error.contains("was written by sink `members` of task `applications.default`"), "{error}");
}

#[test]
fn a_foreign_marker_stops_the_sink() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join(MARKER), "").unwrap();
    assert!(folder(root.path(), "1").check().is_err());
}

#[test]
fn a_pending_folder_is_read_back_by_its_tag() {
    let folder = folder(Path::new("out/members"), "1");
    let pending = crate::ledger::PendingTarget::of(&folder).unwrap();
    assert!(pending.target.contains(r#""kind":"folder""#), "{}", pending.target);
    assert_eq!(format!("{:?}", pending.read().unwrap()), format!("{folder:?}"));
    let unknown = crate::ledger::PendingTarget { target: r#"{"kind":"tape"}"#.into(), ..pending };
    assert!(unknown.read().unwrap_err().to_string().contains("unknown kind `tape`"));
}
