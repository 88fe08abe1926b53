"""Hash three columns of CSV files with pandas, as a user writes it, with 500,000 rows in memory at a time.

    python pandas_job.py INPUT_DIR OUTPUT_DIR
"""

import hmac
import os
import pathlib
import sys

import pandas as pd

KEY = bytes.fromhex(os.environ["HASH_KEY"])


def token(value: str) -> str:
    return hmac.digest(KEY, value.encode(), "sha256").hex()


def main(input_folder: str, output_folder: str) -> None:
    output = pathlib.Path(output_folder)
    output.mkdir()
    for file in sorted(pathlib.Path(input_folder).glob("*.csv")):
        header = True
        for frame in pd.read_csv(file, dtype=str, keep_default_na=False, chunksize=500_000):
            for column in ["name", "email", "date_of_birth"]:
                frame[column] = frame[column].map(token)
            frame.to_csv(output / file.name, mode="w" if header else "a", header=header, index=False)
            header = False


if __name__ == "__main__":
    main(*sys.argv[1:])
