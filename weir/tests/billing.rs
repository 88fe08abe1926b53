//! The pipeline of the billing does what its README says: deliveries of patients, providers and claims are staged, judged, masked
//! and merged into PostgreSQL, and reports are made of them. The expected rows are computed here from the deliveries.
#![allow(clippy::unwrap_used)]

mod support;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use chrono::{Datelike as _, Months, NaiveDate, NaiveDateTime};
use datafusion::arrow::util::display::array_value_to_string;
use hmac::{Hmac, KeyInit as _, Mac as _};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use sha2::Sha256;
use support::pipeline::typed;
use support::{Project, Ran};
use weir_postgres_testing::Cluster;

/// Patients of the first delivery. Four days of deliveries have every fault.
const PATIENTS: usize = 150;
const DAYS: u32 = 4;

/// The key of the encrypted values.
const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
/// The key of the hashes, and its bytes.
const TOKEN_KEY: &str = "NDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
const TOKEN_SECRET: &[u8] = b"41234567890123456789012345678901";

/// What is delivered, in the order in which the tasks run.
static KINDS: [Kind; 3] = [
    Kind {
        task: "patients",
        table: "patient",
        key: "patient_id",
        columns: "patient_id, first_name, last_name, date_of_birth, birth_year, sex, ssn, insurance_number, \
                  phone, email, zip_code, state, emergency_contact, registered_on, updated_at",
        private: "patient_id, last_name, date_of_birth, ssn, insurance_number, phone, email, address, \
                  emergency_contact",
        read: patient,
    },
    Kind {
        task: "providers",
        table: "provider",
        key: "npi",
        columns: "npi, name, specialty_code, tax_id, bank_account, phone, contract_from, contract_until, \
                  updated_at",
        private: "tax_id, bank_account",
        read: provider,
    },
    Kind {
        task: "claims",
        table: "claim",
        key: "claim_id",
        columns: "claim_id, patient_id, npi, visit_type, service_date, procedure_code, diagnosis_code, \
                  coverage_type, amount, currency, status, billed_on, updated_at",
        private: "patient_id, diagnosis_code",
        read: claim,
    },
];

const REPORTS: [&str; 2] = ["unbilled_claims", "fully_covered"];

struct Kind {
    task: &'static str,
    table: &'static str,
    key: &'static str,
    /// Of the table.
    columns: &'static str,
    /// Columns of the files whose values nobody may find anywhere else.
    private: &'static str,
    read: fn(&Record, &Context, &mut Read),
}

/// The name of a file, and a line.
type Place = (String, u64);

/// Why records were rejected.
type Reasons = BTreeMap<Place, String>;

/// Rows of a table by their key, each as the texts of its columns.
type Table = BTreeMap<String, Row>;

/// A record of a delivery.
struct Record {
    place: Place,
    fields: BTreeMap<String, String>,
    has_all_fields: bool,
}

/// What a record is judged by.
struct Context {
    as_of: NaiveDate,
    providers: BTreeSet<String>,
}

/// What became of a record.
#[derive(Default)]
struct Read {
    unreadable: Vec<&'static str>,
    set_null: Vec<&'static str>,
    rejected: Vec<&'static str>,
    row: Row,
}

/// A row as the table has it, its encrypted values decrypted.
#[derive(Default, Clone)]
struct Row(BTreeMap<&'static str, String>);

impl Row {
    fn set(&mut self, column: &'static str, value: impl Into<String>) {
        self.0.insert(column, value.into());
    }

    fn get(&self, column: &str) -> &str {
        &self.0[column]
    }

    fn values(&self, columns: &str) -> Vec<String> {
        columns.split(", ").map(|column| self.get(column).to_owned()).collect()
    }
}

impl Record {
    fn get(&self, column: &str) -> &str {
        self.fields.get(column).map_or("", String::as_str)
    }

    fn day(&self, column: &str) -> Option<NaiveDate> {
        NaiveDate::parse_from_str(self.get(column), "%m/%d/%Y").ok()
    }

    /// The time of the revision. All that are written are times.
    fn updated_at(&self) -> Option<NaiveDateTime> {
        NaiveDateTime::parse_from_str(self.get("updated_at"), "%m/%d/%Y %H:%M:%S").ok()
    }
}

impl Read {
    fn unreadable_if(&mut self, is_so: bool, reason: &'static str) {
        if is_so {
            self.unreadable.push(reason);
        }
    }

    fn rejected_if(&mut self, is_so: bool, reason: &'static str) {
        if is_so {
            self.rejected.push(reason);
        }
    }

    /// The value, or null if it is none of those.
    fn one_of(&mut self, column: &'static str, value: &str, accepted: &[&str], reason: &'static str) {
        let is_accepted = accepted.contains(&value);
        if !is_accepted && !value.is_empty() {
            self.set_null.push(reason);
        }
        self.row.set(column, if is_accepted { value } else { "" });
    }
}

/// The HMAC-SHA-256 of a value, as the guide says that it is computed; null stays null.
fn token(value: &str) -> String {
    fn mac(key: &[u8], text: &str) -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    }
    match value {
        "" => String::new(),
        value => hex::encode(mac(&mac(TOKEN_SECRET, "weir hash"), value)),
    }
}

fn iso(day: Option<NaiveDate>) -> String {
    day.map(|day| day.to_string()).unwrap_or_default()
}

/// Sets the columns that all kinds have.
fn read_revision(record: &Record, context: &Context, read: &mut Read) {
    let at = record.updated_at();
    read.unreadable_if(at.is_none(), "missing_updated_at");
    read.rejected_if(at.is_some_and(|at| at.date() > context.as_of), "updated_in_future");
    read.row.set("updated_at", at.map(|at| at.to_string()).unwrap_or_default());
}

