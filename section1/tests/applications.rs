//! End-to-end tests of each rule of section 1, from a file to the three folders, with the real command and task file.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const HEADER: &str = "name,email,date_of_birth,mobile_no\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn section1(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_section1"))
            .args(arguments)
            .current_dir(self.0.path())
            .env_remove("WEIR_STATE")
            .env_remove("WEIR_TASK_CONFIG")
            // Without a terminal the summary has no examples of rows.
            .env("WEIR_SHOW_VALUES", "true")
            .output()
            .unwrap()
    }

    /// Runs the task on these lines; returns its output.
    fn run(&self, lines: &str, more: &[&str]) -> String {
        std::fs::create_dir_all(self.path("in")).unwrap();
        std::fs::write(self.path("in/a.csv"), format!("{HEADER}{lines}")).unwrap();
        let task = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/applications.yaml");
        let task = task.to_str().unwrap();
        let run = ["run", "--task-config", task, "--param", "input=in", "--param", "output=out", "--state", "state"];
        let output = self.section1(&[&run, more].concat());
        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(0), "{printed}");
        printed
    }

    fn rows(&self, sink: &str) -> Vec<String> {
        let parts = std::fs::read_dir(self.path(&format!("out/{sink}"))).unwrap().map(|entry| entry.unwrap().path());
        let mut rows: Vec<String> = parts
            .filter(|path| path.extension().is_some_and(|extension| extension == "csv"))
            .flat_map(|path| {
                std::fs::read_to_string(path).unwrap().lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
            })
            .collect();
        rows.sort();
        rows
    }
}

/// An application that is successful: without one, the gate would close.
const GOOD: &str = "Bob Ng,b@c.com,1990-02-01,81234567\n";

/// The joined reasons of one application; empty if it is successful.
fn reasons(line: &str) -> String {
    let folder = Folder::new();
    folder.run(&format!("{GOOD}{line}\n"), &[]);
    let rejected = folder.rows("unsuccessful_application");
    match rejected.as_slice() {
        [] => {
            assert_eq!(folder.rows("successful_application").len(), 2, "{line}");
            String::new()
        }
        [only] => {
            let (as_it_came, reasons) = only.rsplit_once(',').unwrap();
            assert_eq!(as_it_came, line, "a rejected row is written unchanged");
            reasons.to_owned()
        }
        more => panic!("{line} became {more:?}"),
    }
}

#[test]
fn a_successful_application_is_cleaned() {
    let folder = Folder::new();
    folder.run("Dr. Ann Mary Lee MD,Ann@lee.COM,02/01/1990,9123-45 67\n", &[]);
    // printf 19900201 | sha256sum
    assert_eq!(folder.rows("successful_application"), ["Ann Mary,Lee,Ann@lee.COM,19900201,91234567,true,Lee_da46d"]);
    assert_eq!(folder.rows("unsuccessful_application"), [""; 0]);
}

#[test]
fn each_rule_has_its_reason() {
    for (line, expected) in [
        ("Ann Lee,a@b.com,1990-02-01,91234567", ""),
        (",a@b.com,1990-02-01,91234567", "missing_name"),
        ("Dr. PhD,a@b.com,1990-02-01,91234567", "missing_name"),
        ("Mrs. Lee,a@b.com,1990-02-01,91234567", "incomplete_name"),
        ("Ann Lee,a@b.com,1990-02-30,91234567", "invalid_birthday"),
        ("Ann Lee,a@b.com,,91234567", "invalid_birthday"),
        ("Ann Lee,a@b.com,13/01/1990,91234567", "invalid_birthday"),
        ("Ann Lee,a@b.com,01-13-1990,91234567", "invalid_birthday"),
        ("Ann Lee,a@b.com,2004-01-02,91234567", "under_18"),
        ("Ann Lee,a@b.com,2004-01-01,91234567", ""),
        ("Ann Lee,a@b.com,1990-02-01,9123456", "invalid_mobile"),
        ("Ann Lee,a@b.com,1990-02-01,912345678", "invalid_mobile"),
        ("Ann Lee,a@b.com,1990-02-01,9123456a", "invalid_mobile"),
        ("Ann Lee,a@b.com,1990-02-01,", "invalid_mobile"),
        ("Ann Lee,a@b.org,1990-02-01,91234567", "invalid_email"),
        ("Ann Lee,a@b.com.sg,1990-02-01,91234567", "invalid_email"),
        ("Ann Lee,@b.com,1990-02-01,91234567", "invalid_email"),
        ("Ann Lee,a@@b.com,1990-02-01,91234567", "invalid_email"),
        ("Ann Lee,ab.com,1990-02-01,91234567", "invalid_email"),
        ("Ann Lee,,1990-02-01,91234567", "invalid_email"),
        ("Ann Lee,a@b.NET,1990-02-01,91234567", ""),
    ] {
        assert_eq!(reasons(line), expected, "{line}");
    }
}

