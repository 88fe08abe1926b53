#!/usr/bin/env python3
"""Compare pipelines with MySQL as a source and as a target with alternatives, on ephemeral servers.

claims      the pipeline pipelines/claims, from MariaDB into PostgreSQL: weir, DuckDB and PySpark
mysql_load  rows of four columns from a CSV file into a new table of MariaDB, with a primary key and without: the
            command-line client's `load data local infile`, and weir

Each contestant is a fresh process that begins with an empty target; contestants take turns. After each run the rows of
its target are compared. Prints a Markdown table for each part. Exits with code 1 if a contestant failed or wrote other
rows.
"""

import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import cluster  # noqa: E402
import harness  # noqa: E402
import mariadb  # noqa: E402
from harness import Contestant, Failed, say, step  # noqa: E402

from claims_tables import TABLES  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
PARTS = ["claims", "mysql_load"]
WAYS = ["weir", "duckdb", "pyspark"]
DATABASE = "claims"
# About 50 times the claims of the pipeline's real sample.
TREATMENTS = 300_000
# Debian's packages of the JDBC drivers, and their files.
DRIVERS = {"libmariadb-java": "mariadb-java-client.jar", "libpostgresql-jdbc-java": "postgresql.jar"}

LOAD_TASK = """
name: load
sources:
  row:
    files: {{path: "{file}", format: csv}}
    columns: {{id: bigint, name: string, amount: "decimal(12,2)", made_at: timestamp}}
sinks:
  target:
    from: row
    mode: overwrite
    {key}
    mysql: {{connection: target, table: rows_of_weir, create: true}}
  unreadable: {{from: row.rejected, mode: overwrite, files: {{path: "{folder}/unreadable", format: csv}}}}
"""


def main() -> int:
    options = parse_arguments()
    # The servers are removed even if the script is terminated.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("run.py: terminated"))
    options.cache.mkdir(parents=True, exist_ok=True)
    results = {}
    try:
        weir = options.weir or harness.built(harness.ROOT, "weir", os.environ.get("CARGO_TARGET_DIR"))
        peers = {"claims": lambda: prepared_peers(options), "mysql_load": dict}
        tools = {part: peers[part]() for part in options.parts}
        with harness.work_folder(options, "run-") as work:
            for part in options.parts:
                results[part] = PART[part](weir, tools[part], work, options)
    except Failed as failure:
        sys.exit(f"run.py: {failure}")
    return harness.report_parts(options, results)


def parse_arguments():
    parser = harness.arguments(__doc__, 1_000_000, WAYS)
    parser.add_argument("--parts", type=harness.one_or_more_of(PARTS), default=PARTS, metavar="PARTS",
                        help=f"parts, separated by commas (default: {','.join(PARTS)})")
    parser.add_argument("--treatments", type=int, default=TREATMENTS, metavar="N",
                        help="treatments of the part claims; --rows is for mysql_load (default: %(default)s)")
    parser.add_argument("--weir", type=harness.absolute, metavar="PATH", help="a built binary instead of building one")
    parser.add_argument("--steps", action="store_true",
                        help="print the times of weir's steps, and of MariaDB's statements that take more than 20 ms")
    return parser.parse_args()


def settings_line(**servers: dict[str, str]) -> str:
    shown = lambda settings: ", ".join(f"`{name}` {value}" for name, value in settings.items())
    return "; ".join(f"{name} with {shown(settings)}" for name, settings in servers.items()) + "."


def weir_command(weir: pathlib.Path, task: pathlib.Path, options, *more: str) -> list[str]:
    kept = ["--report", "STATE.json"] if options.steps else []
    return [str(weir), "run", str(task), "--state", "STATE", *kept, *more, *([] if options.steps else ["--quiet"])]


# ---- claims


def prepared_peers(options) -> dict:
    """The Python environment and the JDBC drivers of the chosen peers."""
    tools = {}
    if {"duckdb", "pyspark"} & set(options.only):
        tools["python"] = harness.python_environment(options.cache, HERE / "requirements.txt")
    if "pyspark" in options.only:
        tools["jars"] = harness.made_once(options.cache / "jdbc", fetch_drivers)
    return tools


def fetch_drivers(folder: pathlib.Path) -> None:
    """Unpack Debian's JDBC drivers into a folder, without installing them."""
    folder.mkdir()
    as_root = ["--option", "APT::Sandbox::User=root"]
    step(["apt-get", "--quiet", "--quiet", *as_root, "download", *DRIVERS], cwd=folder)
    for package in folder.glob("*.deb"):
        step(["dpkg-deb", "--extract", package, folder])
    for jar in DRIVERS.values():
        shutil.copy(folder / "usr" / "share" / "java" / jar, folder / jar)


