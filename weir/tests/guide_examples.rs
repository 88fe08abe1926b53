//! The examples of the guide, and of the document about other tools: each is a valid part of a task.
#![cfg(feature = "http")] // some read a URL
#![allow(clippy::unwrap_used)]

mod support;

use support::{Project, Ran};

/// The columns of tables that examples name.
const TABLES: [(&str, &str); 6] = [
    (
        "application",
        "name: string, birthday: date, date_of_birth: string, mobile: string, membership_id: bigint, amount: 'decimal(12,2)', currency: string",
    ),
    ("stock", "item: string, amount: bigint, counted_at: timestamp, day: date, shop: string"),
    ("customer", "customer_no: bigint, name: string"),
    ("sale", "id: bigint, day: date"),
    ("product_change", "product_no: bigint, name: string, changed_at: timestamp, op: string"),
    ("price", "product_no: bigint, price: 'decimal(12,2)', changed_at: timestamp"),
];

/// Parameters that examples use and do not declare.
const PARAMS: [&str; 6] = ["input", "output", "countries", "from", "shop", "day"];

/// Parts of a project file.
const OF_PROJECT: [&str; 6] = ["keys:", "connections:", "metrics:", "openlineage:", "retention:", "stores:"];

fn document(name: &str) -> String {
    std::fs::read_to_string(format!("{}/../docs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The blocks of YAML, with their lines, and without what stands for any columns.
fn blocks(document: &str) -> Vec<(usize, String)> {
    let mut blocks = vec![];
    let mut lines = document.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        if line.trim() == "```yaml" {
            let block: Vec<&str> =
                lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```").collect();
            blocks.push((at + 1, block.join("\n").replace("{…}", "{id: bigint}") + "\n"));
        }
    }
    blocks
}

/// What stands between backticks in a text.
fn spans(text: &str) -> Vec<String> {
    let text = text.replace("\n  ", " ").replace('\n', " ");
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The part of a document below a heading, without its blocks.
fn section(document: &str, heading: &str) -> String {
    let (_, after) = document.split_once(&format!("\n{heading}\n")).unwrap();
    let end = after.find("\n## ").into_iter().chain(after.find("\n### ")).min().unwrap();
    after[..end].split("```").step_by(2).collect()
}

/// The names in a section of a task.
fn names<'a>(task: &'a str, section: &str) -> Vec<&'a str> {
    let mut lines = task.lines().skip_while(|line| !line.starts_with(section)).skip(1);
    let inside = lines.by_ref().take_while(|line| line.starts_with(' ') || line.is_empty());
    let name = |line: &'a str| line.strip_prefix("  ").filter(|line| !line.starts_with([' ', '#']))?.split(':').next();
    inside.filter_map(name).collect()
}

/// A project with the part as a task, and what the part needs.
fn project(part: &str) -> Project {
    let project = Project::empty();
    let has = |section: &str| part.lines().any(|line| line.starts_with(section));
    let mut task = format!("name: example\n{part}");
    let used =
        PARAMS.iter().filter(|name| part.contains(&format!("${{{name}}}")) || part.contains(&format!("= ${name} ")));
    let used: Vec<_> = used.collect();
    if !has("params:") && !used.is_empty() {
        let used = used.iter().map(|name| format!("{name}: {{type: string, default: x}}"));
        task.push_str(&format!("params: {{{}}}\n", used.collect::<Vec<_>>().join(", ")));
    }
    let routes: Vec<&str> =
        part.lines().filter_map(|line| line.trim().strip_prefix("from: ")?.split([' ', '.']).next()).collect();
    let judged = names(part, "quality:");
    let has_model = has("models:") || routes.iter().chain(&judged).any(|name| *name == "applicant");
    if !has("sources:") {
        task.push_str("sources:\n");
        for (name, columns) in TABLES {
            if routes.iter().chain(&judged).any(|of| *of == name) || (has_model && name == "application") {
                task.push_str(&format!(
                    "  {name}: {{files: {{path: 'in/*.csv', format: csv}}, columns: {{{columns}}}}}\n"
                ));
            }
        }
        if !task.contains("  {files") && !task.contains(": {files") {
            task.push_str("  any: {files: {path: 'in/*.csv', format: csv}, columns: {id: bigint}}\n");
        }
    }
    if has_model {
        project.file("sql/applicant.sql", "select * from application");
        if !has("models:") {
            task.push_str("models: {applicant: sql/applicant.sql}\n");
        }
    }
    if !has("sinks:") {
        task.push_str("sinks:\n");
        let sources = names(&task, "sources:").join(" ");
        let models = if has_model { "applicant" } else { "" };
        for name in sources.split(' ').chain([models]).filter(|name| !name.is_empty()) {
            task.push_str(&format!(
                "  {name}: {{from: {name}, mode: overwrite, files: {{path: out/{name}, format: csv}}}}\n"
            ));
        }
    }
    if part.contains("models: {order: sql/order.sql}") {
        project.file("sql/order.sql", "select * from raw_order");
    }
    if part.contains("ref: customers.customer") {
        project.file(
            "customers.yaml",
            "name: customers
sources: {given: {files: {path: 'in/*.csv', format: csv}, columns: {id: bigint}}}
sinks: {customer: {from: given, mode: overwrite, files: {path: customers, format: csv}}}
",
        );
    }
    project.file("task.yaml", task);
    let url = "{postgres: 'postgres://loader@localhost/shop'}";
    let store = "{mysql: 'mysql://ann@db.example/store'}";
    project.file("weir.yaml", format!("connections: {{shop: {url}, warehouse: {url}, store: {store}}}\n"));
    project
}

fn validate(project: &Project) -> Ran {
    let mut command = project.command(&["validate", "task.yaml"]);
    Ran::of(command.env("TOKEN", "t").env("LOADER_PASSWORD", "p").output().unwrap())
}

#[track_caller]
fn is_valid(project: &Project, at: &str) {
    let ran = validate(project);
    let task = std::fs::read_to_string(project.path("task.yaml")).unwrap();
    assert_eq!(ran.code, Some(0), "{at}:\n{task}\n{}{}", ran.out, ran.err);
}

/// A task with these keys of `files`, of the source, and of a column.
fn source(files: &str, keys: &str, column: &str) -> String {
    let id = if files.contains("fixed_width") { "{type: bigint, characters: 21-28}" } else { "bigint" };
    format!("sources:\n  src:\n    {files}\n{keys}    columns: {{id: {id}, x: {column}}}\n")
}

#[test]
fn every_block_of_the_guide_is_valid() {
    let guide = document("GUIDE.md");
    let blocks = blocks(&guide);
    assert!(blocks.len() > 20, "{}", blocks.len());
    for (line, block) in blocks {
        let at = format!("docs/GUIDE.md:{line}");
        if block.starts_with('#') {
            continue; // a comment for editors
        }
        if block.starts_with("files:") {
            for files in block.lines() {
                is_valid(&project(&source(files, "", "string")), &at);
            }
        } else if OF_PROJECT.iter().any(|part| block.starts_with(part)) {
            let project = project("");
            project.file("weir.yaml", &block);
            is_valid(&project, &at);
        } else if block.contains("\n  given:") {
            is_a_case(&block, &at);
        } else if block.contains("fetch:") {
            let ran = validate(&project(&block));
            assert!(ran.err.contains("`covid_cases`"), "{at}: {}{}", ran.out, ran.err); // a fetcher of another program
        } else {
            is_valid(&project(&block), &at);
        }
    }
}

/// Runs a test case of the guide.
fn is_a_case(case: &str, at: &str) {
    let project = project(
        "params: {adult_on: {type: date, default: 2022-01-01}}
sources:
  application: {files: {path: in/a.csv, format: csv}, columns: {name: string, date_of_birth: string, mobile_no: string}}
models: {applicant: sql/applicant.sql}
quality: {applicant: {warn_unless: {repeated_id: {unique: [name]}}}}
",
    );
    let sql = "select name, to_yyyymmdd(to_date(date_of_birth, '%m/%d/%Y')) as birthday_text from application \
               where $adult_on is not null";
    project.file("sql/applicant.sql", sql);
    project.file("sql/applicant.test.yaml", case);
    let ran = project.weir(&["test", "task.yaml"]);
    assert_eq!(ran.code, Some(0), "{at}: {}{}", ran.out, ran.err);
}

#[test]
fn every_requirement_of_the_guide_is_valid() {
    let text = section(&document("GUIDE.md"), "### Quality rules and the gate");
    let rules: Vec<String> =
        spans(&text).into_iter().filter(|span| span.starts_with('{') || span.contains(" current_date")).collect();
    assert!(rules.len() > 12, "{rules:?}");
    for rule in rules {
        let part = format!(
            "params: {{least: {{type: bigint, default: 1}}}}
sources:
  orders: {{files: {{path: in/o.csv, format: csv}}, columns: {{id: bigint}}}}
  countries: {{files: {{path: in/c.csv, format: csv}}, columns: {{code: string}}}}
  src:
    files: {{path: in/a.csv, format: csv}}
    columns: {{amount: bigint, email: string, name: string, ratio: double, membership_id: bigint, birthday: date, country: \
             string, address: string, currency: string, mobile: string, age: integer, parent: bigint, day: date}}
models: {{row: sql/row.sql}}
quality: {{row: {{warn_unless: {{rule: {rule}}}}}}}
sinks:
  o: {{from: orders, mode: overwrite, files: {{path: out/o, format: csv}}}}
  c: {{from: countries, mode: overwrite, files: {{path: out/c, format: csv}}}}
  r: {{from: row, mode: overwrite, files: {{path: out/r, format: csv}}}}
"
        );
        let project = project(&part);
        project.file("sql/row.sql", "select * from src where $least > 0");
        is_valid(&project, &rule);
    }
}

#[test]
fn the_sql_of_the_guide_is_valid() {
    let text = section(&document("GUIDE.md"), "### Models");
    let is_sql =
        |span: &String| !span.contains('…') && ["(", "->", "#>>", " - ", " + "].iter().any(|part| span.contains(part));
    let sql: Vec<String> = spans(&text).into_iter().filter(is_sql).collect();
    assert!(sql.len() > 14, "{sql:?}");
    for expression in sql {
        let part = "sources:
  src:
    files: {path: in/a.csv, format: csv}
    columns:
      {text: string, date: date, body: json, day: date, start: date, end: date, birthday: date, number: double, at: timestamp,
       id: bigint, n: bigint, a: string, b: string, key: string, value: double, doc: json}
models: {row: sql/row.sql}
sinks: {r: {from: row, mode: overwrite, files: {path: out/r, format: jsonl}}}
";
        let project = project(part);
        let named = if expression.contains(" as n") { expression.clone() } else { format!("{expression} as x") };
        project.file("sql/row.sql", format!("select {named} from src"));
        is_valid(&project, &expression);
    }
}

#[test]
fn every_key_that_stands_for_an_option_of_another_tool_is_valid() {
    let document = document("COMING_FROM.md");
    let mut tried = 0;
    for line in document.lines().filter(|line| line.starts_with("| ")) {
        let (_, ours) = line.trim_end_matches('|').rsplit_once(" | ").unwrap();
        for span in spans(ours).into_iter().filter(|span| !span.contains('…')) {
            let Some(part) = of_span(&span) else { continue };
            tried += 1;
            let project = project(&part);
            project.file("sql/applicant.sql", "select * from application");
            is_valid(&project, &format!("`{span}` in {line}"));
        }
    }
    assert!(tried > 40, "{tried}");
}

/// A task with what a span says, if it says a key and its value.
fn of_span(span: &str) -> Option<String> {
    const FILES: &str = "files: {path: in/a.csv, format: csv}";
    let sink = |keys: &str| {
        format!(
            "sources:\n  src:\n    {FILES}\n    columns: {{id: bigint, year: integer}}\nsinks:\n  rows:\n    from: src\n{keys}"
        )
    };
    let inside = |prefix: &str| Some(span.strip_prefix(prefix)?.strip_suffix('}')?.to_owned());
    if let Some(keys) = inside("files: {") {
        if !keys.contains(':') {
            return None;
        }
        let (path, format) = (
            if keys.contains("path:") { "" } else { "path: in/a, " },
            if keys.contains("format:") { "" } else { "format: csv, " },
        );
        return Some(match keys.contains("file:") || keys.contains("bom:") {
            true => sink(&format!(
                "    mode: overwrite\n    files: {{{}{format}{keys}}}\n",
                if keys.contains("file:") { "" } else { "path: out, " }
            )),
            false => source(&format!("files: {{{path}{format}{keys}}}"), "", "string"),
        });
    }
    if span.starts_with("{type:") {
        return Some(source("files: {path: 'in/*/a.csv', format: csv}", "", span));
    }
    let (key, value) = span.split_once(": ")?;
    Some(match key {
        "thousands" => source(FILES, &format!("    decimal_point: ','\n    {span}\n"), "double"),
        "decimal_point" | "null_values" | "unknown_columns" => source(FILES, &format!("    {span}\n"), "double"),
        "optional" | "not_null" | "on_invalid" => source(FILES, "", &format!("{{type: string, {span}}}")),
        "type" => source(FILES, "", &format!("{{{span}}}")),
        "path" => source("files: {path: in/a.json, format: json}", "", &format!("{{type: string, {span}}}")),
        "characters" => {
            source("files: {path: in/a.txt, format: fixed_width}", "", &format!("{{type: string, {span}}}"))
        }
        "format" | "records" => {
            let format = if key == "format" { "" } else { "format: json, " };
            let column = if value == "fixed_width" { "{type: string, characters: 1-8}" } else { "string" };
            source(&format!("files: {{path: in/a.json, {format}{span}}}"), "", column)
        }
        "read" => source(FILES, &format!("    {span}\n"), "string"),
        "columns" => format!("sources:\n  src:\n    {FILES}\n    {span}\n"),
        "mode" if matches!(value, "overwrite" | "append") => {
            let read = if value == "append" { "    read: new\n" } else { "" };
            sink(&format!("    {span}\n    files: {{path: out, format: csv}}\n"))
                .replace("    columns", &format!("{read}    columns"))
        }
        "mode" => {
            let keys = if value == "replace" { "partition_by: [year]" } else { "primary_key: [id]" };
            sink(&format!("    {span}\n    {keys}\n    postgres: {{connection: warehouse, table: t, create: true}}\n"))
        }
        "partition_by" => sink(&format!("    mode: replace\n    {span}\n    files: {{path: out, format: csv}}\n")),
        "schema_changes" => sink(&format!(
            "    mode: merge\n    primary_key: [id]\n    postgres: {{connection: warehouse, table: t, create: true, {span}}}\n"
        )),
        "cursor" => {
            "sources:\n  src:\n    postgres: {connection: shop, table: t, SPAN}\n    columns: {updated_at: timestamp}\n"
                .replace("SPAN", span)
        }
        "postgres" => format!("sources:\n  src:\n    {span}\n    columns: {{id: bigint}}\n"),
        "max" => format!("quality:\n  applicant: {{reject_unless: {{rule: {{not_null: name, {span}}}}}}}\n"),
        "gate" => format!("quality:\n  applicant: {{{span}}}\n"),
        _ => return None,
    })
}
