//! `weir init`: a task created from files is valid, passes its own test cases, and runs unchanged.
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
    assert_eq!(read(&made(MEMBERS, &[]), "sample/members.csv"), MEMBERS);
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
fn types_are_guessed_from_all_rows() {
    let many: String = (0..20_000).map(|i| format!("{i},{i}\n")).collect();
    let project = made(&format!("id,number\n{many}last,1\n"), &[]);
    let task = read(&project, "members.yaml");
    assert!(task.contains("      id: string\n      number: bigint\n"), "{task}");
    assert!(task.contains("types are guessed from all 20001 rows"), "{task}");
}

/// Runs what `weir init` proposes next: all of it succeeds, on the sample and on the files. Returns the rows of a sink.
fn run_all(project: &Project, task: &str, table: &str, inputs: &[&str]) -> Vec<String> {
    project.weir(&["validate", task]).ended(0, "is valid");
    project.weir(&["test", task]).ended(0, "all ok");
    project.weir(&["run", task]).ended(0, "done");
    let mut run = vec!["run", task];
    inputs.iter().for_each(|input| run.extend(["--param", input]));
    project.weir(&run).ended(0, "done");
    project.rows(&format!("out/{table}"))
}

#[test]
fn the_dialect_of_a_file_is_recognised_and_written_as_options() {
    let utf16: Vec<u8> = "id\tname\n1\tMüller\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (content, keys, rows) in [
        (
            &b"id;name;amount\n1;M\xfcller;1.250,75\n2;Lee;0,00\n"[..],
            "format: csv, delimiter: \";\", encoding: \"windows-1252\"",
            &["id,name,amount", "1,Müller,1250.75", "2,Lee,0.00"][..],
        ),
        (&utf16, "format: csv, delimiter: \"\\t\", encoding: \"UTF-16LE\"", &["id,name", "1,Müller"]),
        (
            b"7,Ann,31/01/2022\n8,Bob,05/02/2022\n",
            "format: csv, header: false",
            &["column_1,column_2,column_3", "7,Ann,2022-01-31", "8,Bob,2022-02-05"],
        ),
        (
            b"Report of May\n\nid|ok|\n1|Y|\n2|N|\n3|N|\n",
            "format: csv, delimiter: \"|\", skip_lines: 1, trailing_delimiter: true",
            &["id,ok", "1,true", "2,false", "3,false"],
        ),
    ] {
        let project = Project::empty();
        project.file("data/members.csv", content);
        project.weir(&["init", "data/members.csv"]).ended(0, "wrote members.yaml");
        let task = read(&project, "members.yaml");
        assert!(task.contains(&format!("files: {{path: \"${{input}}\", {keys}}}\n")), "{task}");
        assert_eq!(run_all(&project, "members.yaml", "members", &["input=data/members.csv"]), rows);
    }
}

#[test]
fn columns_without_a_name_or_of_the_same_name_are_told_by_position() {
    for (content, said, declared, rows) in [
        (
            "id,note,note\n1,a,b\n",
            "columns 2, 3 have the same name `note`",
            "      note: {type: string, position: 2}\n      note_2: {type: string, position: 3}\n",
            ["id,note,note_2", "1,a,b"],
        ),
        (
            ",name\n1,Ann\n",
            "column 1 has no name in the header",
            "      column_1: {type: bigint, position: 1}\n      name: string\n",
            ["column_1,name", "1,Ann"],
        ),
        (
            "id,name,\n1,Ann,x\n",
            "column 3 has no name in the header",
            "      name: string\n      column_3: {type: string, position: 3}\n",
            ["id,name,column_3", "1,Ann,x"],
        ),
    ] {
        let project = Project::empty();
        project.file("members.csv", content);
        project.weir(&["init", "members.csv"]).ended(0, &format!("members.csv: {said}"));
        let task = read(&project, "members.yaml");
        assert!(task.contains(declared) && task.contains(said), "{task}");
        assert_eq!(run_all(&project, "members.yaml", "members", &["input=members.csv"]), rows);
    }
}

#[test]
fn titles_above_the_header_and_a_footer_are_left_out_and_told() {
    let rows: String = (0..20).map(|i| format!("{i},x,2024-01-01\n")).collect();
    let long: String = (0..120_000).map(|i| format!("{i},x,2024-01-01\n")).collect();
    for (content, keys, said) in [
        (format!("id,v,day\n{rows}Total:,,\n"), "skip_last: 1", "its last record seems to be a total or a footer"),
        (format!("id,v,day\n{rows}end of report\n"), "skip_last: 1", "its last record"),
        (format!("Report,,\n\nid,v,day\n{rows}"), "skip_lines: 1", "1 line before its header"),
        // Longer than what is looked at first.
        (format!("id,v,day\n{long}\nrows,20\nend\n"), "skip_last: 2", "its last 2 records seem to be a footer"),
    ] {
        let project = Project::empty();
        project.file("members.csv", &content);
        project.weir(&["init", "members.csv"]).ended(0, &format!("members.csv: {said}"));
        let task = read(&project, "members.yaml");
        assert!(task.contains(&format!("format: csv, {keys}}}")) && task.contains("      id: bigint\n"), "{task}");
        let written = run_all(&project, "members.yaml", "members", &["input=members.csv"]);
        assert_eq!(written.len(), content.matches(",x,").count() + 1);
        assert_eq!(project.rows("out/members_unreadable").len(), 1);
    }
    // The other files of a folder may have no footer.
    let project = Project::empty();
    project.file("members/a.csv", format!("id,v,day\n{rows}end\n"));
    project.file("members/b.csv", format!("id,v,day\n{rows}"));
    project.weir(&["init", "members"]).ended(0, "wrote");
    assert!(!read(&project, "members.yaml").contains("skip_last"));
}

