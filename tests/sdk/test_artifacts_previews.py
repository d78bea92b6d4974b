"""What pages show of a stored value: bounded, made while saving, and never a reason for a step to fail."""

import json
import math
from datetime import date
from enum import Enum

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from sklearn.linear_model import LogisticRegression

from zenweb.artifacts import materializers
from zenweb.artifacts.previews import MAX_TEXT_BYTES, cut
from zenweb.artifacts.strings import CSVString, HTMLString, JSONString, MarkdownString


class Colour(Enum):
    RED = "red"


@pytest.fixture
def preview(tmp_path):
    """Saves the value and returns the kind, name and bytes of its preview."""

    def save_and_read(value):
        saved = materializers.save(value, None, str(tmp_path / "value"))
        return saved.preview.kind, saved.preview.file, (tmp_path / "value" / saved.preview.file).read_bytes()

    return save_and_read


@pytest.fixture
def metadata(tmp_path):
    """Saves the value and returns its metadata as a database would give them back."""

    def save_and_read(value):
        saved = materializers.save(value, None, str(tmp_path / "value"))
        return json.loads(json.dumps(saved.metadata, allow_nan=False))

    return save_and_read


@pytest.mark.parametrize("value", [3, 0.93, "short", {"accuracy": 0.93, "labels": ["a", "b"]}])
def test_a_small_value_is_its_own_preview(value, preview):
    kind, file, data = preview(value)
    assert (kind, file, json.loads(data)) == ("json", "data.json", value)


def test_what_json_lacks_is_shown_in_words(preview):
    kind, file, data = preview(
        {"loss": math.nan, "day": date(2024, 1, 1), "colour": Colour.RED, "score": np.float32(0.5)}
    )
    assert (kind, file) == ("json", "preview.json")
    assert json.loads(data) == {"loss": "NaN", "day": "2024-01-01", "colour": "red", "score": 0.5}


def test_a_long_list_is_shown_by_its_beginning(preview):
    shown = json.loads(preview(list(range(100_000)))[2])
    assert shown[:2] == [0, 1]
    assert shown[-1] == "… 98,001 more"


def test_a_deep_and_wide_value_stays_within_bounds(preview):
    value = {str(key): ["x" * 500] * 5 for key in range(1_000)}
    kind, file, data = preview(value)
    assert (kind, file) == ("text", "preview.txt")
    assert len(data) <= MAX_TEXT_BYTES


def test_a_long_text_is_cut_and_says_so(preview):
    kind, _, data = preview("ü" * 200_000)
    assert (kind, len(data) <= MAX_TEXT_BYTES) == ("text", True)
    assert data.decode().endswith("… (cut)")


@pytest.mark.parametrize("text", ["", "é" * 50_000, "\x00\ud800"])
def test_a_text_that_fits_is_not_cut(text):
    assert "cut" not in cut(text).decode()


def test_a_table_is_shown_by_its_head(preview):
    kind, _, data = preview(pd.DataFrame({f"c{number}": range(60) for number in range(70)}))
    table = json.loads(data)
    assert kind == "table"
    assert (len(table["columns"]), len(table["rows"]), len(table["rows"][0])) == (50, 50, 50)
    assert (table["total_rows"], table["total_columns"]) == (60, 70)


def test_a_table_shows_missing_cells_infinity_and_labels(preview):
    frame = pd.DataFrame(
        {"x": [1.5, math.nan], "y": [math.inf, 2], "when": [pd.Timestamp("2024-01-01"), pd.NaT]},
        index=["a", "b"],
    )
    table = json.loads(preview(frame)[2])
    assert table["columns"] == ["", "x", "y", "when"]
    assert table["rows"] == [["a", 1.5, "Infinity", "2024-01-01T00:00:00"], ["b", None, 2.0, None]]
    assert (table["total_rows"], table["total_columns"]) == (2, 4)


def test_a_table_of_long_texts_stays_small(preview):
    data = preview(pd.DataFrame({"text": ["x" * 1_000_000] * 3}))[2]
    assert len(data) < 5_000


@pytest.mark.parametrize("value", [np.arange(200).reshape(100, 2), np.arange(100)])
def test_an_array_is_shown_as_a_table(value, preview):
    table = json.loads(preview(value)[2])
    assert (table["total_rows"], len(table["rows"]), table["rows"][1][0]) == (100, 50, value[1].flat[0])


def test_an_array_of_more_dimensions_is_shown_as_text(preview):
    assert preview(np.zeros((2, 2, 2)))[0] == "text"