#[test]
fn an_empty_application_has_all_reasons_but_two() {
    assert_eq!(reasons(",,,"), "missing_name;invalid_birthday;invalid_mobile;invalid_email");
    assert_eq!(reasons("\"\",\"\",\"\",\"\""), "missing_name;invalid_birthday;invalid_mobile;invalid_email");
    assert_eq!(reasons("Lee,x,2010-01-01,1"), "incomplete_name;under_18;invalid_mobile;invalid_email");
}

#[test]
fn the_separator_determines_the_order_of_day_and_month() {
    let folder = Folder::new();
    let line = |birthday: &str| format!("Ann Lee,a@b.com,{birthday},91234567\n");
    folder.run(&["1990-02-01", "1990/02/01", "01-02-1990", "02/01/1990"].map(line).concat(), &[]);
    let rows = folder.rows("successful_application");
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| row.contains(",19900201,")), "{rows:?}");
}

#[test]
fn the_day_on_which_applicants_must_be_adult_is_a_parameter() {
    let folder = Folder::new();
    folder.run("Ann Lee,a@b.com,2004-01-02,91234567\n", &["--param", "adult_on=2022-01-02"]);
    assert_eq!(folder.rows("successful_application").len(), 1);
}

#[test]
fn two_members_with_one_id_are_both_kept_and_the_id_is_shown() {
    let folder = Folder::new();
    let printed = folder.run("Ann Lee,a@b.com,1990-02-01,91234567\nBob Lee,b@b.com,01-02-1990,91234568\n", &[]);
    assert_eq!(folder.rows("successful_application").len(), 2);
    let line = printed.lines().find(|line| line.contains("repeated_membership_id")).unwrap();
    assert!(line.contains("warn") && line.contains("Lee_da46d"), "{line}");
}

#[test]
fn lines_that_do_not_have_four_fields_are_rejected_as_malformed() {
    let folder = Folder::new();
    folder.run(
        "Ann Lee,a@b.com,1990-02-01\nAnn Lee,a@b.com,1990-02-01,91234567\nAnn,Lee,a@b.com,1990-02-01,91234567\n",
        &[],
    );
    assert_eq!(folder.rows("successful_application").len(), 1);
    assert_eq!(
        folder.rows("malformed_application"),
        [
            "in/a.csv,2,\"Ann Lee,a@b.com,1990-02-01\",too_few_fields",
            "in/a.csv,4,\"Ann,Lee,a@b.com,1990-02-01,91234567\",too_many_fields"
        ]
    );
}

