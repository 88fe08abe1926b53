//! The pipeline of the claims does what its README says, on made-up claims in MariaDB. The expected tables are computed
//! by MariaDB from its own rows.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::Command;

use support::pipeline::typed;
use support::{Project, Ran};
use weir_mysql_testing::Server;
use weir_postgres_testing::Cluster;

/// A copy of the pipeline, a source and a warehouse.
struct Claims {
    project: Project,
    source: String,
    warehouse: String,
}

impl Claims {
    fn new() -> Self {
        let project = Project::of_pipeline("claims");
        let (source, warehouse) = (Server::shared().new_database(), Cluster::shared().database());
        let warehouse = warehouse.rsplit('/').next().unwrap().to_owned();
        let values = [
            ("source_port", Server::shared().port().to_string()),
            ("source_user", weir_mysql_testing::USER.to_owned()),
            ("source_database", source.clone()),
            ("warehouse_port", Cluster::shared().port().to_string()),
            ("warehouse_user", weir_postgres_testing::USER.to_owned()),
            ("warehouse_database", warehouse.clone()),
        ];
        project.give_values(&values, "test");
        Self { project, source, warehouse }
    }

    /// Types commands into a shell.
    fn typed(&self, commands: &str) -> Ran {
        let mut shell = self.project.on_path("bash");
        shell
            .env("CLAIMS_SOURCE_PORT", Server::shared().port().to_string())
            .env("CLAIMS_SOURCE_USER", weir_mysql_testing::USER)
            .env("CLAIMS_SOURCE_DATABASE", &self.source)
            .env("CLAIMS_SOURCE_PASSWORD", weir_mysql_testing::PASSWORD)
            .env("CLAIMS_WAREHOUSE_PASSWORD", weir_postgres_testing::PASSWORD);
        typed(shell, commands)
    }

    fn load(&self, arguments: &str) -> Ran {
        self.typed(&format!("pipelines/claims/source/load.sh {arguments}"))
    }

    fn run(&self) -> Ran {
        self.typed("weir run pipelines/claims/claims.yaml --show-values")
    }

    fn source(&self, sql: &str) -> String {
        Server::shared().sql(&self.source, sql).trim_end().replace('\t', "|").replace("NULL", "")
    }

    fn warehouse(&self, sql: &str) -> String {
        Cluster::shared().sql(&self.warehouse, sql)
    }

    /// The same rows, by a query of each server.
    #[track_caller]
    fn same(&self, warehouse: &str, source: &str) {
        let (there, here) = (self.warehouse(warehouse), self.source(source));
        assert!(!here.is_empty(), "{source}");
        assert_eq!(there, here, "{warehouse}");
    }

