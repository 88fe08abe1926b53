//! `section2 erd`, on real databases.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;

use support::Shop;
use tempfile::TempDir;

const FILES: [&str; 2] = ["entity_diagram.mmd", "entity_diagram.svg"];

/// The diagrams of a database with these tables.
struct Drawn {
    folder: TempDir,
}

impl Drawn {
    #[track_caller]
    fn of(shop: &Shop) -> Self {
        let folder = tempfile::tempdir().unwrap();
        shop.section2(&["erd", folder.path().to_str().unwrap()]).ended(0, "entity_diagram.svg");
        Self { folder }
    }

    #[track_caller]
    fn with(tables: &str) -> Self {
        let shop = Shop::empty();
        shop.sql(tables);
        Self::of(&shop)
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    fn mermaid(&self) -> String {
        self.file(FILES[0])
    }

    /// The texts of the picture.
    fn texts(&self) -> Vec<String> {
        let svg = self.file(FILES[1]);
        let document = roxmltree::Document::parse(&svg).unwrap();
        let texts = document.descendants().filter(|node| node.has_tag_name("text"));
        texts.map(|node| node.text().unwrap().to_owned()).collect()
    }

    #[track_caller]
    fn assert_mermaid_has(&self, line: &str) {
        let mermaid = self.mermaid();
        assert!(mermaid.lines().any(|known| known.trim() == line), "`{line}` is not in\n{mermaid}");
    }
}

#[test]
fn the_committed_diagram_is_that_of_the_migrations() {
    let drawn = Drawn::of(&Shop::migrated());
    for name in FILES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        if std::env::var_os("WEIR_UPDATE").is_some() {
            fs::write(&path, drawn.file(name)).unwrap();
        }
        assert!(
            fs::read_to_string(&path).unwrap_or_default() == drawn.file(name),
            "section2/{name} is stale; write it with\n  WEIR_UPDATE=1 cargo test -p section2 --test erd the_committed_diagram"
        );
    }
}

#[test]
fn every_table_and_every_column_has_a_comment() {
    let bare = Shop::migrated().sql(
        "select class.oid::regclass || coalesce('.' || attribute.attname, '')
        from pg_class as class
        left join pg_attribute as attribute on attribute.attrelid = class.oid and not attribute.attisdropped
        where class.relnamespace in ('public'::regnamespace, 'summary'::regnamespace)
            and class.relkind in ('r', 'v') and class.relname <> 'refinery_schema_history'
            and (obj_description(class.oid, 'pg_class') is null
                or attribute.attnum > 0 and col_description(class.oid, attribute.attnum) is null)",
    );
    assert_eq!(bare, "");
}

#[test]
fn how_many_rows_belong_together_follows_from_null_and_from_keys() {
    let drawn = Drawn::with(
        "create table parent (id int primary key);
        create table many (parent_id int not null references parent);
        create table maybe (parent_id int references parent);
        create table one (parent_id int primary key references parent);
        create table maybe_one (parent_id int unique references parent);
        create table some_are_one (parent_id int not null references parent, ended date);
        create unique index on some_are_one (parent_id) where ended is null;",
    );
    drawn.assert_mermaid_has("parent ||--o{ \"many\" : \"parent_id\"");
    drawn.assert_mermaid_has("parent |o--o{ maybe : \"parent_id\"");
    drawn.assert_mermaid_has("parent ||--o| \"one\" : \"parent_id\"");
    drawn.assert_mermaid_has("parent |o--o| maybe_one : \"parent_id\"");
    drawn.assert_mermaid_has("parent ||--o{ some_are_one : \"parent_id\"");
}

#[test]
fn keys_of_several_columns_are_one_relation() {
    let drawn = Drawn::with(
        "create table place (country text, town text, primary key (country, town));
        create table shop (id int primary key, country text not null, town text not null,
            foreign key (country, town) references place);
        create table guide (country text, town text, edition int, primary key (country, town, edition),
            foreign key (country, town) references place);
        create table mayor (country text, town text, name text, primary key (country), foreign key (country, town) references place);",
    );
    drawn.assert_mermaid_has("text country PK");
    drawn.assert_mermaid_has("place ||--o{ shop : \"country, town\"");
    drawn.assert_mermaid_has("place ||--o{ guide : \"country, town\"");
    drawn.assert_mermaid_has("place |o--o| mayor : \"country, town\"");
    assert!(drawn.texts().contains(&"country, town".to_owned()));
}

