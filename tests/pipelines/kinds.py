"""One output of every kind that has a materializer or a preview of its own, and a step that takes them all."""

import enum
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import matplotlib.figure
import numpy as np
import pandas as pd
from PIL import Image
from plotly import graph_objects
from pydantic import BaseModel

from zenweb import get_step_context, log_metadata, pipeline, step
from zenweb.artifacts.strings import CSVString, HTMLString, JSONString, MarkdownString


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: float
    tags: list[str]


class Settings(BaseModel):
    rate: float = 0.1
    since: date = date(2024, 2, 29)


class Unknown:
    """Nobody taught ZenWeb this one."""

    def __init__(self, value: int) -> None:
        self.value = value


PLAIN: dict[str, Any] = {
    "number": 7,
    "text": "a\x00b",
    "nothing": None,
    "loss": [0.5, math.inf],
    "pair": (1, "x"),
    "labels": {"a", "b"},
    "raw": b"\x00\xff",
    "id": UUID(int=5),
    "price": Decimal("1.10"),
    "when": datetime(2024, 1, 1, 12, 30, tzinfo=UTC),
    "day": date(2024, 2, 29),
    "at": time(8, 30),
    "took": timedelta(minutes=3),
    "colour": Colour.RED,
    "point": Point(1.5, ["a"]),
    "settings": Settings(),
    "deep": {"points": [Point(0, [])], "by colour": {Colour.RED: 1}},
}
TABLE = pd.DataFrame(
    {
        "city": ["Bern", "Basel", "Zürich", None],
        "people": [134_794, 173_863, 427_721, 1],
        "share": [0.18, 0.24, math.nan, 0.5],
        "founded": pd.to_datetime(["1191-01-01", None, "1218-01-01", "2024-02-29"], errors="coerce"),
    }
)
MARKDOWN = (
    "# Quality report\n\nThe model **beats** the baseline on *three of four* cities.\n\n"
    "| city | error |\n|---|---:|\n| Bern | 0.12 |\n| Basel | 0.31 |\n\n- <b>no HTML</b> of its own\n"
    "- a [link](https://example.com) and [none](javascript:alert(1))\n\n```python\nprint('code')\n```\n"
)
HTML = "<html><body style='font: 15px sans-serif'><h1>A page</h1><p>of its <b>own</b>.</p></body></html>"


@step
def plain() -> tuple[Annotated[dict, "values"], Annotated[bytes, "raw"], Annotated[float, "score"]]:
    log_metadata({"accuracy": 0.9321, "epochs": 12, "stopped early": True, "loss": math.nan})
    log_metadata({"report": "https://example.com/report", "confusion": {"tp": 41, "fp": 3, "fn": 2}})
    log_metadata({"unit": "share of right answers", "folds": [0.91, 0.94, 0.95]}, artifact_name="score")
    return PLAIN, b"\x00\x01" * 500, 0.9321


@step
def tables() -> tuple[
    Annotated[pd.DataFrame, "cities"],
    Annotated[pd.Series, "people"],
    Annotated[np.ndarray, "matrix"],
    Annotated[np.ndarray, "cube"],
    Annotated[str, "csv"],
]:
    csv = CSVString("city,people\nBern,134794\nBasel,173863\n")
    return TABLE, TABLE["people"], np.arange(12.0).reshape(4, 3), np.zeros((2, 3, 4)), csv


@step
def pictures() -> tuple[
    Annotated[matplotlib.figure.Figure, "curve"],
    Annotated[graph_objects.Figure, "plotly"],
    Annotated[Image.Image, "image"],
]:
    figure = matplotlib.figure.Figure(figsize=(5, 3))
    axes = figure.subplots()
    axes.plot([1, 2, 3], [0.9, 0.5, 0.4])
    axes.set_title("Loss")
    drawn = graph_objects.Figure(graph_objects.Scatter(x=[1, 2], y=[3, 4], name="line"))
    drawn.update_layout(title="Two points")
    return figure, drawn, Image.linear_gradient("L")


@step
def documents() -> tuple[
    Annotated[str, "markdown"],
    Annotated[str, "page"],
    Annotated[str, "json"],
    Annotated[str, "long text"],
    Annotated[Path, "file"],
]:
    text = "\n".join(f"line {number} of a text" for number in range(40))
    return (
        MarkdownString(MARKDOWN),
        HTMLString(HTML),
        JSONString('{"a": [1, {"b": null}]}'),
        text,
        Path(__file__),
    )


@step
def unknown() -> Annotated[Unknown, "unknown"]:
    log_metadata({"champion": "svm", "compared": 4}, run_id_name_or_prefix=get_step_context().pipeline_run.id)
    return Unknown(5)


@step
def takes_all(
    values: dict,
    raw: bytes,
    cities: pd.DataFrame,
    people: pd.Series,
    matrix: np.ndarray,
    curve: matplotlib.figure.Figure,
    drawn: graph_objects.Figure,
    image: Image.Image,
    markdown: str,
    file: Path,
    stranger: Unknown,
) -> Annotated[dict[str, bool], "same"]:
    """Whether what came through the store is what was given to it."""
    return {
        "values": values == PLAIN and type(values["point"]) is Point and type(values["settings"]) is Settings,
        "raw": raw == b"\x00\x01" * 500,
        "cities": cities.equals(TABLE),
        "people": people.equals(TABLE["people"]),
        "matrix": bool((matrix == np.arange(12.0).reshape(4, 3)).all()),
        "curve": curve.axes[0].get_title() == "Loss",
        "plotly": list(drawn.data[0].y) == [3, 4],
        "image": image.tobytes() == Image.linear_gradient("L").tobytes(),
        "markdown": markdown == MARKDOWN,
        "file": file.read_bytes() == Path(__file__).read_bytes(),
        "unknown": stranger.value == 5,
    }


@pipeline(enable_cache=False)
def kinds_pipeline() -> None:
    values, raw, _ = plain()
    cities, people, matrix, _, _ = tables()
    curve, drawn, image = pictures()
    markdown, _, _, _, file = documents()
    takes_all(values, raw, cities, people, matrix, curve, drawn, image, markdown, file, unknown())