#[test]
fn json_lines_and_parquet_are_recognised() {
    let rows = ["id,user_name,on_day", "1,Ann,2022-01-31", "2,Bob,"];
    let project = Project::empty();
    project.file(
        "a.jsonl",
        "{\"id\": 1, \"user name\": \"Ann\"}\n{\"id\": 2, \"user name\": \"Bob\"}\n"
            .replace("Ann\"}", "Ann\", \"on_day\": \"2022-01-31\"}"),
    );
    project.weir(&["init", "a.jsonl", "--name", "people"]).ended(0, "sample/people.jsonl");
    assert_eq!(run_all(&project, "people.yaml", "people", &["input=a.jsonl"]), rows);
    assert!(read(&project, "people.yaml").contains("optional: true"));
    let project = Project::empty();
    project.file(
        "a.json",
        "{\"total\": 2, \"data\": {\"rows\": [
            {\"id\": 1, \"user\": {\"name\": \"Ann\"}, \"on_day\": \"2022-01-31\", \"tags\": []},
            {\"id\": 2, \"user\": {\"name\": \"Bob\"}}]}}\n",
    );
    project.weir(&["init", "a.json", "--name", "people"]).ended(0, "sample/people.json");
    assert!(read(&project, "people.yaml").contains("format: json, records: \"data.rows\""));
    let with_tags = ["id,user_name,on_day,tags", "1,Ann,2022-01-31,[]", "2,Bob,,"];
    assert_eq!(run_all(&project, "people.yaml", "people", &["input=a.json"]), with_tags);
    let project = Project::empty();
    project.file("in/a.csv", "id,user_name,on_day\n1,Ann,2022-01-31\n2,Bob,\n");
    project.file(
        "make.yaml",
        "
        name: make
        sources: {a: {files: {path: in/*.csv, format: csv}, columns: {id: bigint, user_name: string, on_day: date}}}
        sinks: {a: {from: a, mode: overwrite, files: {path: people, format: parquet}}}
    ",
    );
    project.weir(&["run", "make.yaml"]).ended(0, "done");
    project.weir(&["init", "people"]).ended(0, "sample/people/people.parquet");
    assert!(read(&project, "people.yaml").contains("path: \"${input}/*.parquet\", format: parquet"));
    assert_eq!(run_all(&project, "people.yaml", "people", &["input=people"]), rows);
}

#[test]
fn the_files_of_a_folder_are_one_table_and_several_files_one_task() {
    let project = Project::empty();
    project.file("orders/1.csv", "id,amount\n1,10\n");
    project.file("orders/2.csv", "id,amount\n2,1.5\n");
    project.file("orders/README", "no data");
    project.file("people.csv", "id,name\n1,Ann\n");
    project.weir(&["init", "orders", "people.csv"]).ended(2, "a task of several tables needs a name");
    project.weir(&["init", "orders", "people.csv", "--name", "shop"]).ended(0, "--param orders_input=");
    let task = read(&project, "shop.yaml");
    assert!(task.contains("      amount: double\n"), "{task}");
    let inputs = ["orders_input=orders", "people_input=people.csv"];
    assert_eq!(run_all(&project, "shop.yaml", "orders", &inputs), ["id,amount", "1,10.0", "2,1.5"]);
    assert_eq!(project.rows("out/people"), ["id,name", "1,Ann"]);
    project.file("x/people.csv", "id\n1\n");
    project
        .weir(&["init", "people.csv", "x/people.csv", "--name", "y"])
        .ended(2, "another file has the name `people`, too");
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
fn a_file_that_says_too_little_is_refused() {
    for (csv, said) in [
        ("", "members.csv: is empty"),
        ("\r\n\n", "members.csv: is empty"),
        ("id,name\n1,\"Ann\n2,\"Bob\n", "cannot be read: invalid_quotes"),
        ("[]\n", "members.csv: has no columns"),
        ("[{\"id\": 1}\n", "members.csv: is truncated"),
        ("{}\n", "members.csv: has no columns"),
        ("{\"id\": 1}\n{\"id\": \n", "members.csv: is not JSON in UTF-8"),
    ] {
        let project = Project::empty();
        project.file("members.csv", csv);
        project.weir(&["init", "members.csv"]).ended(1, said);
        assert_eq!(project.left(""), ["members.csv"]);
    }
    let project = Project::empty();
    project.weir(&["init", "nowhere.csv"]).ended(1, "nowhere.csv: No such file or directory");
    project.weir(&["init", ".", "--name", "empty"]).ended(1, "has no files");
    project.weir(&["init", "/dev/zero", "--name", "zero"]).ended(1, "/dev/zero: is not a file");
}