fn patient(record: &Record, context: &Context, read: &mut Read) {
    let born = record.day("date_of_birth");
    read.unreadable_if(record.get("patient_id").is_empty(), "missing_patient_id");
    read.unreadable_if(born.is_none() && !record.get("date_of_birth").is_empty(), "invalid_date_of_birth");
    read.rejected_if(record.get("first_name").is_empty() || record.get("last_name").is_empty(), "missing_name");
    read.rejected_if(born.is_none_or(|born| born.year() < 1900 || born > context.as_of), "implausible_birth");
    let is_state = |state: &str| state.len() == 2 && state.bytes().all(|byte| byte.is_ascii_uppercase());
    let state = record.get("state");
    read.rejected_if(!state.is_empty() && !is_state(state), "malformed_state");
    read_revision(record, context, read);
    read.one_of("sex", record.get("sex"), &["F", "M", "X"], "unaccepted_sex");

    let row = &mut read.row;
    for column in ["patient_id", "ssn", "insurance_number", "email"] {
        row.set(column, token(record.get(column)));
    }
    row.set("first_name", record.get("first_name"));
    row.set("last_name", record.get("last_name"));
    row.set("date_of_birth", iso(born));
    let old = context.as_of.checked_sub_months(Months::new(90 * 12)).unwrap();
    row.set("birth_year", born.filter(|born| *born > old).map(|born| born.year().to_string()).unwrap_or_default());
    let (phone, zip) = (record.get("phone"), record.get("zip_code"));
    row.set("phone", "*".repeat(phone.len().saturating_sub(4)) + &phone[phone.len().saturating_sub(4)..]);
    row.set("zip_code", zip[..zip.len().min(3)].to_owned() + &"*".repeat(zip.len().saturating_sub(3)));
    row.set("state", state);
    row.set("emergency_contact", if record.get("emergency_contact").is_empty() { "" } else { "[redacted]" });
    row.set("registered_on", iso(record.day("registered_on")));
}

/// Whether Luhn's sum over the prefix 80840 and the number is a multiple of ten.
fn is_npi(npi: &str) -> bool {
    let number = format!("80840{npi}");
    let digits = number.chars().rev().map(|digit| digit.to_digit(10));
    let sum: Option<u32> = digits
        .enumerate()
        .map(|(at, digit)| digit.map(|digit| if at % 2 == 1 { digit * 2 / 10 + digit * 2 % 10 } else { digit }))
        .sum();
    npi.len() == 10 && npi.starts_with(['1', '2']) && sum.is_some_and(|sum| sum % 10 == 0)
}

fn provider(record: &Record, context: &Context, read: &mut Read) {
    const SPECIALTIES: [&str; 13] =
        ["CARD", "DERM", "ENDO", "FAMP", "GAST", "INTM", "NEUR", "OBGY", "ORTH", "PEDI", "PSYC", "RADI", "SURG"];
    let (from, until) = (record.day("contract_from"), record.day("contract_until"));
    read.unreadable_if(record.get("npi").is_empty(), "missing_npi");
    read.unreadable_if(from.is_none() && !record.get("contract_from").is_empty(), "invalid_contract_from");
    read.rejected_if(!is_npi(record.get("npi")), "invalid_npi");
    read.rejected_if(record.get("name").is_empty(), "missing_name");
    read.rejected_if(from.zip(until).is_some_and(|(from, until)| from > until), "implausible_contract");
    read_revision(record, context, read);
    read.one_of("specialty_code", record.get("specialty_code"), &SPECIALTIES, "unaccepted_specialty_code");

    let row = &mut read.row;
    for column in ["npi", "name", "bank_account", "phone"] {
        row.set(column, record.get(column));
    }
    row.set("tax_id", token(record.get("tax_id")));
    row.set("contract_from", iso(from));
    row.set("contract_until", iso(until));
}

fn claim(record: &Record, context: &Context, read: &mut Read) {
    const VISITS: [&str; 5] = ["OFFICE", "TELEHEALTH", "OUTPATIENT", "INPATIENT", "EMERGENCY"];
    const STATES: [&str; 5] = ["OPEN", "BILLED", "PAID", "DENIED", "VOID"];
    let (served, billed) = (record.day("service_date"), record.day("billed_on"));
    let (amount, status) = (record.get("amount"), record.get("status"));
    read.unreadable_if(record.get("claim_id").is_empty(), "missing_claim_id");
    read.unreadable_if(record.get("patient_id").is_empty(), "missing_patient_id");
    read.unreadable_if(served.is_none() && !record.get("service_date").is_empty(), "invalid_service_date");
    read.unreadable_if(!amount.is_empty() && amount.parse::<f64>().is_err(), "invalid_amount");
    read.unreadable_if(!status.is_empty() && !STATES.contains(&status), "unaccepted_status");
    read.rejected_if(!context.providers.contains(record.get("npi")), "unknown_provider");
    read.rejected_if(served.is_none(), "missing_service_date");
    read.rejected_if(served.is_some_and(|served| served > context.as_of), "service_in_future");
    read.rejected_if(billed.zip(served).is_some_and(|(billed, served)| billed < served), "billed_before_service");
    read.rejected_if(billed.is_some_and(|billed| billed > context.as_of), "billed_in_future");
    read.rejected_if(amount.is_empty(), "missing_amount");
    read.rejected_if(amount.starts_with('-'), "negative_amount");
    read.rejected_if(status.is_empty(), "missing_status");
    read.rejected_if(status == "OPEN" && billed.is_some(), "open_but_billed");
    let is_billed = ["BILLED", "PAID", "DENIED"].contains(&status);
    read.rejected_if(is_billed && billed.is_none(), "billed_without_date");
    read_revision(record, context, read);
    read.one_of("visit_type", record.get("visit_type"), &VISITS, "unaccepted_visit_type");
    let coverage = record.get("coverage_type");
    let reason = if coverage.parse::<i32>().is_ok() { "unaccepted_coverage_type" } else { "invalid_coverage_type" };
    read.one_of("coverage_type", coverage, &["100", "50", "0"], reason);

    let row = &mut read.row;
    for column in ["claim_id", "npi", "procedure_code", "diagnosis_code", "amount", "currency", "status"] {
        row.set(column, record.get(column));
    }
    row.set("patient_id", token(record.get("patient_id")));
    row.set("service_date", iso(served));
    row.set("billed_on", iso(billed));
}

