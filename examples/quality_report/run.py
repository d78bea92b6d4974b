"""Look through a CSV file for what usually goes wrong in one, and report it."""

from collections.abc import Iterable
from datetime import date
from enum import Enum
from html import escape
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import Field

from zenweb import File, pipeline, step
from zenweb.artifacts.strings import HTMLString

HERE = Path(__file__).parent


class OutlierMethod(Enum):
    """What counts as far from the rest."""

    QUARTILES = "distance from the middle half"
    DEVIATIONS = "distance from the mean"


@step
def reader(
    csv_path: Annotated[Path, Field(title="CSV file"), File(types=[".csv", ".txt"])] = Path("orders.csv"),
    separator: Annotated[str, Field(min_length=1)] = ",",
) -> pd.DataFrame:
    """Read the table.

    Args:
        csv_path: The CSV file to look through, with the names of its columns in the first line. The file `orders.csv`
            comes along as an example.
        separator: What stands between two values. Files from a spreadsheet often have a semicolon.
    """
    # Everything stays a text for now, or "n/a" and an empty field would already look the same.
    table = pd.read_csv(HERE / csv_path, sep=separator, dtype="str", keep_default_na=False)
    print(f"{len(table):,} rows and {table.shape[1]} columns")
    return table


@step
def missing_values(
    table: pd.DataFrame,
    treat_as_missing: list[str] = ["n/a", "unknown", "-"],
    tolerated_share: Annotated[float, Field(ge=0, le=1)] = 0.01,
) -> pd.DataFrame:
    """Count the values that are not there.

    Args:
        treat_as_missing: Texts that mean "we do not know". Empty fields always count as missing.
        tolerated_share: How many gaps a column may have before it is reported: 0.01 is one row in a hundred.
    """
    stripped = table.apply(lambda column: column.str.strip().str.casefold())
    missing = stripped.isin(["", *(text.strip().casefold() for text in treat_as_missing)])
    reported = [column for column in table.columns if missing[column].mean() > tolerated_share]
    return findings([("missing values", column, table[missing[column]], "no value") for column in reported])


@step
def duplicates(
    table: pd.DataFrame, key_columns: list[str] = ["order_id"], ignore_case: bool = True
) -> pd.DataFrame:
    """Find rows that say the same thing twice.

    Args:
        key_columns: The columns that together may occur only once, such as a number or a name and a date. Leave empty
            to look for rows that are alike in every column.
        ignore_case: Take "a-17" and "A-17" for the same.
    """
    require_columns(table, key_columns)
    compared = table.apply(lambda column: column.str.casefold()) if ignore_case else table
    repeated = table[compared.duplicated(key_columns or None)]
    label = ", ".join(key_columns) or "all columns"
    return findings([("duplicates", label, repeated, "seen before")] if len(repeated) else [])


@step
def outliers(
    table: pd.DataFrame,
    columns: list[str] = ["quantity", "unit_price", "discount_percent"],
    method: OutlierMethod = OutlierMethod.QUARTILES,
    tolerance: Annotated[float, Field(gt=0, le=20)] = 3.0,
) -> pd.DataFrame:
    """Find numbers that are far from all others.

    Args:
        columns: The columns of numbers to look at.
        method: How distance is measured. The middle half of the values is not fooled by the outliers themselves; the
            mean suits values that scatter evenly to both sides.
        tolerance: How far is too far: this many times the width of the middle half, or this many standard
            deviations.
    """
    require_columns(table, columns)
    found = []
    for column in columns:
        numbers = pd.to_numeric(table[column], errors="coerce")
        low, high = usual_range(numbers, method, tolerance)
        outside = table[(numbers < low) | (numbers > high)]
        if len(outside):
            found.append(("outliers", column, outside, f"outside {low:,.2f} to {high:,.2f}"))
    return findings(found)