    /// The tables of the warehouse are what MariaDB computes from the source.
    fn is_complete(&self) {
        self.same(
            "select id, status, type, date_created, date_modified, date_submitted, date_treatment, provider_id,
                program_id, repaired::integer from treatment order by id",
            &format!(
                "with treatment as ({REPAIRED}), ranked as (
                    select TREATMENT_ID, PROGRAM_ID, row_number() over (
                        partition by TREATMENT_ID order by DATE_MODIFIED is null, DATE_MODIFIED desc, ID desc) as place
                    from CLAIM
                )
                select treatment.id, status, type, created, modified, submitted, treated, provider,
                    coalesce(ranked.PROGRAM_ID, program), repaired
                from treatment left join ranked on TREATMENT_ID = treatment.id and place = 1 order by treatment.id"
            ),
        );
        self.same(
            "select id, status, type, date_created, date_modified, treatment_id, program_id, amount, currency
             from claim order by id",
            &format!(
                "with treatment as ({REPAIRED})
                select c.ID, c.STATUS, c.TYPE, coalesce(DATE_CREATED, created), DATE_MODIFIED, TREATMENT_ID, PROGRAM_ID,
                    AMOUNT, CURRENCY
                from CLAIM as c left join treatment on treatment.id = TREATMENT_ID
                where coalesce(c.STATUS, c.TYPE, DATE_CREATED, DATE_MODIFIED, TREATMENT_ID, PROGRAM_ID, AMOUNT,
                    CURRENCY) is not null
                order by c.ID"
            ),
        );
        self.same(
            "select id, status, date_created, treatment_id from invoice order by id",
            &format!(
                "with treatment as ({REPAIRED})
                select i.ID, i.STATUS, coalesce(DATE_CREATED, created), TREATMENT_ID
                from INVOICE as i left join treatment on treatment.id = TREATMENT_ID
                where coalesce(i.STATUS, DATE_CREATED, TREATMENT_ID) is not null order by i.ID"
            ),
        );
        let items = format!(
            "with treatment as ({REPAIRED})
            select i.ID, i.STATUS, coalesce(i.DATE_CREATED, created) as created, INVOICE_ID, PRODUCT_ID, CURRENCY,
                AMOUNT, concat_ws(';', case when coalesce(i.STATUS, i.DATE_CREATED, INVOICE_ID, PRODUCT_ID, CURRENCY,
                    AMOUNT) is null then 'only_a_key' end, case when PRODUCT_ID < 0 then 'negative_product_id' end,
                    case when AMOUNT = 0 then 'zero_amount' end) as reasons
            from INVOICE_ITEM as i left join INVOICE as v on v.ID = INVOICE_ID
            left join treatment on treatment.id = TREATMENT_ID"
        );
        self.same(
            "select id, status, date_created, invoice_id, product_id, currency, amount from invoice_item order by id",
            &format!(
                "select ID, STATUS, created, INVOICE_ID, PRODUCT_ID, CURRENCY, AMOUNT from ({items}) as item
                where reasons = '' order by ID"
            ),
        );
        self.same(
            "select id, date_created, product_id, amount, reasons from invoice_item_rejected order by id",
            &format!(
                "select ID, created, PRODUCT_ID, AMOUNT, reasons from ({items}) as item where reasons <> '' order by ID"
            ),
        );
        self.same(
            "select status, currency, claims, total_amount, max_amount, min_amount, avg_amount
             from claims_by_status order by status collate \"C\", currency",
            "select coalesce(STATUS, 'unknown') as s, coalesce(CURRENCY, 'unknown') as c, count(*), sum(AMOUNT),
                max(AMOUNT), min(AMOUNT), round(avg(AMOUNT), 2)
             from CLAIM where coalesce(STATUS, TYPE, DATE_CREATED, DATE_MODIFIED, TREATMENT_ID, PROGRAM_ID, AMOUNT,
                CURRENCY) is not null
             group by s, c order by binary s, c",
        );
        self.same(
            "select * from invoices_by_claim_status order by claim_status collate \"C\"",
            &format!(
                "with treatment as ({REPAIRED})
                select coalesce(c.STATUS, 'unknown') as s, count(distinct v.ID), max(coalesce(v.DATE_CREATED, created))
                from CLAIM as c join INVOICE as v using (TREATMENT_ID)
                left join treatment on treatment.id = TREATMENT_ID
                group by s order by binary s"
            ),
        );
    }
}

/// Treatments with their values where they belong, in the SQL of MariaDB.
const REPAIRED: &str = "
    select ID as id, STATUS as status, if(is_shifted, null, TYPE) as type,
        cast(if(is_shifted, TYPE, DATE_CREATED) as datetime) as created,
        if(is_shifted, DATE_CREATED, DATE_MODIFIED) as modified,
        if(is_shifted, DATE_MODIFIED, DATE_SUBMITTED) as submitted,
        if(is_shifted, DATE_SUBMITTED, DATE_TREATMENT) as treated, if(is_shifted, null, PROVIDER_ID) as provider,
        if(is_shifted, PROVIDER_ID, PROGRAM_ID) as program, is_shifted as repaired
    from (select *, coalesce(TYPE like '____-__-__ __:__:__', 0) as is_shifted from TREATMENT) as of_source
    where coalesce(STATUS, TYPE, DATE_CREATED, DATE_MODIFIED, DATE_SUBMITTED, DATE_TREATMENT, PROVIDER_ID, PROGRAM_ID)
        is not null";