/// What has to be there after the deliveries so far, by kind.
#[derive(Default)]
struct Expected {
    tables: [Table; 3],
    unreadable: [Reasons; 3],
    rejected: [Reasons; 3],
    staged: [BTreeSet<Place>; 3],
    /// Of the last delivery.
    set_null: [BTreeMap<String, u64>; 3],
    all_set_null: BTreeSet<String>,
}

impl Expected {
    /// Judges and merges what is in the inbox.
    fn deliver(&mut self, billing: &Billing, as_of: NaiveDate) {
        for (at, kind) in KINDS.iter().enumerate() {
            // Claims are judged by the providers that are there after those of the day.
            let context = Context { as_of, providers: self.tables[1].keys().cloned().collect() };
            self.set_null[at].clear();
            for record in billing.records(kind) {
                let mut read = Read::default();
                match record.has_all_fields {
                    true => (kind.read)(&record, &context, &mut read),
                    false => read.unreadable.push("too_many_fields"),
                }
                if !read.unreadable.is_empty() {
                    self.unreadable[at].insert(record.place, read.unreadable.join(";"));
                    continue;
                }
                for reason in read.set_null {
                    *self.set_null[at].entry(reason.to_owned()).or_default() += 1;
                    self.all_set_null.insert(reason.to_owned());
                }
                if !read.rejected.is_empty() {
                    self.rejected[at].insert(record.place, read.rejected.join(";"));
                    continue;
                }
                self.staged[at].insert(record.place);
                let (table, key) = (&mut self.tables[at], read.row.get(kind.key).to_owned());
                let former = table.get(&key);
                if former.is_none_or(|former| former.get("updated_at") <= read.row.get("updated_at")) {
                    table.insert(key, read.row);
                }
            }
        }
    }

    /// The rows of a table.
    fn rows(&self, of_kind: usize) -> BTreeSet<Vec<String>> {
        self.tables[of_kind].values().map(|row| row.values(KINDS[of_kind].columns)).collect()
    }

    /// The rows of the report of open claims.
    fn unbilled(&self, as_of: NaiveDate) -> BTreeSet<Vec<String>> {
        let [patients, providers, claims] = &self.tables;
        let open = claims.values().filter(|claim| claim.get("status") == "OPEN");
        let rows = open.map(|claim| {
            let patient = patients.get(claim.get("patient_id"));
            let of_patient = |column: &str| patient.map_or("", |patient| patient.get(column)).to_owned();
            let provider = &providers[claim.get("npi")];
            let day: NaiveDate = claim.get("service_date").parse().unwrap();
            let mut row = claim.values("claim_id, service_date");
            row.push((as_of - day).num_days().to_string());
            row.extend(claim.values("amount, currency, coverage_type, visit_type, patient_id"));
            row.push(patient.is_some().to_string());
            row.extend(["first_name", "last_name", "birth_year", "phone", "state"].map(of_patient));
            row.extend(provider.values("npi, name, specialty_code, phone"));
            row
        });
        rows.collect()
    }

    /// The rows of the report of fully covered claims.
    fn fully_covered(&self, as_of: NaiveDate) -> BTreeSet<Vec<String>> {
        let [_, providers, claims] = &self.tables;
        let mut found: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
        for claim in claims.values() {
            let age = as_of - claim.get("service_date").parse::<NaiveDate>().unwrap();
            let is_covered = claim.get("coverage_type") == "100" && claim.get("status") != "VOID";
            if is_covered && (0..30).contains(&age.num_days()) {
                found.entry(claim.get("npi").to_owned()).or_default().push(claim);
            }
        }
        let rows = found.into_iter().map(|(npi, claims)| {
            let all = |column: &str| claims.iter().map(|claim| claim.get(column).to_owned()).collect::<BTreeSet<_>>();
            let cents: u64 =
                claims.iter().map(|claim| claim.get("amount").replace('.', "").parse::<u64>().unwrap()).sum();
            let mut row = providers[&npi].values("npi, name, specialty_code");
            row.push(claims.len().to_string());
            row.push(all("patient_id").len().to_string());
            row.push(format!("{}.{:02}", cents / 100, cents % 100));
            let days = all("service_date");
            row.extend([days.first().unwrap().clone(), days.last().unwrap().clone()]);
            row
        });
        rows.collect()
    }
}

/// A copy of the pipeline and a database.
struct Billing {
    project: Project,
    database: String,
    /// What all commands have printed.
    printed: RefCell<Vec<String>>,
}