def test_a_csv_text_is_shown_as_a_table(preview):
    kind, _, data = preview(CSVString("city,people\nBern,134794\n"))
    assert kind == "table"
    assert json.loads(data) == {
        "columns": ["city", "people"],
        "rows": [["Bern", "134794"]],
        "total_rows": 1,
        "total_columns": 2,
    }


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (HTMLString("<p>Hi</p>"), "html"),
        (HTMLString("<p>" * 400_000), "text"),
        (MarkdownString("# Hi"), "markdown"),
        (JSONString('{"a": [1, 2]}'), "json"),
        (JSONString("[" + "1," * 100_000 + "1]"), "text"),
    ],
)
def test_documents_are_shown_as_what_they_are_if_they_fit(value, kind, preview):
    shown_as, _, data = preview(value)
    assert shown_as == kind
    assert data.decode().split() == value.split() or kind in {"json", "text"}


def test_a_document_that_is_shown_as_it_is_is_stored_once(tmp_path):
    saved = materializers.save(MarkdownString("# Hi"), None, str(tmp_path / "value"))
    assert saved.preview.file == "data.md"
    assert len(list((tmp_path / "value").iterdir())) == 1


def test_figures_and_images_are_shown_as_png(preview):
    figure = Figure(figsize=(100, 5))
    figure.subplots()
    for value in (figure, Image.new("CMYK", (3000, 10))):
        kind, file, data = preview(value)
        assert (kind, file, data[:4]) == ("image", "preview.png", b"\x89PNG")
        assert len(data) < 100_000


@pytest.mark.parametrize(
    ("name", "kind"),
    [("report.html", "html"), ("notes.md", "markdown"), ("table.csv", "text"), ("run.log", "text")],
)
def test_a_file_of_text_is_shown_by_its_suffix(name, kind, preview, tmp_path):
    (tmp_path / name).write_text("content")
    assert preview(tmp_path / name)[::2] == (kind, b"content")


def test_a_folder_is_shown_as_a_list_of_files(preview, tmp_path):
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "weights.bin").write_bytes(b"123")
    assert json.loads(preview(folder)[2])["rows"] == [["deep/weights.bin", 3]]


def test_a_model_is_shown_by_its_parameters(preview):
    assert ["C", 0.5] in json.loads(preview(LogisticRegression(C=0.5))[2])["rows"]


@pytest.mark.parametrize(("count", "kind"), [(2, "figure"), (500_000, "table")])
def test_a_plotly_figure_is_drawn_by_the_page_and_a_huge_one_shown_by_its_traces(count, kind, preview):
    # Optional in the environment of the tests: plotly is large and nothing else needs it.
    graph_objects = pytest.importorskip("plotly.graph_objects")
    figure = graph_objects.Figure(graph_objects.Scatter(y=list(range(count)), name="line"))
    found, _, data = preview(figure)
    assert found == kind
    shown = json.loads(data)
    if kind == "table":
        assert shown["rows"] == [["line", "scatter", count]]
    else:
        assert shown["data"][0]["y"] == [0, 1]


@pytest.mark.parametrize("method", ["preview", "metadata"])
def test_what_fails_about_a_value_does_not_fail_its_saving(method, tmp_path, monkeypatch, caplog):
    def fail(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(f"zenweb.artifacts.materializers.json_values.JsonMaterializer.{method}", fail)
    uri = str(tmp_path / "value")
    saved = materializers.save([1], None, uri)
    assert materializers.load(uri, saved.materializer) == [1]
    assert f"No {method} of a value of type 'builtins.list'" in caplog.text
    assert saved.metadata["storage_size"] == 3


def test_metadata_of_a_table_name_its_shape_columns_and_types(metadata):
    facts = metadata(pd.DataFrame({"a": [1], "b": ["x"]}))
    assert (facts["shape"], facts["columns"]) == ([1, 2], ["a", "b"])
    assert facts["dtypes"][0] == "int64"
    assert facts["string_representation"] == "Table of 1 rows and 2 columns"
    assert facts["storage_size"] > 100


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, {"string_representation": "3", "storage_size": 1}),
        ("a\x00b", {"string_representation": "a\ufffdb", "length": 3}),
        ([1, 2], {"string_representation": "[1, 2]", "length": 2}),
        (math.nan, {"string_representation": "nan"}),
        (10**5000, {"string_representation": "<integer of 16,610 bits>"}),
        (b"ab", {"length": 2, "storage_size": 2}),
        (np.zeros((2, 3)), {"shape": [2, 3], "dtype": "float64"}),
        (pd.Series([1], name="n"), {"shape": [1], "name": "n", "dtype": "int64"}),
    ],
    ids=["int", "nul", "list", "nan", "huge", "bytes", "array", "series"],
)
def test_metadata_are_json_that_any_database_takes(value, expected, metadata):
    assert expected.items() <= metadata(value).items()


def test_a_long_value_has_a_short_representation(metadata):
    for value in ("x" * 1_000_000, ["x" * 100] * 10_000, {"k" * 5_000: 1}):
        assert len(metadata(value)["string_representation"]) <= 1_000