/// The commands of the README for servers of one's own.
fn commands() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pipelines/claims/README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let block = readme.split("```sh\n").nth(2).unwrap().split("```").next().unwrap();
    let (export, rest) = block.split_once('\n').unwrap();
    assert!(export.starts_with("export CLAIMS_SOURCE_PASSWORD="), "{export}");
    rest.to_owned()
}

#[test]
fn the_commands_of_the_readme_fill_the_warehouse() {
    let claims = Claims::new();
    let ran = claims.typed(&commands());
    ran.ended(0, "26 cases, all ok");
    ran.ended(0, "0 problems, 0 warnings");
    ran.ended(0, "9999 inserted, 0 updated, 0 unchanged");
    ran.ended(0, "0 inserted, 0 updated, 9999 unchanged");
    claims.is_complete();
    // Every fault of the source is there.
    for (table, reasons) in [
        ("treatment_rejected", "only_a_key"),
        ("claim_rejected", "only_a_key"),
        ("invoice_rejected", "only_a_key"),
        ("invoice_item_rejected", "negative_product_id\nnegative_product_id;zero_amount\nonly_a_key\nzero_amount"),
    ] {
        let found = claims.warehouse(&format!("select distinct reasons collate \"C\" from {table} order by 1"));
        assert_eq!(found, reasons, "{table}");
    }
    assert_eq!(claims.warehouse("select count(*), count(distinct repaired) from treatment"), "9999|2");
    // One transaction for all.
    assert_eq!(claims.warehouse("select count(distinct xmin::text) from weir.applied where inserted > 0"), "1");
}

#[test]
fn a_change_of_the_source_is_a_change_of_the_warehouse() {
    let claims = Claims::new();
    claims.load("--sample 300").ended(0, "300 rows in TREATMENT");
    claims.run().ended(0, "done: `claims`");
    claims.is_complete();
    claims.source(
        "delete from INVOICE_ITEM where ID % 7 = 0;
         update CLAIM set STATUS = 'Rejected', AMOUNT = 7.25 where ID % 5 = 0;
         insert into CLAIM (ID, STATUS, TREATMENT_ID, AMOUNT, CURRENCY) values (1, 'Draft', 10005, 12.50, 'EUR')",
    );
    let ran = claims.run();
    ran.ended(0, "1 inserted");
    claims.is_complete();
}

#[test]
fn claims_without_a_treatment_are_told_with_their_ids() {
    let claims = Claims::new();
    claims.load("--sample 100").ended(0, "rows in CLAIM");
    claims.source("insert into CLAIM (ID, STATUS, TREATMENT_ID) values (4711, 'Draft', 987654321)");
    let ran = claims.run();
    ran.ended(0, "without_treatment");
    ran.ended(0, "4711, Draft");
    ran.ended(0, "987654321");
}

#[test]
fn a_source_that_changed_leaves_the_warehouse_as_it_was() {
    let claims = Claims::new();
    claims.load("--sample 100").ended(0, "rows in CLAIM");
    claims.run().ended(0, "done: `claims`");
    let before = claims.warehouse("select md5(string_agg(claim::text, ',' order by id)) from claim");
    claims.source(
        "alter table CLAIM rename column AMOUNT to TOTAL; update CLAIM set STATUS = 'Draft' where STATUS = 'Approved'",
    );
    claims.run().ended(1, "amount");
    assert_eq!(claims.warehouse("select md5(string_agg(claim::text, ',' order by id)) from claim"), before);
    claims.source("alter table CLAIM rename column TOTAL to AMOUNT");
    claims.run().ended(0, "done: `claims`");
    claims.is_complete();
}

#[test]
fn every_environment_is_valid_and_a_missing_password_is_named() {
    let claims = Claims::new();
    for environment in ["local", "dev", "uat", "prod"] {
        claims.typed(&format!("weir validate pipelines/claims/claims.yaml --env {environment}")).ended(0, "is valid");
    }
    let ran = claims.typed("unset CLAIMS_WAREHOUSE_PASSWORD; weir run pipelines/claims/claims.yaml --env prod");
    ran.ended(2, "the environment variable `CLAIMS_WAREHOUSE_PASSWORD` is not set");
}

