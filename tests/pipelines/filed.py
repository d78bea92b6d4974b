"""Steps that take files in every way a step can, and say what they got."""

from pathlib import Path
from typing import Annotated

import pandas as pd

from zenweb import File, pipeline, step


@step
def read(
    document: Path = Path("printing.py"),
    content: bytes = b"none",
    table: pd.DataFrame | None = None,
    sheets: Annotated[list[Path], File(types=[".csv", ".txt"], max_size="1 kB")] = [],
) -> Annotated[dict[str, str], "told"]:
    """Say what there is.

    Args:
        document: Any file at all.
        content: Bytes.
        table: A table.
        sheets: Several small ones.
    """
    return {
        "document": f"{document.name}: {document.read_bytes()[:20]!r}",
        "content": repr(content[:20]),
        "table": "" if table is None else f"{list(table.columns)} {len(table)}",
        "sheets": ", ".join(f"{sheet.name}={sheet.read_text()}" for sheet in sheets),
    }


@step
def make() -> tuple[Annotated[pd.DataFrame, "made table"], Annotated[Path, "made file"]]:
    target = Path("made.csv")
    target.write_text("x\n1\n2\n3\n")
    return pd.DataFrame({"a": [1, 2], "b": [3, 4]}), target


@pipeline
def filed_pipeline() -> None:
    read()


@pipeline
def making_pipeline() -> None:
    make()