impl Billing {
    fn new() -> Self {
        let project = Project::of_pipeline("billing");
        let database = Cluster::shared().database().rsplit('/').next().unwrap().to_owned();
        let values = [
            ("warehouse_port", Cluster::shared().port().to_string()),
            ("warehouse_user", weir_postgres_testing::USER.to_owned()),
            ("warehouse_database", database.clone()),
        ];
        project.give_values(&values, "test | decrypt");
        Self { project, database, printed: RefCell::default() }
    }

    /// Types commands into a shell.
    fn typed(&self, commands: &str) -> Ran {
        let mut shell = self.project.on_path("bash");
        shell
            .env("WEIR_SHOW_VALUES", "true")
            .env("BILLING_WAREHOUSE_PASSWORD", weir_postgres_testing::PASSWORD)
            .env("BILLING_KEY", KEY)
            .env("BILLING_TOKEN_KEY", TOKEN_KEY);
        typed(shell, commands)
    }

    /// Puts deliveries into the inbox.
    fn deliver(&self, arguments: &str) {
        let command = "pipelines/billing/source/deliver.sh --from 2026-11-01 --patients";
        self.typed(&format!("{command} {PATIENTS} {arguments}")).ended(0, "days of deliveries from 2026-11-01 on");
    }

    /// `weir run`, as of a day of November.
    fn run(&self, task: &str, day: u32) -> Ran {
        let ran = self.typed(&format!(
            "weir run pipelines/billing/{task}.yaml --param as_of=2026-11-{day:02} --report report-{task}.json"
        ));
        self.printed.borrow_mut().extend([ran.out.clone(), ran.err.clone()]);
        ran
    }

    fn run_all(&self, day: u32) {
        for task in KINDS.iter().map(|kind| kind.task).chain(REPORTS) {
            self.run(task, day).ended(0, "done: `");
        }
    }

    /// The files of a kind in a folder, in the order of their names.
    fn files(&self, folder: &str, kind: &Kind) -> Vec<PathBuf> {
        let names = self.project.left(folder).into_iter().filter(|name| name.starts_with(kind.task));
        names.map(|name| self.project.path(folder).join(name)).collect()
    }

    /// The records of a kind in the inbox.
    fn records(&self, kind: &Kind) -> Vec<Record> {
        self.files("data/billing/in", kind).iter().flat_map(|path| records(path)).collect()
    }

    /// The result of a query, with its encrypted values decrypted.
    fn rows(&self, sql: &str) -> BTreeSet<Vec<String>> {
        let rows = Cluster::shared().sql(&self.database, &format!("copy ({sql}) to stdout with (format csv)"));
        self.decrypted(&(rows + "\n"))
    }

