"""The section1 job in DuckDB: evaluate every row once into a table in memory, then write one folder per route.

    python duckdb_job.py INPUT_DIR OUTPUT_DIR
"""

import pathlib
import sys

import duckdb

THREADS = 2

# Titles match regardless of case and full stops.
DOTTED = {word: r"\.*" + r"\.*".join(word) + r"\.*" for word in
          "mr mrs ms miss dr prof md dds dvm phd jr sr ii iii iv v".split()}
HONORIFIC = "(?:" + "|".join(DOTTED[word] for word in "mr mrs ms miss dr prof".split()) + ")"
SUFFIX = "(?:" + "|".join(DOTTED[word] for word in "md dds dvm phd jr sr ii iii iv v".split()) + ")"
# Most names have no title and no unusual white space: one fast search avoids the three replacements.
TO_CLEAN = rf"^{HONORIFIC}(?:\s|$)|(?:\s|^){SUFFIX},?$|^\s|\s$|\s\s|[^\S ]"
HONORIFICS = rf"^\s*(?:{HONORIFIC}(?:\s+|$))+"
SUFFIXES = rf"(?:(?:^|,?\s+){SUFFIX})+,?\s*$"

# `reasons` is a bit mask until it is written: one byte per row instead of a text.
REASONS = "missing_name incomplete_name invalid_birthday under_18 invalid_mobile invalid_email".split()
REASON_TEXTS = [";".join(reason for bit, reason in enumerate(REASONS) if mask >> bit & 1) for mask in range(64)]

EVALUATED = rf"""
create temp table evaluated as
with application as (
    select
        name,
        email,
        date_of_birth,
        mobile_no,
        case when regexp_matches(name, '{TO_CLEAN}', 'i')
            then trim(regexp_replace(
                regexp_replace(regexp_replace(name, '{HONORIFICS}', '', 'i'), '{SUFFIXES}', '', 'i'), '\s+', ' ', 'g'))
            else coalesce(name, '')
        end as bare_name,
        case when regexp_matches(date_of_birth, '\s')
            then trim(date_of_birth, E' \t\r\n')
            else date_of_birth
        end as day
    from read_csv(
        $input, header = true, auto_detect = false, quote = '"', escape = '"',
        columns = {{name: varchar, email: varchar, date_of_birth: varchar, mobile_no: varchar}})
),
parsed as (
    select
        * exclude day,
        case
            when day like '____-__-__' then try_strptime(day, '%Y-%m-%d')::date
            when day like '____/__/__' then try_strptime(day, '%Y/%m/%d')::date
            when day like '__-__-____' then try_strptime(day, '%d-%m-%Y')::date
            when day like '__/__/____' then try_strptime(day, '%m/%d/%Y')::date
        end as birthday
    from application
)
select
    *,
    (
        case when bare_name = '' then 1 when not contains(bare_name, ' ') then 2 else 0 end
        + case when birthday is null then 4 when birthday > date '2022-01-01' - interval 18 years then 8 else 0 end
        + case when regexp_full_match(mobile_no, '[ -]*(?:[0-9][ -]*){{8}}') then 0 else 16 end
        + case when (email ilike '_%@_%.com' or email ilike '_%@_%.net') and email not like '%@%@%' then 0 else 32 end
    )::utinyint as reasons
from parsed
"""

# Many applicants share a birthday: each distinct one is formatted and digested once.
SUCCESSFUL = """
with birthday as (
    select
        day,
        strftime(day, '%Y%m%d') as text,
        left(sha256(strftime(day, '%Y%m%d')), 5) as digest
    from (select distinct birthday as day from evaluated where reasons = 0)
),
successful as (
    select
        bare_name,
        split_part(bare_name, ' ', -1) as last_name,
        email,
        birthday.text as birthday_text,
        birthday.digest,
        mobile_no
    from evaluated
    join birthday on birthday.day = evaluated.birthday
    where reasons = 0
)
select
    bare_name[:-length(last_name) - 2] as first_name,
    last_name,
    email,
    birthday_text as date_of_birth,
    replace(replace(mobile_no, ' ', ''), '-', '') as mobile_no,
    true as above_18,
    last_name || '_' || digest as membership_id
from successful
"""

UNSUCCESSFUL = f"""
select name, email, date_of_birth, mobile_no, {REASON_TEXTS}[reasons + 1] as reasons
from evaluated
where reasons <> 0
"""


def main(input_folder: str, output_folder: str) -> None:
    database = duckdb.connect(config={"threads": THREADS, "preserve_insertion_order": False})
    database.execute(EVALUATED, {"input": f"{input_folder}/*.csv"})
    for route, query in (("successful_application", SUCCESSFUL), ("unsuccessful_application", UNSUCCESSFUL)):
        folder = pathlib.Path(output_folder, route)
        folder.mkdir(parents=True)
        database.execute(f"copy ({query}) to '{folder}/part.csv' (format csv, header)")


if __name__ == "__main__":
    main(*sys.argv[1:])
