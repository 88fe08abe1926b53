//! `section4 show`: its output and pictures, with a real server.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use support::{Ran, Reply, Server, closed_port, command};
use weir_postgres_testing::{Cluster, PASSWORD, USER};

/// As created by `conf/covid.yaml`.
const TABLE: &str = "
    create table covid (
        country text, measurement_date date, num_cases bigint, num_p7d_avg_cases double precision, total_cases bigint,
        days_covered integer, source text, primary key (country, measurement_date)
    );";

/// Four days, one of which is missing and one is a correction.
const DAYS: &str = "
    insert into covid values
        ('Korea, South', '2020-03-01', 1000, null, 1000, 1, 'test'),
        ('Korea, South', '2020-03-02', 3500, 1234.5, 4500, 1, 'test'),
        ('Korea, South', '2020-03-04', -500, 12.25, 4000, 2, 'test'),
        ('Japan', '2020-03-04', null, null, null, null, null);";

fn database(sql: &str) -> String {
    let url = Cluster::shared().database();
    if !sql.is_empty() {
        Cluster::shared().sql(url.rsplit('/').next().unwrap(), sql);
    }
    url
}

/// The output of the command at a width.
fn show(url: &str, columns: &str, arguments: &[&str]) -> Ran {
    let all: Vec<&str> = ["show", "--database-url", url].into_iter().chain(arguments.iter().copied()).collect();
    let mut command = command(&all);
    command.env_remove("COLUMNS").env_remove("NO_COLOR");
    if !columns.is_empty() {
        command.env("COLUMNS", columns);
    }
    Ran::of(command.output().unwrap())
}

#[track_caller]
fn printed(ran: &Ran, expected: &[&str]) {
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:#?}");
    assert_eq!(ran.out.lines().collect::<Vec<_>>(), expected, "\n{}", ran.out);
}

#[test]
fn a_country_is_a_table_and_a_chart() {
    let url = database(&format!("{TABLE} {DAYS}"));
    printed(
        &show(&url, "", &["--country", "south korea"]),
        &[
            "Korea, South",
            "date         cases  7-day average  total  source",
            "2020-03-01   1,000              -  1,000  test",
            "2020-03-02   3,500          1,235  4,500  test",
            "2020-03-04*   -500           12.3  4,000  test",
            "* cases of several days, because earlier days are missing: 2020-03-04 (2)",
            "",
            "3,500 ┤   ██",
            "      │   ██",
            "      │   ██",
            "1,750 ┤   ██",
            "      │   ━━━",
            "      │██ ██",
            "      │██ ██    ━━━",
            "    0 ┼──────·  ───",
            " -500 ┤         ██",
            "       2020-03-01 2020-03-04",
            "█ cases  ━ 7-day average  · no value",
        ],
    );
}

#[test]
fn forty_columns_are_enough() {
    let url = database(&format!("{TABLE} {DAYS}"));
    printed(
        &show(&url, "40", &["--country", "KOREA SOUTH", "--last", "2"]),
        &[
            "Korea, South",
            "date        cases   7-day total",
            "                  average",
            "2020-03-02  3,500   1,235 4,500",
            "2020-03-04*  -500    12.3 4,000",
            "source: test",
            "* cases of several days, because earlier",
            "days are missing: 2020-03-04 (2)",
            "",
            "3,500 ┤██",
            "      │██",
            "      │██",
            "1,750 ┤██",
            "      │━━━",
            "      │██",
            "      │██    ━━━",
            "    0 ┼───·  ───",
            " -500 ┤      ██",
            "       2020-03-02 2020-03-04",
            "█ cases  ━ 7-day average  · no value",
        ],
    );
}

#[test]
fn missing_values_are_not_interpolated() {
    let url = database(&format!("{TABLE} {DAYS}"));
    printed(
        &show(&url, "", &["--country", "Japan"]),
        &[
            "Japan",
            "date        cases  7-day average  total  source",
            "2020-03-04      -              -      -  -",
            "",
            "0 ┼·",
            "   2020-03-04",
            "█ cases  · no value",
        ],
    );
}

