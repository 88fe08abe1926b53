//! The pipeline of the weekly sales does what its README says: sales and their dimensions into documents, and into rows of
//! PostgreSQL. The expected documents are computed here from the files.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, HashMap};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use support::{Project, Ran};
use weir_postgres_testing::Cluster;

/// A copy of the pipeline, made-up deliveries and a database.
struct Sales {
    project: Project,
    database: String,
}

/// Channel, group of products, year, and cents and units of each week.
type Group = (String, [String; 3], String, [(i64, i64); 52]);

/// The lines of a file of the delivery, after its header.
type Lines = Vec<Vec<String>>;

impl Sales {
    fn new(sales: usize) -> Self {
        let project = Project::of_pipeline("weekly_sales");
        let database = Cluster::shared().database().rsplit('/').next().unwrap().to_owned();
        let made = Self { project, database };
        made.generate(sales);
        made
    }

    fn generate(&self, sales: usize) {
        let sales = format!("sales={sales}");
        let task = "pipelines/weekly_sales/source/generate.yaml";
        self.project.weir(&["run", task, "--quiet", "--param", &sales, "--param", "products=200"]).ended(0, "");
    }

    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let values = [
            ("database_name", self.database.clone()),
            ("database_port", Cluster::shared().port().to_string()),
            ("database_user", weir_postgres_testing::USER.to_owned()),
        ];
        let values = values.into_iter().flat_map(|(name, value)| ["--param".to_owned(), format!("{name}={value}")]);
        let run = ["run", "pipelines/weekly_sales/weekly_sales.yaml", "--quiet", "--state", "state"].map(str::to_owned);
        run.into_iter().chain(values).chain(more.iter().map(|argument| (*argument).to_owned())).collect()
    }

    fn command(&self, more: &[&str]) -> Command {
        let arguments = self.arguments(more);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = self.project.command(&arguments);
        command.env("SALES_PASSWORD", weir_postgres_testing::PASSWORD);
        command
    }

    fn run(&self, more: &[&str]) -> Ran {
        Ran::of(self.command(more).output().unwrap())
    }

    fn lines(&self, name: &str) -> Lines {
        let text = std::fs::read_to_string(self.project.path(&format!("data/weekly_sales/in/{name}.csv"))).unwrap();
        // No value of these files has a comma or a quote.
        text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
    }

    /// The documents of the folder, by their names.
    fn files(&self) -> BTreeMap<String, String> {
        let folder = self.project.path("data/weekly_sales/out/documents");
        let Ok(files) = std::fs::read_dir(folder) else { return BTreeMap::new() };
        let files = files.map(|file| file.unwrap()).filter(|file| file.file_name() != "_SUCCESS");
        let read = |file: std::fs::DirEntry| {
            (file.file_name().into_string().unwrap(), std::fs::read_to_string(file.path()).unwrap())
        };
        files.map(read).collect()
    }

    /// The documents of the table, by their keys.
    fn rows(&self) -> BTreeMap<String, Value> {
        let rows = Cluster::shared().sql(&self.database, "select json_object_agg(unique_key, body) from weekly_sales");
        serde_json::from_str(&rows).unwrap()
    }

    /// The documents that the files come to, and how many sales have no match or cannot be read.
    fn expected(&self, of_year: bool) -> (BTreeMap<String, String>, usize) {
        let mut times: HashMap<String, usize> = HashMap::new();
        self.lines("product").into_iter().for_each(|line| *times.entry(line[0].clone()).or_default() += 1);
        let products = self.lines("product").into_iter().filter(|line| times[&line[0]] == 1 && !line[1].is_empty());
        let products: HashMap<String, [String; 3]> = products
            .map(|line| (line[0].clone(), [&line[1], &line[2], &line[3]].map(|text| text.trim().to_owned())))
            .collect();
        let stores = self.lines("store").into_iter().filter(|line| !line[1].is_empty());
        let stores: HashMap<String, String> = stores.map(|line| (line[0].clone(), line[1].clone())).collect();
        let mut days: HashMap<String, (String, usize)> = HashMap::new();
        for line in self.lines("calendar") {
            let at = line[0].parse::<usize>().unwrap() - 4965;
            let week = if of_year { (at % 365 / 7 + 1).min(52) } else { line[3].parse().unwrap() };
            days.insert(line[0].clone(), (line[2].clone(), week));
        }
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        let mut left_out = 0;
        for sale in self.lines("sales") {
            let found = (days.get(&sale[4]), products.get(&sale[5]), stores.get(&sale[3]), sale[1].split_once('.'));
            let (Some((year, week)), Some(product), Some(channel), Some((whole, cents))) = found else {
                left_out += 1;
                continue;
            };
            let year = format!("RY{}", &year[2..]);
            let key =
                [&year, &channel.to_uppercase(), &product[0], &product[1], &product[2]].map(String::as_str).join("_");
            let none = || (channel.clone(), product.clone(), year.clone(), [(0, 0); 52]);
            let group = groups.entry(key).or_insert_with(none);
            // The first in the order of the letters.
            group.0 = group.0.clone().min(channel.clone());
            let cents = whole.parse::<i64>().unwrap() * 100 + cents.parse::<i64>().unwrap();
            let (amount, units) = &mut group.3[week - 1];
            (*amount, *units) = (*amount + cents, *units + sale[2].parse::<i64>().unwrap());
        }
        let document = |(key, (channel, [division, gender, category], year, weeks)): (String, Group)| {
            let row = |value: &dyn Fn((i64, i64)) -> String| {
                let weeks = weeks.iter().enumerate().map(|(week, of)| format!("\"W{}\":{}", week + 1, value(*of)));
                weeks.collect::<Vec<_>>().join(",")
            };
            let amounts = row(&|(cents, _)| format!("{}.{:02}", cents / 100, cents % 100));
            let units = row(&|(_, units)| units.to_string());
            let head = json!({
                "uniqueKey": key, "division": division, "gender": gender, "category": category, "channel": channel, "year": year,
            });
            // As text, because every digit counts.
            let head = head.to_string();
            let rows = format!(
                r#"{{"rowId":"Net Sales","dataRow":{{{amounts}}}}},{{"rowId":"Sales Units","dataRow":{{{units}}}}}"#
            );
            (key, format!(r#"{},"dataRows":[{rows}]}}"#, head.trim_end_matches('}')))
        };
        (groups.into_iter().map(document).collect(), left_out)
    }
}

/// The name of the file of a key.
fn name(key: &str) -> String {
    let escaped = key.bytes().map(|byte| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    escaped.collect::<String>() + ".json"
}

#[test]
fn sales_become_one_document_for_each_group_and_year() {
    let sales = Sales::new(120_000);
    for (more, of_year) in [(&[][..], false), (&["--param", "weeks=year"][..], true)] {
        sales.run(more).ended(0, "");
        let (expected, left_out) = sales.expected(of_year);
        assert!(expected.len() > 100 && left_out > 100, "{} documents, {left_out}", expected.len());
        let files = sales.files();
        let names: BTreeMap<String, &String> = expected.iter().map(|(key, body)| (name(key), body)).collect();
        assert!(files.keys().eq(names.keys()), "{:?}", files.keys());
        for (name, body) in names {
            // The keys in their order, and every number with its digits.
            assert_eq!(files[&name], *body, "{name}");
        }
        let rows = sales.rows();
        assert!(rows.keys().eq(expected.keys()), "{:?}", rows.keys());
        for (key, body) in &expected {
            assert_eq!(rows[key], serde_json::from_str::<Value>(body).unwrap(), "{key}");
        }
        let rejected = sales.project.rows("data/weekly_sales/out/rejected/sale").len() - 1;
        let unreadable = sales.project.rows("data/weekly_sales/out/unreadable/sale").len() - 1;
        assert_eq!((rejected + unreadable, unreadable), (left_out, 2));
    }
    // The rows that are there already are not written.
    let before = Cluster::shared().sql(&sales.database, "select max(xmin::text::bigint) from weekly_sales");
    sales.run(&["--param", "weeks=year"]).ended(0, "");
    assert_eq!(Cluster::shared().sql(&sales.database, "select max(xmin::text::bigint) from weekly_sales"), before);
}

#[test]
fn the_fixtures_pass_and_cover_every_rule() {
    let sales = Sales::new(1);
    let ran = sales.project.weir(&["test", "pipelines/weekly_sales/weekly_sales.yaml"]);
    ran.ended(0, "12 cases, all ok");
    // Keys that are repeated are rejected, so that the join multiplies no rows.
    assert!(ran.out.trim_end().ends_with("no case trips: sale.one_row_for_each_sale"), "{}", ran.out);
}

#[test]
fn killed_at_random_moments_no_half_folder_is_seen() {
    let sales = Sales::new(3_000);
    sales.run(&[]).ended(0, "");
    let former = sales.files();
    sales.generate(20_000);
    let (expected, _) = sales.expected(false);
    let expected: BTreeMap<String, String> = expected.into_iter().map(|(key, body)| (name(&key), body)).collect();
    assert!(former != expected);
    let mut pause = 17;
    for _ in 0..25 {
        let mut run = sales.command(&[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Every moment of a run comes up sooner or later.
        pause = pause * 7 % 1009;
        std::thread::sleep(Duration::from_millis(pause));
        kill_process(Pid::from_child(&run), Signal::KILL).unwrap();
        run.wait().unwrap();
        let files = sales.files();
        assert!(files == former || files == expected, "{} files", files.len());
    }
    sales.run(&[]).ended(0, "");
    assert!(sales.files() == expected);
    assert_eq!(sales.rows().len(), expected.len());
    assert_eq!(sales.project.left("state/scratch"), [""; 0]);
}