#[test]
fn a_table_may_refer_to_itself_twice_and_tables_to_each_other() {
    let drawn = Drawn::with(
        "create table person (id int primary key, mother int references person, father int references person);
        create table egg (id int primary key);
        create table hen (id int primary key, hatched_from int not null references egg);
        alter table egg add laid_by int references hen;",
    );
    drawn.assert_mermaid_has("person |o--o{ person : \"mother\"");
    drawn.assert_mermaid_has("person |o--o{ person : \"father\"");
    drawn.assert_mermaid_has("egg ||--o{ hen : \"hatched_from\"");
    drawn.assert_mermaid_has("hen |o--o{ egg : \"laid_by\"");
    // As a column, and at the line.
    assert_eq!(drawn.texts().iter().filter(|text| *text == "father").count(), 2);
}

#[test]
fn unusual_names_and_comments_are_shown_exactly() {
    let drawn = Drawn::with(
        r#"create table "a ""b"" % \ <i>&amp;" ("pk" int primary key, "größe, 'ω'" numeric(12, 2), "1st" text);
        comment on column "a ""b"" % \ <i>&amp;"."1st" is E'says "~no~"\nand </title> #1;';
        create table "class" ("select" int references "a ""b"" % \ <i>&amp;", "日本" timestamp(3) with time zone not null);
        create table "🐘" ();"#,
    );
    drawn.assert_mermaid_has(r#""a #34;b#34; #37; #92; #60;i#62;#38;amp;" {"#);
    drawn.assert_mermaid_has(r#"integer _pk PK "pk""#);
    drawn.assert_mermaid_has("numeric(12\u{201a}2) größe\u{201a}__ω_ \"größe, 'ω': May be null.\"");
    drawn.assert_mermaid_has(r#"text _1st "1st: May be null. says #34;#126;no#126;#34; and #60;/title#62; #35;1;""#);
    drawn.assert_mermaid_has("timestamptz(3) 日本");
    drawn.assert_mermaid_has(r#""a #34;b#34; #37; #92; #60;i#62;#38;amp;" |o--o{ "class" : "select""#);
    drawn.assert_mermaid_has("\"🐘\" {");
    for name in [r#"a "b" % \ <i>&amp;"#, "pk", "größe, 'ω'", "numeric(12,2) null", "class", "select", "日本", "🐘"]
    {
        assert!(drawn.texts().iter().any(|text| text == name), "{name}: {:?}", drawn.texts());
    }
}

#[test]
fn a_diagram_does_not_depend_on_the_creation_order_of_tables() {
    let tables = [
        "create table b (id int primary key);",
        "create table a (id int primary key);",
        "create table c (b int references b, a int references a);",
    ];
    let one = Drawn::with(&tables.concat());
    let other = Drawn::with(&[tables[1], tables[0], tables[2]].concat());
    for name in FILES {
        assert_eq!(one.file(name), other.file(name));
    }
}

#[test]
fn partitions_and_dropped_columns_are_not_part_of_a_table() {
    let drawn = Drawn::with(
        "create table target (gone text, id int primary key);
        alter table target drop gone;
        create table part (target_id int references target, at date) partition by range (at);
        create table part_2026 partition of part for values from ('2026-01-01') to ('2027-01-01');",
    );
    let mermaid = drawn.mermaid();
    assert!(!mermaid.contains("part_2026") && !mermaid.contains("dropped"), "{mermaid}");
    assert_eq!(mermaid.matches("target |o--o{ part").count(), 1, "{mermaid}");
    drawn.assert_mermaid_has("integer id PK");
}

#[test]
fn a_database_without_tables_has_no_diagram() {
    let folder = tempfile::tempdir().unwrap();
    let ran = Shop::empty().section2(&["erd", folder.path().to_str().unwrap()]);
    ran.ended(1, "there are no tables to draw help: run `section2 migrate`");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_missing_folder_is_not_created() {
    let folder = tempfile::tempdir().unwrap().path().join("missing");
    let ran = Shop::migrated().section2(&["erd", folder.to_str().unwrap()]);
    ran.ended(1, "missing/entity_diagram.mmd: its folder does not exist");
    ran.ended(1, "create the folder first");
}

#[test]
fn files_are_replaced_atomically_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    for name in FILES {
        fs::write(folder.path().join(name), "old").unwrap();
    }
    let shop = Shop::migrated();
    let ran = shop.section2(&["erd", folder.path().to_str().unwrap()]);
    assert_eq!(ran.out, FILES.map(|name| format!("{}\n", folder.path().join(name).display())).concat());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), FILES.len());
    assert!(fs::read_to_string(folder.path().join(FILES[0])).unwrap().starts_with("erDiagram\n"));
    // Without a folder in the path, they are written to the working folder.
    let ran = support::Ran::of(shop.command(&["erd", "."]).current_dir(folder.path()).output().unwrap());
    ran.ended(0, "./entity_diagram.mmd ./entity_diagram.svg");
}
