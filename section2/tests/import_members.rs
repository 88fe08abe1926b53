//! `section2 import-members`: upserts the members that section 1 accepted, all or nothing.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};

use support::{Ran, Shop, command, members_file};
use tempfile::TempDir;
use weir_postgres_testing::Cluster;

const ANN: &str = "Ann,Lee,ann@lee.com,19900201,12345678,true,Lee_0a1b2";
const BOB: &str = "Bob,Tan,bob@tan.net,19851231,87654321,true,Tan_fffff";
const CIA: &str = "Cia,Lee,cia@lee.com,19900201,11112222,true,Lee_0a1b2";

/// An output folder of section 1 with these lines, and the `_SUCCESS` file of its run.
fn folder(lines: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    members_file(&folder.path().join("part-00000.csv"), lines);
    std::fs::write(folder.path().join("_SUCCESS"), "{}").unwrap();
    folder
}

fn import(shop: &Shop, folder: &Path) -> Ran {
    shop.section2(&["import-members", folder.to_str().unwrap()])
}

const ALL: &str = "select membership_id, first_name, last_name, birthday, mobile, email from member order by email";

#[test]
fn accepted_applicants_become_members() {
    let shop = Shop::migrated();
    let folder = folder(&[ANN, BOB]);
    members_file(&folder.path().join("part-00001.csv"), &[CIA]);
    import(&shop, folder.path()).ended(0, "3 inserted, 0 updated, 0 unchanged");
    let rows = [
        "Lee_0a1b2|Ann|Lee|1990-02-01|12345678|ann@lee.com",
        "Tan_fffff|Bob|Tan|1985-12-31|87654321|bob@tan.net",
        "Lee_0a1b2|Cia|Lee|1990-02-01|11112222|cia@lee.com",
    ];
    assert_eq!(shop.sql(ALL), rows.join("\n"));
}

#[test]
fn a_repeated_import_writes_nothing() {
    let shop = Shop::migrated();
    let folder = folder(&[ANN, BOB]);
    import(&shop, folder.path()).ended(0, "2 inserted");
    let versions = shop.sql("select member_id, xmin, ctid from member order by 1");
    import(&shop, folder.path()).ended(0, "0 inserted, 0 updated, 2 unchanged");
    assert_eq!(shop.sql("select member_id, xmin, ctid from member order by 1"), versions);
}

#[test]
fn changed_members_are_updated() {
    let shop = Shop::migrated();
    import(&shop, folder(&[ANN, BOB]).path()).ended(0, "2 inserted");
    let key = shop.sql("select member_id from member where first_name = 'Ann'");
    let changed = ANN.replace("12345678", "99999999");
    import(&shop, folder(&[&changed, BOB, CIA]).path()).ended(0, "1 inserted, 1 updated, 1 unchanged");
    assert_eq!(shop.sql("select member_id, mobile from member where first_name = 'Ann'"), format!("{key}|99999999"));
}

#[test]
fn the_last_of_several_lines_of_a_member_wins() {
    let shop = Shop::migrated();
    let changed = ANN.replace("12345678", "99999999");
    let ran = import(&shop, folder(&[ANN, BOB, &changed]).path());
    ran.ended(0, "2 inserted, 0 updated, 0 unchanged; 1 lines were superseded by a later line of the same member");
    assert_eq!(shop.sql("select mobile from member where first_name = 'Ann'"), "99999999");
}

#[test]
fn columns_are_matched_by_name() {
    let shop = Shop::migrated();
    let folder = tempfile::tempdir().unwrap();
    let text = "membership_id,above_18,mobile_no,date_of_birth,email,last_name,first_name\n\
                Lee_0a1b2,true,12345678,19900201,ann@lee.com,Lee,\"Ann \"\"A\"\"\nMay\"\n";
    std::fs::write(folder.path().join("a.csv"), text).unwrap();
    import(&shop, folder.path()).ended(0, "1 inserted");
    assert_eq!(shop.sql("select first_name || '/' || last_name from member"), "Ann \"A\"\nMay/Lee");
}