#[test]
fn generated_applications_have_every_defect_and_every_row_is_accounted_for() {
    let folder = Folder::new();
    let output = folder.section1(&["generate", "--rows", "50000", "--seed", "7", "made"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let task = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/applications.yaml");
    let run =
        ["run", "--quiet", "--task-config", task.to_str().unwrap(), "--param", "input=made", "--param", "output=out"];
    let output = folder.section1(&[&run[..], &["--state", "state"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let (good, bad) = (folder.rows("successful_application").len(), folder.rows("unsuccessful_application"));
    assert_eq!(good + bad.len(), 50_000);
    assert!((5_000..10_000).contains(&good), "{good}");
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for row in &bad {
        row.rsplit_once(',').unwrap().1.split(';').for_each(|reason| *counts.entry(reason).or_default() += 1);
    }
    let reasons: Vec<_> = counts.keys().copied().collect();
    let all = ["incomplete_name", "invalid_birthday", "invalid_email", "invalid_mobile", "missing_name", "under_18"];
    assert_eq!(reasons, all);
    assert!(!folder.rows("malformed_application").is_empty());
}

#[test]
fn the_demo_generates_a_sample_runs_the_task_and_shows_where_the_results_are() {
    let folder = Folder::new();
    let task = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
    std::fs::create_dir_all(folder.path("section1")).unwrap();
    std::os::unix::fs::symlink(task, folder.path("section1/conf")).unwrap();
    for _ in 0..2 {
        let output = folder.section1(&["demo", "--rows", "5000"]);
        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(0), "{printed}");
        for said in ["invalid_mobile", "done: `applications`", "section1-demo/members/successful_application", "rows/s"]
        {
            assert!(printed.contains(said), "`{said}` is not in:\n{printed}");
        }
    }
}

#[test]
fn a_demo_without_its_task_file_creates_nothing_and_reports_where_to_run_it() {
    let folder = Folder::new();
    let output = folder.section1(&["demo"]);
    let printed = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("run it from the folder that contains `section1/`"), "{printed}");
    assert_eq!(std::fs::read_dir(folder.path("")).unwrap().count(), 0);
}

#[test]
fn every_column_of_the_task_is_traced_to_its_source() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut lineage = Command::new(env!("CARGO_BIN_EXE_section1"));
    let output = lineage.args(["lineage", "--json"]).current_dir(folder).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tables = text.matches("\"untraced\": [").count();
    assert!(tables > 0 && text.matches("\"untraced\": []").count() == tables, "{text}");
}

#[test]
fn the_crontab_has_the_hourly_entry() {
    let crontab = include_str!("../conf/crontab");
    let entries: Vec<_> = crontab.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).collect();
    assert_eq!(entries, ["0 * * * * section1 run --log-format json --timeout 50m"]);
}

/// `section1 test` on a task file.
fn test_fixtures(folder: &Folder, task: &Path) -> (Option<i32>, String) {
    let output = folder.section1(&["test", "--task-config", task.to_str().unwrap()]);
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn the_fixtures_pass_and_every_rule_has_a_failing_case() {
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
    let (code, printed) = test_fixtures(&Folder::new(), &conf.join("applications.yaml"));
    assert_eq!(code, Some(0), "{printed}");
    let summary = printed.lines().last().unwrap();
    assert!(summary.contains("all ok"), "{printed}");
    assert!(!summary.contains("no fixture") && !summary.contains("no case trips"), "{summary}");
}

#[test]
fn a_rule_without_a_failing_case_is_reported() {
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
    let folder = Folder::new();
    std::fs::create_dir(folder.path("sql")).unwrap();
    for file in ["sql/applicant.sql", "sql/applicant.test.yaml"] {
        std::fs::copy(conf.join(file), folder.path(file)).unwrap();
    }
    let task = std::fs::read_to_string(conf.join("applications.yaml")).unwrap();
    let rule = "    reject_unless:\n      unlucky: mobile is null or mobile <> '44444444'";
    let with_rule = task.replacen("    reject_unless:", rule, 1);
    assert_ne!(with_rule, task);
    std::fs::write(folder.path("task.yaml"), with_rule).unwrap();
    let (code, printed) = test_fixtures(&folder, &folder.path("task.yaml"));
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("; no case trips: applicant.unlucky\n"), "{printed}");
}
