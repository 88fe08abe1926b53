//! `weir init`: a task created from a CSV file is valid, and runs unchanged.
#![allow(clippy::unwrap_used)]

mod support;

use support::{Project, rows};

const MEMBERS: &str = "\u{feff}id,Full Name,E-Mail,joined,balance,code,order,notes\r\n\
    1,\"Lee, Ann\",ann@lee.com,2022-01-31,10.50,007,a,\r\n\
    2,Bob,,2022-02-28,0.00,012,b,\"he said \"\"no\"\"\nand left\"\r\n\
    3,Cid,c@d.com,2024-02-29,-3.25,1,c,\"\"\r\n";

/// A folder with a CSV file, and the task that `weir init` creates from it.
fn made(csv: &str, more: &[&str]) -> Project {
    let project = Project::empty();
    project.file("data/members.csv", csv);
    let arguments: Vec<_> = ["init", "data/members.csv"].iter().chain(more).copied().collect();
    project
        .weir(&arguments)
        .ended(0, "wrote members.yaml, sql/members.sql, sql/members.test.yaml and sample/members.csv");
    project
}

fn read(project: &Project, path: &str) -> String {
    std::fs::read_to_string(project.path(path)).unwrap()
}

#[test]
fn the_task_is_valid_and_runs_on_the_sample_and_on_the_whole_file() {
    let project = made(MEMBERS, &[]);
    let task = ["--task-config", "members.yaml"];
    project.weir(&["validate", task[0], task[1]]).ended(0, "`members` is valid: 1 source, 1 model, 1 rule, 3 sinks");
    project.weir(&["run", task[0], task[1]]).ended(0, "done: `members`");
    let sample = project.rows("out/members");
    project.weir(&["run", task[0], task[1], "--param", "input=data/members.csv"]).ended(0, "done: `members`");
    assert_eq!(project.rows("out/members"), sample);
    assert_eq!(sample[0], "id,full_name,e_mail,joined,balance,code,order_column,notes");
    assert!(sample.contains(&"1,\"Lee, Ann\",ann@lee.com,2022-01-31,10.50,007,a,".to_owned()), "{sample:?}");
    assert_eq!(project.rows("out/members_rejected").len(), 1);
    assert_eq!(project.rows("out/members_unreadable").len(), 1);
}

#[test]
fn columns_have_matching_types_and_names() {
    let task = read(&made(MEMBERS, &[]), "members.yaml");
    for line in [
        "      id: bigint\n",
        "      full_name: {type: string, header: \"Full Name\"}\n",
        "      e_mail: {type: string, header: \"E-Mail\"}\n",
        "      joined: date\n",
        "      balance: decimal(18,2)\n",
        "      code: string\n",
        "      order_column: {type: string, header: \"order\"}\n",
        "      missing_id: {not_null: id}\n",
    ] {
        assert!(task.contains(line), "no `{line}` in\n{task}");
    }
}

#[test]
fn the_sample_is_the_header_and_the_first_rows_unchanged() {
    let many: String = (0..5_000).map(|i| format!("{i},name {i}\n")).collect();
    let project = made(&format!("id,Name\n{many}"), &[]);
    let expected: String = (0..10).map(|i| format!("{i},name {i}\n")).collect();
    assert_eq!(read(&project, "sample/members.csv"), format!("id,Name\n{expected}"));
    let project = made(MEMBERS, &[]);
    let sample = read(&project, "sample/members.csv");
    assert_eq!(sample, MEMBERS.trim_start_matches('\u{feff}').replace("\r\n", "\n"));
}

#[test]
fn the_cases_are_of_a_row_and_of_the_rule() {
    let project = made(MEMBERS, &[]);
    let cases: serde_json::Value = serde_saphyr::from_str(&read(&project, "sql/members.test.yaml")).unwrap();
    let kept = &cases["a_row_is_kept_unchanged"];
    assert_eq!(kept["given"]["raw_members"][0]["code"], "1");
    assert_eq!(kept["given"]["raw_members"], kept["expect"]["members"]);
    assert_eq!(kept["expect"]["members.rejected"], serde_json::json!([]));
    let rejected = &cases["an_empty_row_is_rejected"];
    assert_eq!(rejected["expect"]["members.rejected"][0]["reasons"], "missing_id");
}

/// Names with a meaning in SQL or YAML, or of columns of rejected rows.
#[test]
fn any_header_gives_a_task_that_runs() {
    let headers =
        "select,from,null,true,reasons,user,date,yes,no,1st,größe,Größe,%,:,end,case,a b,a-b,current_date,名前";
    let values = (1..=20).map(|i| i.to_string()).collect::<Vec<_>>().join(",");
    let project = made(&format!("{headers}\n{values}\n"), &[]);
    project.weir(&["run", "--task-config", "members.yaml"]).ended(0, "done");
    assert_eq!(project.rows("out/members")[1], values);
    serde_saphyr::from_str::<serde_json::Value>(&read(&project, "sql/members.test.yaml")).unwrap();
}