    fn decrypted(&self, csv: &str) -> BTreeSet<Vec<String>> {
        self.project.file("rows.csv", csv);
        let ran = self.typed("weir decrypt --project pipelines/billing rows.csv");
        ran.ended(0, "");
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(ran.out.as_bytes());
        reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    fn table(&self, kind: &Kind) -> BTreeSet<Vec<String>> {
        self.rows(&format!("select {} from {}", kind.columns, kind.table))
    }

    /// A quarantine: what was rejected, by file and line.
    fn quarantine(&self, kind: &Kind, folder: &str, [file, line]: [&str; 2]) -> Reasons {
        let mut found = Reasons::new();
        let folder = format!("data/billing/quarantine/{}/{folder}", kind.task);
        for name in self.project.left(&folder).iter().filter(|name| name.ends_with(".csv")) {
            let mut reader = csv::Reader::from_path(self.project.path(&folder).join(name)).unwrap();
            for row in reader.deserialize::<BTreeMap<String, String>>() {
                let row = row.unwrap();
                let place: Place = (base(&row[file]), row[line].parse().unwrap());
                assert_eq!(found.insert(place.clone(), row["reasons"].clone()), None, "{place:?} is there twice");
            }
        }
        found
    }

    /// What is staged: file and line of each row; all its values are added to the texts.
    fn staged(&self, kind: &Kind, texts: &mut Vec<String>) -> BTreeSet<Place> {
        let mut files = vec![];
        let folder = self.project.path(&format!("data/billing/staging/{}", kind.task));
        find(&folder, &mut files);
        let mut places = BTreeSet::new();
        for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "parquet")) {
            let folders: Vec<&str> =
                path.strip_prefix(&folder).unwrap().iter().map(|name| name.to_str().unwrap()).collect();
            let [file, load_time, _] = folders[..] else { panic!("{}", path.display()) };
            let file = file.strip_prefix("file_name=").unwrap();
            assert!(load_time.starts_with("load_time=20") && load_time.ends_with('Z'), "{load_time}");
            let reader =
                ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap()).unwrap().build().unwrap();
            for batch in reader.map(Result::unwrap) {
                let text =
                    |column: &str, row| array_value_to_string(batch.column_by_name(column).unwrap(), row).unwrap();
                for row in 0..batch.num_rows() {
                    let place: Place = (file.to_owned(), text("line", row).parse().unwrap());
                    assert_eq!(base(&text("file", row)), file);
                    assert!(places.insert(place.clone()), "{place:?} is staged twice");
                    let schema = batch.schema();
                    texts.extend(schema.fields().iter().map(|field| text(field.name(), row)));
                }
            }
        }
        places
    }

    /// Fails unless tables, staged rows and quarantine are those.
    #[track_caller]
    fn has(&self, expected: &Expected, when: &str) {
        for (at, kind) in KINDS.iter().enumerate() {
            same(&self.table(kind), &expected.rows(at), &format!("{when}: {}", kind.table));
            let staged = self.staged(kind, &mut vec![]);
            same(&staged, &expected.staged[at], &format!("{when}: staged {}", kind.task));
            let unreadable = self.quarantine(kind, "unreadable", ["_file", "_line"]);
            assert_eq!(unreadable, expected.unreadable[at], "{when}: {}", kind.task);
            let rejected = self.quarantine(kind, "rejected", ["file", "line"]);
            assert_eq!(rejected, expected.rejected[at], "{when}: {}", kind.task);
        }
    }

    /// Fails unless the reports are those of the tables.
    #[track_caller]
    fn reports(&self, expected: &Expected, as_of: NaiveDate) {
        let unbilled = expected.unbilled(as_of);
        let columns = "claim_id, service_date, days_open, amount, currency, coverage_type, visit_type, patient_id,
            case when patient_is_known then 'true' else 'false' end, patient_first_name, patient_last_name,
            patient_birth_year, patient_phone, patient_state, npi, provider_name, specialty_code, provider_phone";
        same(&self.rows(&format!("select {columns} from unbilled_claim")), &unbilled, "unbilled_claim");
        let file = self.project.text("data/billing/reports/unbilled_claims.csv");
        let (_, lines) = file.split_once('\n').unwrap();
        same(&self.decrypted(lines), &unbilled, "unbilled_claims.csv");
        let days: Vec<&str> = lines.lines().map(|line| line.split(',').nth(1).unwrap()).collect();
        assert!(days.is_sorted(), "{days:?}");

        let covered = expected.fully_covered(as_of);
        let columns =
            "npi, provider_name, specialty_code, claims, patients, amount, first_service_date, last_service_date";
        same(&self.rows(&format!("select {columns} from fully_covered_provider")), &covered, "fully_covered_provider");
        let file = self.project.text("data/billing/reports/fully_covered_providers.csv");
        same(&self.decrypted(file.split_once('\n').unwrap().1), &covered, "fully_covered_providers.csv");
    }

    /// Values that became null in the last run, by the reason.
    fn set_null(&self, kind: &Kind) -> BTreeMap<String, u64> {
        let report: Value = serde_json::from_str(&self.project.text(&format!("report-{}.json", kind.task))).unwrap();
        let tables = report["report"]["tables"].as_array().unwrap();
        let reasons = tables.iter().flat_map(|table| table["reasons"].as_array().unwrap());
        let set_null = reasons.filter(|reason| reason["effect"] == "set_null");
        set_null.map(|reason| (reason["name"].as_str().unwrap().to_owned(), reason["rows"].as_u64().unwrap())).collect()
    }

    /// The private values of all deliveries.
    fn private_values(&self) -> BTreeSet<String> {
        let mut values = BTreeSet::new();
        for kind in &KINDS {
            for folder in ["data/billing/in", "data/billing/archive"] {
                for record in self.files(folder, kind).iter().flat_map(|path| records(path)) {
                    let fields = kind.private.split(", ").map(|column| record.get(column).to_owned());
                    // Shorter ones are those of other columns, in records with too many fields.
                    values.extend(fields.filter(|value| value.len() > 4));
                    // Later days may be those of a contract.
                    let born = record.day("date_of_birth").filter(|born| born.year() < 2008);
                    values.extend(born.map(|born| born.to_string()));
                }
            }
        }
        values
    }

    /// Fails if a private value of the deliveries is anywhere but in the inbox and in the archive.
    #[track_caller]
    fn holds_no_private_value(&self) {
        let values = self.private_values();
        assert!(values.len() > 5 * PATIENTS, "{} values", values.len());
        let mut files = vec![];
        find(&self.project.path(""), &mut files);
        let is_input = |path: &&PathBuf| {
            let path = path.strip_prefix(self.project.path("")).unwrap();
            ["data/billing/in", "data/billing/archive", "pipelines/billing/sql", "pipelines/billing/source"]
                .iter()
                .any(|folder| path.starts_with(folder))
        };
        assert!(files.iter().any(|path| path.ends_with("ledger.sqlite")), "{files:?}");
        let outputs = files.iter().filter(|path| !is_input(path));
        let mut texts: Vec<(String, String)> = outputs
            .map(|path| (path.display().to_string(), String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()))
            .collect();
        // Parquet files are compressed.
        for kind in &KINDS {
            let mut staged = vec![];
            self.staged(kind, &mut staged);
            texts.push((format!("staged {}", kind.task), staged.join("\n")));
        }
        texts.push(("the database".to_owned(), self.content()));
        texts.push(("what was printed".to_owned(), self.printed.borrow().join("\n")));
        for (name, text) in &texts {
            for value in &values {
                assert!(!text.contains(value), "{name} holds `{value}`");
            }
        }
    }

    /// What the tables of the database hold, also those of weir.
    fn content(&self) -> String {
        let tables = "select format('%I.%I', schemaname, tablename) from pg_tables
            where schemaname not in ('pg_catalog', 'information_schema')";
        let sql = |sql: &str| Cluster::shared().sql(&self.database, sql);
        let rows =
            sql(tables).lines().map(|table| sql(&format!("select t::text from {table} as t"))).collect::<Vec<_>>();
        rows.join("\n")
    }
}

/// The records of a file of CSV.
fn records(path: &Path) -> Vec<Record> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(path).unwrap();
    let header = reader.headers().unwrap().clone();
    let name = base(path.to_str().unwrap());
    let record = |record: csv::StringRecord| Record {
        place: (name.clone(), record.position().unwrap().line()),
        fields: header.iter().map(str::to_owned).zip(record.iter().map(str::to_owned)).collect(),
        has_all_fields: record.len() == header.len(),
    };
    reader.records().map(|of_file| record(of_file.unwrap())).collect()
}

