//! Objects of a second server, which somebody else has written: moto, of `scripts/requirements-moto.txt`.
#![cfg(feature = "object-stores")]
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use support::{Project, Ran};

/// The interpreter of the environment that `scripts/test.sh install` makes.
fn python() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(std::env::home_dir()?.join(".cache"))).unwrap();
    let python = cache.join("weir-test/moto/bin/python");
    assert!(python.exists(), "{} is not there: scripts/test.sh install", python.display());
    python
}

struct Moto {
    server: Child,
    address: String,
}

impl Moto {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let mut command = Command::new(python());
        command.args(["-m", "moto.server", "--port", &port]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut server = command.spawn().unwrap();
        // It says when it listens. The rest is read so that it can be written.
        let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
        lines.find(|line| line.as_ref().unwrap().contains("Running on")).unwrap().unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        Self { server, address: format!("http://127.0.0.1:{port}") }
    }

    /// Runs a program of Python that has a client `s3`, and the address of the server; returns what it prints.
    fn python(&self, program: &str) -> String {
        let client = format!(
            "import boto3, json\naddress = '{}'\n\
             s3 = boto3.client('s3', endpoint_url=address, region_name='us-east-1', aws_access_key_id='key', \
             aws_secret_access_key='secret')\n",
            self.address
        );
        let ran = Ran::of(Command::new(python()).args(["-c", &(client + program)]).output().unwrap());
        ran.ended(0, "");
        ran.out.trim().to_owned()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn run(project: &Project, task: &str) -> Ran {
    let mut command = project.command(&["run", task, "--state", ".weir"]);
    Ran::of(command.env("SECRET", "secret").env("NO_PROXY", "*").output().unwrap())
}

/// The programs of the guide by which readers go by the manifest.
fn of_guide(language: &str) -> String {
    blocks_of_guide("### Reading what a sink has written to a bucket", language).swap_remove(0)
}

/// The programs in a language behind a heading of the guide.
fn blocks_of_guide(heading: &str, language: &str) -> Vec<String> {
    let guide = std::fs::read_to_string(format!("{}/../docs/GUIDE.md", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let (_, section) = guide.split_once(heading).unwrap();
    let begin = format!("```{language}\n");
    let blocks = section.split(&begin).skip(1);
    blocks.map(|block| block.split_once("```").unwrap().0.to_owned()).collect()
}

#[test]
fn a_second_server_agrees_about_sources_sinks_and_readers() {
    let moto = Moto::start();
    moto.python(
        "s3.create_bucket(Bucket='sales')\n\
         for n in range(3): s3.put_object(Bucket='sales', Key=f'in/day={n}/a b.csv', Body=f'item,amount\\nbolt,{n}\\n')",
    );
    let project = Project::empty();
    project.file(
        "weir.yaml",
        format!(
            "stores: {{'s3://sales': {{endpoint: '{}', allow_http: true, access_key_id: key, secret_access_key: '${{env:SECRET}}'}}}}",
            moto.address
        ),
    );
    let task = |mode: &str| {
        format!(
            "name: sale
sources:
  delivery:
    files: {{path: 's3://sales/in/*/*.csv', format: csv}}
    read: new
    if_missing: skip
    archive: s3://sales/done
    columns: {{day: {{type: bigint, from: folder}}, item: string, amount: bigint}}
sinks:
  sale: {{from: delivery, mode: {mode}, files: {{path: 's3://sales/out/sale', format: parquet}}}}
"
        )
    };
    project.file("task.yaml", task("append"));
    run(&project, "task.yaml").ended(0, "done");
    moto.python("s3.put_object(Bucket='sales', Key='in/day=9/b.csv', Body='item,amount\\nnut,9\\n')");
    run(&project, "task.yaml").ended(0, "done");
    run(&project, "task.yaml").ended(0, "nothing to do");
    let keys = moto.python("print(*[o['Key'] for o in s3.list_objects_v2(Bucket='sales')['Contents']], sep='\\n')");
    assert_eq!(keys.lines().filter(|key| key.starts_with("done/day=")).count(), 4, "{keys}");
    assert_eq!(keys.lines().filter(|key| key.starts_with("in/")).count(), 0, "{keys}");

    // The readers of the guide see the rows of committed runs, and not what another run is writing.
    let torn = "Bucket='sales', Key='out/sale/part-20270101T000000Z-0123456789ab-00000.parquet'";
    moto.python(&format!("s3.put_object({torn}, Body=b'torn')"));
    assert_eq!(moto.python(&of_guide("python").replace("boto3.client(\"s3\")", "s3")), "4");
    // The extension httpfs of DuckDB would have to be downloaded: it reads by way of s3fs here.
    let program = format!(
        "import duckdb, s3fs\nduckdb.register_filesystem(s3fs.S3FileSystem(key='key', secret='secret', endpoint_url=address))\n\
         for statement in \"\"\"{}\"\"\".split(';'):\n    if statement.strip(): found = duckdb.sql(statement)\n\
         print(found.fetchall()[0][0])",
        of_guide("sql")
    );
    assert_eq!(moto.python(&program), "12");
    moto.python(&format!("s3.delete_object({torn})"));

    // A folder has one owner.
    project.file("task.yaml", task("append").replace("name: sale", "name: other"));
    moto.python("s3.put_object(Bucket='sales', Key='in/day=1/c.csv', Body='item,amount\\nnut,9\\n')");
    run(&project, "task.yaml").ended(1, "was written by sink `sale` of task `sale.default`");
}

/// Keys with what a name must not have, or what is escaped in a special way.
const KEYS: [&str; 9] = ["42", "a/b", "../x", "Müller", "100% ~_.-!()*'", "_SUCCESS", ".hidden", "con", "Lpt9.x"];

#[test]
fn a_document_is_read_by_its_key_as_the_guide_reads_it() {
    let moto = Moto::start();
    moto.python("s3.create_bucket(Bucket='sales')");
    let project = Project::empty();
    project.file(
        "weir.yaml",
        format!(
            "stores: {{'s3://sales': {{endpoint: '{}', allow_http: true, access_key_id: key, secret_access_key: '${{env:SECRET}}'}}}}",
            moto.address
        ),
    );
    let rows: String = KEYS.iter().enumerate().map(|(number, key)| format!("\"{key}\",document {number}\n")).collect();
    project.file("in.csv", format!("id,text\n{rows}"));
    project.file(
        "task.yaml",
        "name: customers
sources: {customer: {files: {path: in.csv, format: csv}, columns: {id: string, text: string}}}
models: {document: document.sql}
sinks:
  here: {from: document, mode: overwrite, documents: {path: out/customers, name: '${id}.json', body: text}}
  there: {from: document, mode: overwrite, documents: {path: 's3://sales/out/customers', name: '${id}.json', body: text}}
  refused: {from: document.rejected, mode: overwrite, publish: always, files: {file: refused.csv, format: csv}}
",
    );
    project.file("document.sql", "select id, text from customer");
    let programs = blocks_of_guide("### Documents: a file for each row", "python");
    let program = format!("{}\n{}\nkeys = {KEYS:?}\n", programs[0], programs[1]);
    let expected: Vec<String> = (0..KEYS.len()).map(|number| format!("document {number}")).collect();
    let folder = project.path("out/customers");
    for _ in 0..2 {
        run(&project, "task.yaml").ended(0, "done");
        for read in [
            "read_document(s3, 'sales', 'out/customers', document_name(key)).decode()".to_owned(),
            format!("open({folder:?} + '/' + document_name(key)).read()"),
        ] {
            let read = moto.python(&format!("{program}for key in keys: print({read})"));
            assert_eq!(read.lines().collect::<Vec<_>>(), expected);
        }
    }
    let statements = blocks_of_guide("### Documents: a file for each row", "sql").swap_remove(0);
    let program = format!(
        "import duckdb, os\nos.chdir({:?})\nfor statement in \"\"\"{statements}\"\"\".split(';'):\n    \
         if statement.strip(): print(duckdb.sql(statement).fetchall()[0][0])",
        project.path("")
    );
    assert_eq!(moto.python(&program).lines().collect::<Vec<_>>(), ["document 1", "9"]);
}