#[test]
fn by_default_the_countries_with_the_most_recent_cases_are_shown() {
    let url = database(&format!(
        "{TABLE} insert into covid
         select name, date '2021-01-01' + day, case when day < 30 then 10 - place else place end, place, 100, 1, 'test'
         from (values ('A', 1), ('B', 2), ('C', 3), ('D', 4), ('E', 5), ('F', 6), ('G', 7)) as of (name, place),
             generate_series(0, 59) as day"
    ));
    let ran = show(&url, "", &["--last", "1"]);
    let names: Vec<&str> = ran.out.lines().filter(|line| line.len() == 1).collect();
    assert_eq!(names, ["G", "F", "E", "D", "C"], "{ran:#?}");
    assert_eq!(ran.out.lines().last(), Some("2 more countries are in the table: select them with --country"));
    let ran = show(&url, "", &["--last", "1", "--country", "a", "--country", "b", "c"]);
    let names: Vec<&str> = ran.out.lines().filter(|line| line.len() == 1).collect();
    assert_eq!(names, ["A", "B", "C"], "{ran:#?}");
    assert!(!ran.out.contains("more countries"), "{ran:#?}");
}

#[test]
fn neither_a_pipe_nor_no_color_gets_escape_sequences() {
    let url = database(&format!("{TABLE} {DAYS}"));
    let ran = show(&url, "", &[]);
    assert!(ran.out.contains('█') && !ran.out.contains('\x1b'), "{ran:#?}");
    let bold = "\x1b[1mJapan\x1b[0m";
    let coloured = in_a_terminal(&url, &[]);
    assert!(
        coloured.contains(bold) && coloured.contains("because earlier days are missing:\r\n2020-03-04"),
        "{coloured:?}"
    );
    for plain in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let plain = in_a_terminal(&url, &[plain]);
        assert!(plain.contains("Japan") && !plain.contains('\x1b'), "{plain:?}");
    }
}