/// The name of a file, without its folder.
fn base(path: &str) -> String {
    path.rsplit('/').next().unwrap().to_owned()
}

/// Every file below a folder, if there is one.
fn find(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => find(&path, into),
            false => into.push(path),
        }
    }
}

/// Fails with the differences alone.
#[track_caller]
fn same<T: Ord + std::fmt::Debug>(found: &BTreeSet<T>, expected: &BTreeSet<T>, of: &str) {
    let missing: Vec<_> = expected.difference(found).take(3).collect();
    let further: Vec<_> = found.difference(expected).take(3).collect();
    assert!(missing.is_empty() && further.is_empty(), "{of}: missing {missing:#?}, further {further:#?}");
    assert!(!found.is_empty(), "{of} is empty");
}

fn november(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
}

/// The commands of the README.
fn commands() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pipelines/billing/README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let block = readme.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    block.lines().filter(|line| !line.starts_with("export")).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_commands_of_the_readme_fill_the_tables_and_make_the_reports() {
    let billing = Billing::new();
    let ran = billing.typed(&commands());
    for task in KINDS.iter().map(|kind| kind.task).chain(REPORTS) {
        ran.ended(0, &format!("done: `{task}`"));
    }
    ran.ended(0, "0 problems, 0 warnings");
    for table in KINDS.iter().map(|kind| kind.table).chain(["unbilled_claim", "fully_covered_provider"]) {
        let rows = Cluster::shared().sql(&billing.database, &format!("select count(*) from {table}"));
        assert!(rows.parse::<u32>().unwrap() > 20, "{table}: {rows}");
    }
    // The last one shows the names of patients that are encrypted in the report.
    let names = billing.rows("select patient_last_name from unbilled_claim where patient_is_known limit 5");
    for name in names.into_iter().flatten() {
        assert!(ran.out.contains(&format!(",{name},")), "{name}");
        assert!(!billing.content().contains(&name), "{name}");
    }
}

#[test]
fn deliveries_of_several_days_come_to_the_latest_revisions_and_to_the_reports() {
    let billing = Billing::new();
    let mut expected = Expected::default();
    for day in 1..=DAYS {
        billing.deliver(&format!("--days {day} --skip {}", day - 1));
        expected.deliver(&billing, november(day));
        let delivered = billing.project.left("data/billing/in");
        assert_eq!(delivered.len(), 3, "{delivered:?}");
        billing.run_all(day);
        billing.has(&expected, &format!("day {day}"));
        billing.reports(&expected, november(day));
        for (at, kind) in KINDS.iter().enumerate() {
            assert_eq!(billing.set_null(kind), expected.set_null[at], "{}", kind.task);
        }
        assert_eq!(billing.project.left("data/billing/in"), [""; 0]);
        let archived = billing.project.left("data/billing/archive");
        assert_eq!(archived.len(), 3 * day as usize);
        assert!(delivered.iter().all(|name| archived.contains(name)), "{archived:?}");
    }

    // Every fault was there.
    let reasons = |of: &[Reasons; 3]| {
        let all = of.iter().zip(&KINDS).flat_map(|(reasons, kind)| {
            reasons.values().flat_map(|reasons| reasons.split(';')).map(|reason| format!("{} {reason}", kind.task))
        });
        all.collect::<BTreeSet<String>>().into_iter().collect::<Vec<_>>()
    };
    assert_eq!(
        reasons(&expected.unreadable),
        [
            "claims invalid_amount",
            "claims invalid_service_date",
            "claims missing_claim_id",
            "claims missing_patient_id",
            "claims missing_updated_at",
            "claims unaccepted_status",
            "patients invalid_date_of_birth",
            "patients missing_patient_id",
            "patients missing_updated_at",
            "patients too_many_fields",
            "providers invalid_contract_from",
            "providers missing_npi",
            "providers missing_updated_at",
        ]
    );
    assert_eq!(
        reasons(&expected.rejected),
        [
            "claims billed_before_service",
            "claims billed_in_future",
            "claims billed_without_date",
            "claims missing_amount",
            "claims missing_service_date",
            "claims missing_status",
            "claims negative_amount",
            "claims open_but_billed",
            "claims service_in_future",
            "claims unknown_provider",
            "claims updated_in_future",
            "patients implausible_birth",
            "patients malformed_state",
            "patients missing_name",
            "patients updated_in_future",
            "providers implausible_contract",
            "providers invalid_npi",
            "providers missing_name",
            "providers updated_in_future",
        ]
    );
    assert_eq!(
        expected.all_set_null.iter().map(String::as_str).collect::<Vec<_>>(),
        [
            "invalid_coverage_type",
            "unaccepted_coverage_type",
            "unaccepted_sex",
            "unaccepted_specialty_code",
            "unaccepted_visit_type",
        ]
    );
    let unknown = expected.unbilled(november(DAYS)).iter().filter(|row| row[8] == "false").count();
    assert!(unknown > 0, "no claim is that of an unknown patient");
    billing.holds_no_private_value();

    // Nothing new: nothing is written.
    let written = "select max(xmin::text::bigint) from (select xmin from patient union all select xmin from provider
        union all select xmin from claim) as every";
    let before = Cluster::shared().sql(&billing.database, written);
    for kind in &KINDS {
        billing.run(kind.task, DAYS).ended(0, "nothing to do");
    }
    assert_eq!(Cluster::shared().sql(&billing.database, written), before);
    billing.has(&expected, "again");
}

