"""The job of pipelines/weekly_sales in DuckDB: the joined sales as a table in memory, which is summed up and rejected from.

    python duckdb_job.py INPUT_DIR OUTPUT_DIR
"""

import pathlib
import sys

import duckdb

import documents


def main(source: str, output: str) -> None:
    pathlib.Path(output).mkdir(parents=True)
    db = duckdb.connect()
    db.execute("set threads = 2; set preserve_insertion_order = false")
    db.execute(f"""
        create temp table product as
        select productid as product_id, trim(division) as division, trim(gender) as gender, trim(category) as category
        from read_csv('{source}/product.csv', all_varchar = true)
        where division is not null
        qualify count(*) over (partition by productid) = 1;

        create temp table store as
        select storeid as store_id, trim(channel) as channel from read_csv('{source}/store.csv', all_varchar = true)
        where channel is not null;

        create temp table calendar as
        select datekey as date_id, datecalendaryear as year, weeknumberofseason as week from read_csv('{source}/calendar.csv');

        create temp table sale as
        select
            s.*,
            try_cast(s."netSales" as decimal(18, 2)) as net_sales,
            d.year, d.week, p.division, p.gender, p.category, t.channel,
            concat_ws(';',
                case when s."netSales" is not null and net_sales is null then 'unreadable' end,
                case when d.week is null then 'unknown_date' end,
                case when p.division is null then 'unknown_product' end,
                case when t.channel is null then 'unknown_store' end,
                case when s."netSales" is null or s."salesUnits" is null then 'missing_amount' end) as reasons
        from read_csv('{source}/sales.csv', header = true, columns = {{
            'saleId': 'bigint', 'netSales': 'varchar', 'salesUnits': 'integer', 'storeId': 'varchar', 'dateId': 'bigint',
            'productId': 'varchar'}}) s
        left join calendar d on d.date_id = s."dateId"
        left join product p on p.product_id = s."productId"
        left join store t on t.store_id = s."storeId";

        copy (select * from sale where reasons <> '') to '{output}/rejected.csv' (header);
    """)
    sums = db.execute("""
        select year, upper(channel), min(channel), division, gender, category, week, sum(net_sales), cast(sum("salesUnits") as bigint)
        from sale where reasons = '' group by year, upper(channel), division, gender, category, week
    """).fetchall()
    documents.write(sums, f"{output}/documents")


if __name__ == "__main__":
    main(*sys.argv[1:])
