"""Steps whose values are chosen among what functions know at the time; a folder of the test's says what that is."""

import json
import os
import time
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Literal

from zenweb import Choices, pipeline, step


class Size(IntEnum):
    SMALL = 1
    LARGE = 3


def told(region: str) -> list[str]:
    """`folder:region` for a folder whose file `tables` says how to answer; else plain tables."""
    folder, _, name = region.rpartition(":")
    if not folder:
        return [f"{name}_orders", f"{name}_customers"]
    with Path(folder, "asked").open("a") as asked:
        asked.write(f"{os.getpid()}\n")
    orders = json.loads(Path(folder, "tables").read_text())
    print("asking the warehouse with the key sesame")
    while orders.get("hangs") and not Path(folder, "go").exists():
        time.sleep(0.02)
    if orders.get("raises"):
        raise ConnectionError("the warehouse is down")
    if orders.get("exits"):
        os._exit(3)
    return orders["tables"]


def list_tables(region: str) -> list[str]:
    return told(region)


def list_views(region: str) -> list[str]:
    return told(region)


def list_columns(table: str, size: Size) -> Iterator[tuple[str, str]]:
    for number in range(size):
        yield f"{table}.{number}", f"Column {number} of {table} ({type(size).__name__})"


def list_limits() -> dict[int, str]:
    return {10: "ten", 100: "a hundred"}


@step
def load(
    region: str = "eu",
    table: Annotated[str, Choices(list_tables, depends_on=["region"], timeout=60)] = "eu_orders",
    view: Annotated[str, Choices(list_views, depends_on=["region"], timeout=0.5)] | None = None,
    limit: Annotated[int, Choices(list_limits)] | None = None,
) -> int:
    print(f"loading {table}")
    return limit or 0


@step
def pick(
    rows: int,
    size: Size = Size.SMALL,
    columns: list[Annotated[str, Choices(list_columns, depends_on=["load.table", "size"])]] = [],
) -> str:
    return ", ".join(columns)


@step
def look(kind: Literal["a", "b"] = "a") -> str:
    return kind


@pipeline
def chosen_pipeline() -> None:
    pick(load())


@pipeline
def table_pipeline() -> None:
    load()
    look()


@pipeline
def asking_pipeline() -> None:
    load()
    pick()