#[test]
fn deliveries_of_several_days_are_read_by_one_run() {
    let billing = Billing::new();
    billing.deliver(&format!("--days {DAYS}"));
    let mut expected = Expected::default();
    expected.deliver(&billing, november(DAYS));
    billing.run_all(DAYS);
    billing.has(&expected, "all days");
    billing.reports(&expected, november(DAYS));
}

#[test]
fn a_delivery_that_closes_the_gate_is_staged_and_changes_no_table() {
    let billing = Billing::new();
    let mut expected = Expected::default();
    billing.deliver("--days 1");
    expected.deliver(&billing, november(1));
    billing.run_all(1);
    let patients = &KINDS[0];
    let claims = &KINDS[2];

    billing.deliver("--days 2 --skip 1 --broken");
    for kind in &KINDS[..2] {
        billing.run(kind.task, 2).ended(0, "done: `");
    }
    let before = billing.table(claims);
    billing.run(claims.task, 2).ended(3, "gate closed: claim: rejected");
    assert_eq!(billing.table(claims), before);
    assert_eq!(billing.project.left("data/billing/in"), ["claims_2026-11-02.csv"]);
    let of_the_day =
        |places: BTreeSet<Place>| places.into_iter().filter(|(file, _)| file == "claims_2026-11-02.csv").count();
    assert!(of_the_day(billing.staged(claims, &mut vec![])) > 10);
    let rejected = billing.quarantine(claims, "rejected", ["file", "line"]);
    let negative = rejected.values().filter(|reasons| reasons.contains("negative_amount")).count();
    assert!(negative > PATIENTS / 3, "{negative} negative amounts");
    billing.holds_no_private_value();

    // The delivery is corrected: what the closed gate let through is replaced.
    billing.deliver("--days 2 --skip 1");
    for kind in &KINDS[..2] {
        // Those of this day were published, and have not changed.
        billing.run(kind.task, 2).ended(0, "nothing to do");
        let again = billing.files("data/billing/in", kind);
        assert_eq!(again.len(), 1);
    }
    expected.deliver(&billing, november(2));
    for task in [claims.task, REPORTS[0], REPORTS[1]] {
        billing.run(task, 2).ended(0, "done: `");
    }
    billing.has(&expected, "corrected");
    billing.reports(&expected, november(2));

    // A delivery of which all records are wrong closes the gate, too.
    let wrong = "patient_id,first_name,last_name,date_of_birth,sex,ssn,insurance_number,phone,email,address,zip_code,state,\
                 emergency_contact,registered_on,updated_at\nPT-999999,Ann,Mistlethwaite,1980-01-05,F,,,,,,,,,,11/2/2026 8:00:00\n";
    billing.project.file("data/billing/in/patients_2026-11-03.csv", wrong);
    let before = billing.table(patients);
    billing.run(patients.task, 2).ended(3, "gate closed");
    assert_eq!(billing.table(patients), before);
    billing.holds_no_private_value();
}

#[test]
fn a_corrected_delivery_under_the_same_name_is_read_and_a_copy_is_not() {
    let billing = Billing::new();
    billing.deliver("--days 1");
    let mut expected = Expected::default();
    expected.deliver(&billing, november(1));
    billing.run_all(1);
    let archived = |name: &str| billing.project.text(&format!("data/billing/archive/{name}"));
    let delivered = archived("claims_2026-11-01.csv");

    billing.project.file("data/billing/in/claims_2026-11-02.csv", &delivered);
    billing.run("claims", 1).ended(0, "it is a copy, and is not read");
    billing.has(&expected, "a copy");
    fs::remove_file(billing.project.path("data/billing/in/claims_2026-11-02.csv")).unwrap();

    let corrected = delivered.replace(",OFFICE,", ",TELEHEALTH,");
    assert_ne!(corrected, delivered);
    billing.project.file("data/billing/in/claims_2026-11-01.csv", &corrected);
    expected.deliver(&billing, november(1));
    billing.run("claims", 1).ended(0, "done: `claims`");
    same(&billing.table(&KINDS[2]), &expected.rows(2), "claim");
    // Both are staged and archived.
    assert_eq!(archived("claims_2026-11-01.csv"), delivered);
    assert_eq!(billing.files("data/billing/archive", &KINDS[2]).len(), 2);
    assert_eq!(billing.project.left("data/billing/staging/claims/file_name=claims_2026-11-01.csv").len(), 2);
}

#[test]
fn another_currency_ends_the_run_and_publishes_nothing() {
    let billing = Billing::new();
    billing.deliver("--days 1");
    for kind in &KINDS[..2] {
        billing.run(kind.task, 1).ended(0, "done: `");
    }
    let path = "data/billing/in/claims_2026-11-01.csv";
    let text = billing.project.text(path);
    billing.project.file(path, text.replacen(",USD,", ",CAD,", 1));
    billing.run("claims", 1).ended(1, "claims_2026-11-01.csv:2: column `currency`: unaccepted_currency");
    assert_eq!(billing.project.left("data/billing/in"), ["claims_2026-11-01.csv"]);
    assert_eq!(billing.project.left("data/billing/staging"), ["patients", "providers"]);
    assert_eq!(Cluster::shared().sql(&billing.database, "select to_regclass('claim') is null"), "t");
    billing.holds_no_private_value();
}