/// The output in a terminal of 60 columns.
fn in_a_terminal(url: &str, environment: &[(&str, &str)]) -> String {
    let shown = format!("stty cols 60 && exec '{}' show --database-url '{url}'", env!("CARGO_BIN_EXE_section4"));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &shown, "/dev/null"]).stdin(Stdio::null());
    let ran = script
        .env("TERM", "xterm")
        .env_remove("COLUMNS")
        .env_remove("NO_COLOR")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    assert!(ran.status.success(), "{ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let url = database(&format!("{TABLE} {DAYS}"));
    let closed = || {
        let (_, writer) = std::io::pipe().unwrap();
        Stdio::from(writer)
    };
    let ran = Ran::of(command(&["show", "--database-url", &url]).stdout(closed()).output().unwrap());
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    // `2>&1 | head`
    let mut unknown = command(&["show", "--database-url", &url, "--country", "Nowhere"]);
    assert_eq!(unknown.stdout(closed()).stderr(closed()).status().unwrap().code(), Some(1));
    let falling = Reply::ok(r#"{"country": "China", "timeline": {"cases": {"3/1/20": 8, "3/2/20": 5}}}"#);
    let server = Server::replying(vec![falling]);
    let mut warned = command(&["fetch", "--base-url", &server.url(), "--country", "China", "--retry-for", "0s"]);
    let ran = Ran::of(warned.output().unwrap());
    assert!(ran.code == Some(0) && ran.err.starts_with("warning: "), "{ran:#?}");
    assert_eq!(warned.stdout(closed()).stderr(closed()).status().unwrap().code(), Some(0));
}

#[test]
fn a_picture_is_a_png_of_its_size_with_all_elements() {
    let url = database(&format!("{TABLE} {DAYS}"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cases.png");
    fs::write(&path, "an older one").unwrap();
    let ran = show(&url, "", &["--png", path.to_str().unwrap()]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:#?}");
    assert!(ran.out.starts_with("Korea, South\n"), "{ran:#?}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    let mut reader = png::Decoder::new(std::io::BufReader::new(fs::File::open(&path).unwrap())).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height, info.color_type), (1200, 600, png::ColorType::Rgb));
    let colours: BTreeSet<&[u8]> = pixels.chunks_exact(3).collect();
    assert!(colours.len() > 50, "{}", colours.len());
}

#[test]
fn a_picture_in_a_missing_folder_is_an_error() {
    let url = database(&format!("{TABLE} {DAYS}"));
    let ran = show(&url, "", &["--png", "/nowhere/cases.png"]);
    ran.failed(1, "/nowhere/cases.png: its folder does not exist");
    ran.said("create the folder first");
}

#[test]
fn an_unknown_country_is_reported_with_the_nearest_names() {
    let url = database(&format!("{TABLE} {DAYS}"));
    let ran = show(&url, "", &["--country", "Koria", "Japan"]);
    ran.failed(1, "unknown country `Koria` in the table covid");
    ran.said("the nearest names: `Korea, South`");
}

#[test]
fn without_the_table_the_help_is_to_load() {
    let ran = show(&database(""), "", &[]);
    ran.failed(1, "the table covid does not exist");
    ran.said("load first: section4 load --all --database-url URL");
}

#[test]
fn a_table_without_rows_or_columns_differs_from_a_missing_one() {
    show(&database(TABLE), "", &[]).failed(1, "the table covid is empty");
    show(&database("create table covid (id int)"), "", &[]).failed(1, "the table covid lacks columns");
}

#[test]
fn a_wrong_password_is_an_error_that_does_not_show_it() {
    let url = database(&format!("{TABLE} {DAYS}"));
    let name = url.rsplit('/').next().unwrap();
    let ran = show(&Cluster::shared().url_of(USER, "not telling", name), "", &["--wait", "1m"]);
    ran.failed(1, "password");
    assert!(!format!("{ran:?}").contains("telling"), "{ran:#?}");
    let ran = show(&url.replace(USER, "nobody"), "", &[]);
    assert!(ran.code == Some(1) && !format!("{ran:?}").contains(PASSWORD), "{ran:#?}");
}

#[test]
fn a_server_that_is_down_is_waited_for() {
    let url = format!("postgres://owner:hidden@127.0.0.1:{}/covid", closed_port());
    let ran = show(&url, "", &[]);
    ran.failed(1, "127.0.0.1");
    assert!(!format!("{ran:?}").contains("hidden"), "{ran:#?}");

    let port = closed_port();
    let url = format!("postgres://owner:hidden@127.0.0.1:{port}/covid?sslmode=disable");
    let late = thread::spawn(move || {
        thread::sleep(Duration::from_millis(700));
        // A server that reports that it is starting up, and is retried.
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        let fields = b"SFATAL\0VFATAL\0C28P01\0Mit was reached\0\0";
        let length = (fields.len() as u32 + 4).to_be_bytes();
        let mut startup = [0; 512];
        let _ = stream.read(&mut startup).unwrap();
        stream.write_all(&[b"E", &length[..], fields].concat()).unwrap();
    });
    show(&url, "", &["--wait", "30s"]).failed(1, "it was reached");
    late.join().unwrap();
}

#[test]
fn wrong_usage_has_an_exit_code_of_its_own() {
    for arguments in [&["--last", "0"][..], &["--last", "many"], &["--wait", "soon"], &["--colour"]] {
        assert_eq!(show("postgres://x@127.0.0.1:1/x", "", arguments).code, Some(2), "{arguments:?}");
    }
    let ran = show("postgres://x:hidden@127.0.0.1:1/x?sslmode=perhaps", "", &[]);
    ran.failed(2, "database URL");
    assert!(!format!("{ran:?}").contains("hidden"), "{ran:#?}");
}

#[test]
fn the_database_may_come_from_the_environment() {
    let url = database(&format!("{TABLE} {DAYS}"));
    let ran = Ran::of(command(&["show", "--country", "Japan"]).env("DATABASE_URL", &url).output().unwrap());
    assert!(ran.code == Some(0) && ran.out.starts_with("Japan\n"), "{ran:#?}");
    let help = Ran::of(command(&["show", "--help"]).env("DATABASE_URL", &url).output().unwrap());
    assert!(help.out.contains("DATABASE_URL") && !help.out.contains("horse"), "{help:#?}");
}