def claims(weir: pathlib.Path, tools: dict, work: pathlib.Path, options) -> list[Contestant]:
    with mariadb.Server() as source, cluster.Cluster() as warehouse:
        harness.hold_to_cores()
        harness.adopt_orphans()
        say(f"claims: {options.treatments:,} treatments into the source")
        source.sql("mysql", f"create database {DATABASE}")
        loader = {"CLAIMS_SOURCE_PORT": str(source.port), "CLAIMS_SOURCE_USER": mariadb.USER,
                  "CLAIMS_SOURCE_PASSWORD": mariadb.PASSWORD, "CLAIMS_SOURCE_DATABASE": DATABASE}
        rows = step([harness.ROOT / "pipelines/claims/source/load.sh", "--sample", options.treatments],
                    env=os.environ | loader, stdout=subprocess.PIPE)
        os.environ |= {"CLAIMS_SOURCE_PASSWORD": mariadb.PASSWORD, "CLAIMS_WAREHOUSE_PASSWORD": "none"}
        contestants = [claims_contestant(name, weir, tools, source, warehouse, options) for name in options.only]
        wanted = {}

        def before() -> None:
            warehouse.psql("postgres", "set client_min_messages = warning", "drop database if exists warehouse",
                           "create database warehouse", "checkpoint")

        def check(_) -> None:
            got = digests(warehouse)
            differing = [table for table in TABLES if got[table] != wanted.setdefault(table, got[table])]
            if differing:
                raise Failed("wrote other rows: " + ", ".join(
                    f"{table} has {got[table]}, that of the first run {wanted[table]}" for table in differing))

        harness.compete(contestants, work, work, options, check, whole_tree=("pyspark",), before=before,
                        after=steps_printed(options, source))
    harness.adopt_orphans(False)
    print(f"### claims\n\n{harness.machine_line(harness.machine())}; {', '.join(rows.splitlines())}. "
          f"{settings_line(MariaDB=mariadb.SETTINGS, PostgreSQL=cluster.SETTINGS)}\n")
    harness.print_table(contestants, "weir")
    print(f"\n{harness.MEASURES}; for pyspark it is the largest sum over the Python process and its JVM, sampled ten times\n"
          "a second. The time of the servers is in the wall time only.\n")
    return contestants


def claims_contestant(name: str, weir: pathlib.Path, tools: dict, source: mariadb.Server, warehouse: cluster.Cluster,
                      options) -> Contestant:
    ports = [str(source.port), str(warehouse.port)]
    if name == "weir":
        given = {"source_port": ports[0], "source_user": mariadb.USER, "source_database": DATABASE,
                 "warehouse_port": ports[1], "warehouse_user": "owner", "warehouse_database": "warehouse",
                 "output": "OUTPUT"}
        params = [part for name, value in given.items() for part in ("--param", f"{name}={value}")]
        command = weir_command(weir, harness.ROOT / "pipelines/claims/claims.yaml", options, *params)
        return Contestant(name, harness.version_of_program(weir), command)
    jars = [":".join(str(tools["jars"] / jar) for jar in DRIVERS.values())] if name == "pyspark" else []
    script = HERE / ("claims_spark.py" if name == "pyspark" else "claims_duckdb.py")
    command = [str(tools["python"]), str(script), *jars, *ports, DATABASE, mariadb.USER, mariadb.PASSWORD]
    return Contestant(name, harness.version_of_package(tools["python"], name), command)


def digests(warehouse: cluster.Cluster) -> dict[str, str]:
    """The number of rows of each table and a sum over them; columns in the order of their names."""
    found = {}
    for table in TABLES:
        named = warehouse.psql("warehouse", f"""
            select string_agg(case
                when data_type like 'timestamp%' then format('%I::timestamp(0)', column_name)
                when data_type = 'numeric' then format('%I::numeric(38,2)', column_name)
                else quote_ident(column_name) end, ', ' order by column_name)
            from information_schema.columns where table_schema = 'public' and table_name = '{table}'""")
        if not named:
            raise Failed(f"wrote no table {table}")
        keys = warehouse.psql("warehouse", f"select count(*) from pg_index where indrelid = 'public.{table}'::regclass")
        found[table] = warehouse.psql("warehouse", f"""
            select count(*) || ' rows with the sum ' || sum(hashtextextended(row::text, 0)::numeric)
            from (select {named} from public.{table}) as row""") + f", {keys} indexes"
    return found


# ---- mysql_load


def mysql_load(weir: pathlib.Path, _: dict, work: pathlib.Path, options) -> list[Contestant]:
    with mariadb.Server() as server:
        harness.hold_to_cores()
        server.sql("mysql", "create database target")
        data = harness.made_once(options.cache / f"load-{options.rows}", lambda folder: write_rows(folder, options.rows))
        parts = {"with a primary key": "primary_key: [id]", "without a key": ""}
        contestants = [one for name, key in parts.items()
                       for one in load_variant(name, key, server, weir, data, work, options)]
    return contestants