#[test]
fn a_file_without_rows_or_without_full_columns_gives_a_task_that_runs() {
    let project = made("id,name\n", &[]);
    project.weir(&["run", "--task-config", "members.yaml"]).ended(3, "0 rows, fewer than min_rows (1)");
    let project = made("id,name\n1,\n,Ann\n", &[]);
    project.weir(&["run", "--task-config", "members.yaml"]).ended(0, "done");
    assert_eq!(project.rows("out/members").len(), 3);
    assert!(read(&project, "members.yaml").contains("empty_row: id is not null or name is not null"));
    let project = made("name\nAnn\n\"\"\n", &[]);
    project.weir(&["run", "--task-config", "members.yaml"]).ended(0, "done");
    assert_eq!(project.rows("out/members"), ["name", "\"\"", "Ann"]);
}

#[test]
fn a_row_after_the_sample_with_another_form_is_kept_as_unreadable() {
    let many: String = (0..2_000).map(|i| format!("{i}\n")).collect();
    let project = made(&format!("id\n{many}last\n"), &[]);
    project.weir(&["run", "--task-config", "members.yaml", "--param", "input=data/members.csv"]).ended(0, "invalid_id");
    assert_eq!(project.rows("out/members").len(), 2_001);
    assert_eq!(project.rows("out/members_unreadable").len(), 2);
}

#[test]
fn a_folder_and_a_name_can_be_given_and_the_next_commands_work_as_printed() {
    let project = Project::empty();
    project.file("it's data/Members (2).csv", "id\n1\n");
    let ran = project.weir(&["init", "it's data/Members (2).csv", "--folder", "tasks/new", "--name", "people"]);
    ran.ended(0, "cd tasks/new");
    let commands: Vec<&str> = ran.out.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    let weir = env!("CARGO_BIN_EXE_weir");
    let test_it = |line: &&&str| !line.contains(" test "); // has tests of its own
    let script: String = commands
        .iter()
        .filter(test_it)
        .map(|line| format!("{}\n", line.replace("weir ", &format!("{weir} "))))
        .collect();
    let mut command = std::process::Command::new("sh");
    command.args(["-ec", &script]).current_dir(project.path("")).env_remove("WEIR_STATE");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(rows(&project.path("tasks/new/out/people")), ["id", "1"]);
    project.file("2 files.csv", "id\n1\n");
    project.weir(&["init", "2 files.csv"]).ended(2, "`2_files` is not a valid task name");
}

#[test]
fn nothing_is_overwritten_and_all_files_or_none_are_written() {
    for there in ["members.yaml", "sql/members.sql", "sql/members.test.yaml", "sample/members.csv"] {
        let project = Project::empty();
        project.file("members.csv", "id\n1\n");
        project.file(there, "mine");
        project.weir(&["init", "members.csv"]).ended(2, &format!("{there} exists already, and nothing is overwritten"));
        assert_eq!(read(&project, there), "mine");
        assert_eq!(project.path("members.yaml").exists(), there == "members.yaml");
    }
    let project = Project::empty();
    project.file("members.csv", "id\n1\n");
    project.file("sample", "a file, where a folder is to be");
    project.weir(&["init", "members.csv"]).ended(2, "sample");
    assert!(!project.path("members.yaml").exists() && !project.path("sql/members.sql").exists());
}

#[test]
fn a_file_that_is_not_csv_with_named_columns_is_refused() {
    for (csv, said) in [
        ("id,name,id\n", "members.csv: duplicate column `id` in its header"),
        ("id,,name\n", "members.csv: column 2 has no name in its header"),
        ("id, ,name\n", "members.csv: column 2 has no name in its header"),
        ("id;name\n1;Ann\n", "its columns are separated by ';', not by commas"),
        ("id\tname\n1\tAnn\n", "its columns are separated by '\\t', not by commas"),
        ("", "is empty: it has no header line"),
        ("\"id,name\n1,Ann\n", "its header line has a quote that is not closed"),
        ("{\"id\": 1, \"name\": \"Ann\"}\n", "members.csv: is JSON, not CSV"),
        ("[{\"id\": 1}]\n", "members.csv: is JSON, not CSV"),
        ("17,Ann,1990-01-01\n18,Bob,1991-01-01\n", "its first line has a value in place of the name of column 1"),
        ("Ann,ann@example.com\n", "its first line has a value in place of the name of column 2"),
        ("id,name\n1,\"Ann\n2,\"Bob\n", "cannot be read: invalid_quotes"),
        ("Report of May\nid,name\n1,Ann\n2,Bob\n", "cannot be read: too_many_fields"),
    ] {
        let project = Project::empty();
        project.file("members.csv", csv);
        project.weir(&["init", "members.csv"]).ended(1, said);
        assert_eq!(project.left(""), ["members.csv"]);
    }
    let project = Project::empty();
    project.file("latin.csv", b"id,M\xfcller\n");
    project.weir(&["init", "latin.csv"]).ended(1, "its header line is not UTF-8");
    project.file("rows.csv", b"id,name\n1,M\xfcller\n2,J\xe4ger\n");
    project.weir(&["init", "rows.csv"]).ended(1, "2 records of its first 2 cannot be read: invalid_utf8");
    project.weir(&["init", "nowhere.csv"]).ended(1, "nowhere.csv: No such file or directory");
    project.weir(&["init", "."]).ended(2, "is not a valid task name");
    project.weir(&["init", "/dev/zero", "--name", "zero"]).ended(1, "/dev/zero: is not a file");
}