#[test]
fn a_sample_of_one_number_is_always_the_same() {
    let claims = Claims::new();
    let sum = "mkdir -p a b; load=pipelines/claims/source/load.sh; $load --write a --sample 500;
        $load --write b --sample 500;
        diff -r a b && cat a/*.csv | md5sum";
    // Also with another awk, and on another day.
    claims.typed(sum).ended(0, "  -");
    claims.load("a").ended(0, "500 rows in TREATMENT");
}

#[test]
fn files_are_loaded_all_or_none_and_replace_only_what_they_are_told_to() {
    let claims = Claims::new();
    claims.load("--sample 50").ended(0, "50 rows in TREATMENT");
    claims.load("--sample 60").ended(1, "these tables have rows, which only --replace replaces: TREATMENT, CLAIM");
    let before = claims.source("checksum table TREATMENT, CLAIM, INVOICE, INVOICE_ITEM");
    claims.typed("mkdir files; pipelines/claims/source/load.sh --write files --sample 70").ended(0, "");
    for (wrong, said) in [
        ("s/,KES,/,KES of Kenya,/", "CURRENCY"),
        ("2s/^[0-9]*,/seven,/", "ID"),
        ("2s/2016-03/2016-13/", "DATE_CREATED"),
        ("2{p}", "Duplicate"),
    ] {
        claims.project.file("damage.sed", wrong);
        claims.typed("rm -rf wrong; cp -r files wrong; sed -i -f damage.sed wrong/invoice_items.csv").ended(0, "");
        claims.load("--replace wrong").ended(1, said);
        assert_eq!(claims.source("checksum table TREATMENT, CLAIM, INVOICE, INVOICE_ITEM"), before, "{wrong}");
    }
    claims.load("--replace files").ended(0, "70 rows in TREATMENT");
    assert_eq!(claims.source("show tables"), "CLAIM\nINVOICE\nINVOICE_ITEM\nTREATMENT");
}

#[test]
fn the_text_null_is_null_and_columns_are_found_by_their_names() {
    let claims = Claims::new();
    claims.project.file("files/treatments.csv", "TYPE,ID\nNULL,1\n\"NULL\",2\nDENTAL,3\n");
    claims.project.file("files/claims.csv", "ID,AMOUNT\n10,NULL\n");
    claims.project.file("files/invoices.csv", "ID,STATUS\n20,\"FINAL, or not\"\n");
    claims.project.file("files/invoice_items.csv", "ID,PRODUCT_ID\n30,-7\n");
    claims.load("files").ended(0, "3 rows in TREATMENT");
    assert_eq!(
        claims.source("select ID, TYPE is null, coalesce(TYPE, '') = 'DENTAL' from TREATMENT order by ID"),
        "1|1|0\n2|0|0\n3|0|1"
    );
    assert_eq!(
        claims.source("select AMOUNT is null from CLAIM union all select STATUS from INVOICE"),
        "1\nFINAL, or not"
    );
}

/// Files with rows of every kind, in two months and two currencies.
fn deliver(claims: &Claims) {
    claims.project.file(
        "files/treatments.csv",
        "ID,STATUS,TYPE,DATE_CREATED,PROVIDER_ID,PROGRAM_ID\n1,CLOSED,2019-01-05 08:00:00,NULL,40,NULL\n\
         2,OPEN,DENTAL,2019-02-05 08:00:00,7,40\n3,OPEN,DENTAL,2019-02-06 08:00:00,7,40\n",
    );
    claims.project.file(
        "files/claims.csv",
        "ID,STATUS,TYPE,DATE_CREATED,DATE_MODIFIED,TREATMENT_ID,PROGRAM_ID,AMOUNT,CURRENCY\n\
         10,Approved,Benefit,NULL,2019-03-01 00:00:00,1,40,100.50,KES\n11,Draft,Benefit,NULL,NULL,2,40,20,KES\n\
         12,Draft,Benefit,2019-02-07 00:00:00,NULL,3,40,30,KES\n13,Draft,Benefit,2019-02-08 00:00:00,NULL,3,40,7,USD\n\
         14,Approved,Benefit,2019-02-09 00:00:00,NULL,99,40,1,KES\n",
    );
    claims.project.file("files/invoices.csv", "ID,STATUS,TREATMENT_ID\n20,FINAL,1\n21,FINAL,2\n");
    claims.project.file(
        "files/invoice_items.csv",
        "ID,STATUS,INVOICE_ID,PRODUCT_ID,CURRENCY,AMOUNT\n30,ACTIVE,20,5,KES,50\n31,ACTIVE,20,-5,KES,0\n\
         32,ACTIVE,21,-6,KES,9\n33,NULL,NULL,NULL,NULL,NULL\n",
    );
    claims.load("files").ended(0, "3 rows in TREATMENT");
}

#[test]
fn the_dashboard_shows_what_the_warehouse_has_and_its_user_only_reads() {
    let claims = Claims::new();
    deliver(&claims);
    claims.run().ended(0, "done: `claims`");
    let docker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker");
    let psql = |url: &str, arguments: &[&str]| {
        let mut psql = Command::new(weir_postgres_testing::program("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"]);
        Ran::of(psql.args(arguments).arg(url).current_dir(&docker).output().unwrap())
    };
    let owner = Cluster::shared().url(&claims.warehouse);
    let new_user = ["--set=password=it's a secret", "--set=role_only=yes", "--file=grafana/reader.sql"];
    psql(&owner, &new_user).ended(0, "");
    psql(&owner, &["--file=claims/grafana/reader.sql", "--file=grafana/reader_loads.sql"]).ended(0, "");
    let reader = Cluster::shared().url_of("grafana", "it's a secret", &claims.warehouse);

    let dashboard = std::fs::read_to_string(docker.join("claims/grafana/dashboards/claims.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let rows = |title: &str, period: &str| {
        let panel = dashboard["panels"].as_array().unwrap().iter().find(|panel| panel["title"] == title).unwrap();
        let sql = panel["targets"][0]["rawSql"].as_str().unwrap();
        let sql = sql.replace("${currency:sqlstring}", "'KES'").replace("$period", period);
        let ran = psql(&reader, &["--command", &sql]);
        assert_eq!(ran.code, Some(0), "{title}: {ran:#?}");
        ran.out.trim_end().to_owned()
    };
    let all = "100000";
    assert!(rows("Newest change", all).ends_with("|2019-03-01"));
    assert!(rows("Last load", all).split('.').next().unwrap().parse::<u32>().unwrap() < 600);
    assert_eq!(rows("Claims", all), "5|5");
    assert_eq!(rows("Claims", "2"), "2|5");
    assert_eq!(rows("Repaired treatments", all), "1|3");
    assert_eq!(rows("Rejected items", all), "3|1");
    assert_eq!(rows("Claims without a treatment", all), "1");
    let by_month = "2019-01|Approved|1\n2019-02|Approved|1\n2019-02|Draft|3";
    assert_eq!(rows("Claims by month and status", all), by_month);
    let amounts = "2019-01|Approved|100.5\n2019-02|Approved|1\n2019-02|Draft|50";
    assert_eq!(rows("Amounts by month and status, in $currency", all), amounts);
    let reasons = "negative_product_id|2\nonly_a_key|1\nzero_amount|1";
    assert_eq!(rows("Rejected items by reason", all), reasons);
    assert_eq!(rows("Treatments by month: repaired, and as they were", all), "2019-01|1|0\n2019-02|0|2");
    assert_eq!(
        rows("Claims by status", all),
        "Approved|KES|2|101.5|100.5|1|50.75\nDraft|KES|2|50|30|20|25\nDraft|USD|1|7|7|7|7"
    );
    let invoices = "Approved|1|2019-01-05 08:00:00\nDraft|1|2019-02-05 08:00:00";
    assert_eq!(rows("Invoices by status of the claim", all), invoices);
    assert_eq!(rows("Claims without a treatment: their ids", all), "14|99|Approved|1|KES|2019-02-09 00:00:00");
    assert_eq!(rows("Loads", all).lines().count(), 1);

    for forbidden in ["delete from claim", "drop table claim", "create table mine (id int)", "delete from weir.applied"]
    {
        assert_ne!(psql(&reader, &["--command", forbidden]).code, Some(0), "{forbidden}");
    }
}