def write_rows(folder: pathlib.Path, rows: int) -> None:
    folder.mkdir()
    with open(folder / "rows.csv", "w") as out:
        out.write("id,name,amount,made_at\n")
        for id in range(rows):
            day, second = id % 28 + 1, id * 7919 % 86400
            made_at = f"2024-{id % 12 + 1:02}-{day:02} {second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
            out.write(f"{id},Name {id * 48271 % 99991} of many,{id % 100_000}.{id % 100:02},{made_at}\n")


def load_variant(variant: str, key: str, server: mariadb.Server, weir: pathlib.Path, data: pathlib.Path,
                 work: pathlib.Path, options) -> list[Contestant]:
    folder = work / variant.replace(" ", "_")
    folder.mkdir()
    file = data / "rows.csv"
    (folder / "task.yaml").write_text(LOAD_TASK.format(file=file, key=key, folder=folder))
    (folder / "weir.yaml").write_text(f"connections: {{target: {{mysql: '{server.url('target')}'}}}}\n")
    definition = definition_by_weir(weir, server, folder)
    load = (f"load data local infile '{file}' into table rows_of_client character set utf8mb4 "
            "fields terminated by ',' optionally enclosed by '\"' lines terminated by '\\n' ignore 1 lines "
            "(id, name, amount, made_at)")
    made = definition.replace("rows_of_weir", "rows_of_client")
    version = server.sql("target", "select version()").split("-")[0]
    client = Contestant("client", version, [*server.client(), "target", f"--execute={made}; {load}"])
    ours = Contestant("weir", harness.version_of_program(weir), weir_command(weir, folder / "task.yaml", options))
    wanted, busy, begun = {}, {"client": [], "weir": []}, [0.0]

    def before() -> None:
        server.sql("target", "drop table if exists rows_of_client, rows_of_weir, weir_applied")
        begun[0] = server.cpu()

    def check(_) -> None:
        spent = server.cpu() - begun[0]
        name = "weir" if server.sql("target", "show tables like 'rows_of_weir'") else "client"
        busy[name].append(spent)
        got = server.sql("target", f"""
            select count(*), sum(crc32(concat_ws('|', id, name, amount, made_at))), count(distinct id)
            from rows_of_{name}""")
        if server.sql("target", f"show create table rows_of_{name}").split("\t")[1] != \
                definition.replace("rows_of_weir", f"rows_of_{name}"):
            raise Failed("made another table")
        if got != wanted.setdefault("rows", got):
            raise Failed(f"wrote other rows: {got}, the first run {wanted['rows']}")

    runs = work / f"runs_{folder.name}"
    runs.mkdir()
    say(f"mysql_load {variant}")
    harness.compete([client, ours], data, runs, options, check, before=before, after=steps_printed(options, server))
    print(f"### mysql_load, {variant}\n\n{harness.machine_line(harness.machine())}; {options.rows:,} rows, "
          f"{file.stat().st_size:,} bytes of CSV. {settings_line(MariaDB=mariadb.SETTINGS)}\n\n```sql\n{definition}\n```\n")
    harness.print_table([client, ours], "client")
    told = ", ".join(f"{statistics.median(of):.2f} s for {name}" for name, of in busy.items() if of)
    print(f"\nCPU time of the server until the end of the process, median: {told}. {harness.MEASURES}.\n")
    return [client, ours]


def definition_by_weir(weir: pathlib.Path, server: mariadb.Server, folder: pathlib.Path) -> str:
    """The definition of the table that weir creates, for the client's."""
    server.sql("target", "drop table if exists rows_of_weir, weir_applied")
    step([weir, "run", folder / "task.yaml", "--state", folder / "first", "--quiet"])
    return server.sql("target", "show create table rows_of_weir").split("\t")[1]


# ---- Steps


def steps_printed(options, server: mariadb.Server):
    """Prints the times of weir's steps after a run, and those of the statements of MariaDB."""
    if not options.steps:
        return lambda folder: None
    server.log_statements()

    def after(folder: pathlib.Path) -> None:
        report = folder / "state.json"
        if report.exists():
            run = json.loads(report.read_text())["report"]
            steps = ", ".join(f"{step['name']} {step['seconds']:.2f}" for step in run["steps"])
            say(f"       {run['seconds']:.2f} s: {steps}")
            say("".join(f"       {line}\n" for line in (folder / "log").read_text().splitlines() if " INFO " in line))
        for seconds, sql in server.logged_statements():
            say(f"       {seconds:6.2f} s {sql[:160]}")
    return after


PART = {"claims": claims, "mysql_load": mysql_load}

if __name__ == "__main__":
    sys.exit(main())