@step
def date_range(
    table: pd.DataFrame,
    date_column: str = "order_date",
    earliest: date = date(2024, 1, 1),
    latest: date | None = date(2024, 12, 31),
    date_format: str = "%Y-%m-%d",
) -> pd.DataFrame:
    """Check that dates are dates, and that they lie where they should.

    Args:
        date_column: The column that holds the dates.
        earliest: No row should be older than this day.
        latest: No row should be newer than this day. Leave empty for no limit.
        date_format: How dates are written: %d is the day, %m the month, %Y the year.
    """
    require_columns(table, [date_column])
    dates = pd.to_datetime(table[date_column], format=date_format, errors="coerce")
    problems = {
        "not a date": dates.isna() & (table[date_column] != ""),
        f"before {earliest}": dates < pd.Timestamp(earliest),
    }
    if latest is not None:
        problems[f"after {latest}"] = dates > pd.Timestamp(latest)
    return findings(
        [("dates", date_column, table[rows], problem) for problem, rows in problems.items() if rows.any()]
    )


@step
def report(
    table: pd.DataFrame,
    missing: pd.DataFrame,
    repeated: pd.DataFrame,
    unusual: pd.DataFrame,
    dates: pd.DataFrame,
    title: str = "Data quality report",
    fail_on_findings: bool = False,
) -> tuple[Annotated[HTMLString, "report"], Annotated[pd.DataFrame, "findings"]]:
    """Put all findings together.

    Args:
        title: The heading of the report.
        fail_on_findings: Let the run fail if anything was found, so that whoever watches the runs notices.
    """
    found = pd.concat([missing, repeated, unusual, dates], ignore_index=True).sort_values(
        "rows", ascending=False, ignore_index=True
    )
    summary = (
        f"{len(found)} findings in {len(table):,} rows" if len(found) else f"All {len(table):,} rows are fine"
    )
    print(summary)
    if fail_on_findings and len(found):
        raise ValueError(f"{summary}: " + "; ".join(found["check"] + " in " + found["column"]))
    page = f"<h1>{escape(title)}</h1>\n<p>{summary}.</p>\n{html_table(found) if len(found) else ''}"
    return HTMLString(page), found


@pipeline
def quality_report_pipeline() -> None:
    """Look through a CSV file for gaps, duplicates, outliers and wrong dates, and report what was found.

    The four checks run side by side. The file that comes along is half a year of a shop's orders, with some mistakes.
    """
    table = reader()
    report(table, missing_values(table), duplicates(table), outliers(table), date_range(table))


def findings(found: list[tuple[str, str, pd.DataFrame, str]]) -> pd.DataFrame:
    """One row for each check, column, rows concerned and problem; the line of the first one helps to find it."""
    return pd.DataFrame(
        [
            # The header is line 1 of the file.
            (check, column, problem, len(rows), int(rows.index[0]) + 2)
            for check, column, rows, problem in found
        ],
        columns=["check", "column", "problem", "rows", "first_line"],
    ).astype({"check": "str", "column": "str", "problem": "str", "rows": "int64", "first_line": "int64"})


def require_columns(table: pd.DataFrame, columns: list[str]) -> None:
    unknown = [column for column in columns if column not in table]
    if unknown:
        raise ValueError(f"There is no column '{unknown[0]}'. The table has: {', '.join(table.columns)}.")


def usual_range(numbers: "pd.Series[float]", method: OutlierMethod, tolerance: float) -> tuple[float, float]:
    if method is OutlierMethod.DEVIATIONS:
        low = high = float(numbers.mean())
        reach = float(numbers.std())
    else:
        low, high = float(numbers.quantile(0.25)), float(numbers.quantile(0.75))
        reach = high - low
    return low - tolerance * reach, high + tolerance * reach


def html_table(table: pd.DataFrame) -> str:
    def row(cells: Iterable[object], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    lines = [row(values, "td") for values in table.itertuples(index=False)]
    names = [str(name).replace("_", " ").capitalize() for name in table.columns]
    return "\n".join(["<table>", row(names, "th"), *lines, "</table>"])


if __name__ == "__main__":
    quality_report_pipeline()