/// Invalid second lines, and the expected errors.
const WRONG: [(&str, &str); 10] = [
    ("Bob,Tan,bob@tan.net,19851231,87654321,true", "6 fields instead of 7"),
    ("Bob,Tan,bob@tan.net,19851231,87654321,true,Tan_fffff,x", "8 fields instead of 7"),
    (",Tan,bob@tan.net,19851231,87654321,true,Tan_fffff", "`first_name` is empty"),
    ("Bob,Tan,bob@tan@net,19851231,87654321,true,Tan_fffff", "`email` does not have exactly one @"),
    ("Bob,Tan,bob@tan.net,19850231,87654321,true,Tan_fffff", "`date_of_birth` is not a valid date"),
    ("Bob,Tan,bob@tan.net,1985-12-31,87654321,true,Tan_fffff", "`date_of_birth` is not a valid date"),
    ("Bob,Tan,bob@tan.net,19851231,8765432,true,Tan_fffff", "`mobile_no` does not have exactly eight digits"),
    ("Bob,Tan,bob@tan.net,19851231,87654321,false,Tan_fffff", "`above_18` is not `true`"),
    ("Bob,Tan,bob@tan.net,19851231,87654321,true,Tan_ffffg", "`membership_id` does not end in _"),
    ("B\0b,Tan,bob@tan.net,19851231,87654321,true,Tan_fffff", "contains a NUL character"),
];

#[test]
fn an_invalid_line_is_reported_and_nothing_is_imported() {
    let shop = Shop::migrated();
    for (line, said) in WRONG {
        let folder = folder(&[ANN, line, CIA]);
        let ran = import(&shop, folder.path());
        ran.ended(1, said);
        ran.ended(1, "part-00000.csv:3");
        ran.ended(1, "nothing was imported");
        for private in ["bob@tan", "87654321", "8765432", "19851231", "1985-12-31"] {
            assert!(!ran.err.contains(private), "{}", ran.err);
        }
    }
    assert_eq!(shop.sql("select count(*) from member"), "0");
}

#[test]
fn line_numbers_count_lines_of_the_file_and_not_records() {
    let shop = Shop::migrated();
    let folder = folder(&["\"An\n\nn\",Lee,ann@lee.com,19900201,12345678,true,Lee_0a1b2", "x"]);
    import(&shop, folder.path()).ended(1, "part-00000.csv:5");
}

#[test]
fn a_file_that_is_not_from_section_1_is_refused() {
    let shop = Shop::migrated();
    let folder = tempfile::tempdir().unwrap();
    import(&shop, folder.path()).ended(1, "it has no CSV file");
    import(&shop, &folder.path().join("gone")).ended(1, "No such file or directory");
    let file = folder.path().join("a.csv");
    for (content, said) in [
        (&b"first_name,last_name,email,date_of_birth,mobile_no,above_18\n"[..], "`membership_id` is missing"),
        (b"first_name,last_name,email,date_of_birth,mobile_no,above_18,id\n", "unknown column `id`"),
        (b"", "`first_name` is missing"),
        (
            b"first_name,last_name,email,date_of_birth,mobile_no,above_18,membership_id\nA\xff,,,,,,\n",
            "not valid UTF-8",
        ),
        (
            b"first_name,first_name,last_name,email,date_of_birth,mobile_no,above_18,membership_id\n",
            "duplicate column `first_name`",
        ),
    ] {
        std::fs::write(&file, content).unwrap();
        import(&shop, folder.path()).ended(1, said);
    }
}

#[test]
fn an_import_whose_server_dies_leaves_nothing() {
    let cluster = Cluster::start();
    let url = cluster.database();
    let database = url.rsplit('/').next().unwrap();
    Ran::of(command(&url, &["migrate"]).output().unwrap()).ended(0, "");
    // The import has sent its lines and waits for the table lock.
    let folder = folder(&[ANN, BOB]);
    let path: PathBuf = folder.path().into();
    std::thread::scope(|scope| {
        let holder = scope.spawn(|| {
            let locked = "begin; lock table member; select pg_sleep(3600)";
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| cluster.sql(database, locked))).is_err()
        });
        let waiting = |text: &str| {
            let asked = format!(
                "select count(*) from pg_stat_activity where wait_event_type is not null and query like '{text}%'"
            );
            while cluster.sql("postgres", &asked) == "0" {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        };
        waiting("begin; lock");
        let import = command(&url, &["import-members", path.to_str().unwrap()]).spawn().unwrap();
        waiting("%with given");
        cluster.kill();
        Ran::of(import.wait_with_output().unwrap()).ended(1, "");
        assert!(holder.join().unwrap());
    });
    cluster.launch();
    assert_eq!(cluster.sql(database, "select count(*) from member"), "0");
    Ran::of(command(&url, &["import-members", path.to_str().unwrap()]).output().unwrap()).ended(0, "2 inserted");
}