#[test]
fn equal_records_count_once_and_records_of_one_revision_that_differ_end_the_run() {
    let billing = Billing::new();
    let header = "npi,name,specialty_code,tax_id,bank_account,phone,contract_from,contract_until,updated_at";
    let deliver = |day: u32, records: &[&str]| {
        let lines: String = records.iter().map(|record| format!("1234567893,{record}\n")).collect();
        billing.project.file(&format!("data/billing/in/providers_2026-11-{day:02}.csv"), format!("{header}\n{lines}"));
    };
    let names = || Cluster::shared().sql(&billing.database, "select name, specialty_code, phone from provider");
    // Two files that have the record as it is, and an older revision behind it.
    let same = "Lakeside Clinic,CARD,12-3456789,ACCT-1,555-010-1234,1/5/2020,,11/1/2026 8:00:00";
    let older = "Eastbank Group,CARD,12-3456789,ACCT-1,555-010-1234,1/5/2020,,10/31/2026 8:00:00";
    deliver(1, &[same, older, same]);
    deliver(2, &[same, older]);
    billing.run("providers", 2).ended(0, "1 inserted, 0 updated, 0 unchanged, 4 superseded");
    assert_eq!(names(), "Lakeside Clinic|CARD|555-010-1234");
    // Which one counts is not known.
    deliver(3, &[same, &same.replace("CARD", "DERM")]);
    billing.run("providers", 3).ended(1, "rows of this run differ and have the same (npi)");
    assert_eq!(names(), "Lakeside Clinic|CARD|555-010-1234");
    assert_eq!(billing.project.left("data/billing/in"), ["providers_2026-11-03.csv"]);
    deliver(3, &[&same.replace("CARD", "DERM")]);
    billing.run("providers", 3).ended(0, "0 inserted, 1 updated");
    assert_eq!(names(), "Lakeside Clinic|DERM|555-010-1234");
}

#[test]
fn claims_whose_provider_comes_later_are_replayed() {
    let billing = Billing::new();
    billing.deliver("--days 1");
    let mut expected = Expected::default();
    expected.deliver(&billing, november(1));
    let claims = &KINDS[2];

    // The provider of the first claim is left out.
    let npi = billing.records(claims)[0].get("npi").to_owned();
    let path = "data/billing/in/providers_2026-11-01.csv";
    let text = billing.project.text(path);
    let (late, first): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with(&npi));
    assert_eq!(late.len(), 1, "{late:?}");
    billing.project.file(path, first.join("\n") + "\n");
    for kind in &KINDS {
        billing.run(kind.task, 1).ended(0, "done: `");
    }
    let table = billing.table(claims);
    assert!(table.len() < expected.rows(2).len());
    let replay = || {
        let ran = billing.typed("weir replay pipelines/billing/claims.yaml --param as_of=2026-11-01");
        billing.printed.borrow_mut().extend([ran.out.clone(), ran.err.clone()]);
        ran
    };
    replay().ended(0, "; 0 accepted and published");
    assert_eq!(billing.table(claims), table);

    let header = text.lines().next().unwrap();
    billing.project.file("data/billing/in/providers_2026-11-02.csv", format!("{header}\n{}\n", late[0]));
    billing.run("providers", 1).ended(0, "1 inserted");
    replay().ended(0, "accepted and published");
    same(&billing.table(claims), &expected.rows(2), "claim");
    same(&billing.staged(claims, &mut vec![]), &expected.staged[2], "staged claims");
    replay().ended(0, "; 0 accepted and published");
    same(&billing.staged(claims, &mut vec![]), &expected.staged[2], "staged claims");
    billing.holds_no_private_value();
}

#[test]
fn the_fixtures_pass_and_cover_every_rule() {
    let billing = Billing::new();
    for (task, cases) in KINDS.iter().map(|kind| kind.task).chain(REPORTS).zip([5, 4, 5, 1, 2]) {
        let ran = billing.typed(&format!("weir test pipelines/billing/{task}.yaml"));
        ran.ended(0, &format!("{cases} case"));
        ran.ended(0, "all ok");
        assert!(!ran.out.contains("no case trips"), "{task}: {}", ran.out);
    }
}

#[test]
fn every_environment_is_valid_and_a_missing_secret_is_named() {
    let billing = Billing::new();
    for task in KINDS.iter().map(|kind| kind.task).chain(REPORTS) {
        for environment in ["local", "prod"] {
            let command = format!("weir validate pipelines/billing/{task}.yaml --env {environment}");
            billing.typed(&command).ended(0, "is valid");
        }
    }
    billing.deliver("--days 1");
    for name in ["BILLING_WAREHOUSE_PASSWORD", "BILLING_KEY", "BILLING_TOKEN_KEY"] {
        let ran = billing.typed(&format!("unset {name}; weir run pipelines/billing/patients.yaml"));
        ran.ended(2, &format!("the environment variable `{name}` is not set"));
    }
}

#[test]
fn a_delivery_of_one_number_is_always_the_same() {
    let billing = Billing::new();
    let deliver = "pipelines/billing/source/deliver.sh --patients 100 --from 2026-11-01";
    // More days leave the earlier ones as they are; those that are skipped are not written.
    let commands = format!(
        "{deliver} --days 2 a; {deliver} --days 3 b; {deliver} --days 3 --skip 2 c
         test $(ls a | wc -l) = 6; test $(ls c | wc -l) = 3
         for file in a/* c/*; do cmp $file b/$(basename $file); done; echo the same"
    );
    billing.typed(&commands).ended(0, "the same");
    for wrong in ["--days 0", "--patients 99", "--from yesterday", "--days"] {
        billing.typed(&format!("{deliver} {wrong}")).ended(1, "deliver.sh: ");
    }
}
