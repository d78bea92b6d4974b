"""What is saved comes back equal: values of the libraries that data scientists use."""

import uuid
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from zenweb.artifacts import materializers
from zenweb.enums import ArtifactType


@dataclass
class Datasets:
    train: pd.DataFrame
    test: pd.DataFrame
    seed: int


class Measured(np.ndarray):
    """An array with more to it than its numbers."""


class Survey(pd.DataFrame):
    """A table with more to it than its columns."""


def save(value: Any, folder: Any) -> materializers.SavedArtifact:
    return materializers.save(value, None, str(folder / "value"))


def round_trip(value: Any, folder: Any) -> Any:
    return materializers.load(str(folder / "value"), save(value, folder).materializer)


def files(folder: Any) -> list[str]:
    return sorted(file.name for file in (folder / "value").iterdir() if "preview" not in file.name)


ARRAYS = [
    np.array([]),
    np.array(3.5),
    np.arange(6).reshape(2, 3),
    np.array([[np.nan, np.inf]]),
    np.array(["a", "bc"]),
    np.array(["2024-01-01", "NaT"], dtype="datetime64[ns]"),
    np.zeros((2, 2, 2), dtype="float16"),
    np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}-{array.ndim}d")
def test_arrays_are_npy_files(array, tmp_path):
    loaded = round_trip(array, tmp_path)
    np.testing.assert_array_equal(loaded, array)
    assert loaded.dtype == array.dtype
    assert files(tmp_path) == ["data.npy"]


@pytest.mark.parametrize(
    "array",
    [np.array([1, "a"], dtype=object), np.ma.masked_array([1, 2], [False, True]), np.zeros(2).view(Measured)],
    ids=["objects", "masked", "own class"],
)
def test_arrays_that_npy_would_change_are_pickled(array, tmp_path):
    loaded = round_trip(array, tmp_path)
    assert type(loaded) is type(array)
    assert repr(loaded) == repr(array)
    assert files(tmp_path) == ["data.pkl"]


SCALARS = [
    np.float32(0.1),
    np.float64("inf"),
    np.int64(-1),
    np.bool_(True),
    np.str_("label"),
    np.complex128(1j),
    np.datetime64("2024-01-01T00:00:00.000000001"),
    np.timedelta64(3, "D"),
    pd.Timestamp("2024-01-01 00:00:00.000000001", tz="Europe/Berlin"),
]


@pytest.mark.parametrize("scalar", SCALARS, ids=lambda scalar: type(scalar).__name__)
def test_scalars_of_numpy_and_pandas_are_json(scalar, tmp_path):
    [loaded] = round_trip({"metric": scalar}, tmp_path).values()
    assert loaded == scalar
    assert type(loaded) is type(scalar)
    assert files(tmp_path) == ["data.json"]


TABLES = {
    "empty": pd.DataFrame(),
    "no rows": pd.DataFrame({"a": pd.Series(dtype="int64")}),
    "plain": pd.DataFrame({"number": [1, 2], "text": ["x", None], "flag": [True, False]}),
    "numbered columns": pd.DataFrame([[1, 2]], columns=[0, 1]),
    "levels": pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])),
    "labelled rows": pd.DataFrame({"v": [1.5]}, index=pd.Index(["row"], name="label")),
    "typed": pd.DataFrame(
        {
            "when": pd.date_range("2024", periods=2, tz="Europe/Berlin"),
            "month": pd.period_range("2024", periods=2, freq="M"),
            "range": pd.interval_range(0, 2),
            "kind": pd.Categorical(["a", "b"], categories=["b", "a"], ordered=True),
            "count": pd.array([1, None], dtype="Int64"),
            "took": pd.to_timedelta([1, 2], unit="s"),
        }
    ),
    "days": pd.DataFrame({"day": [date(2024, 1, 1), None]}),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_tables_are_parquet_files(table, tmp_path):
    table.attrs = {"source": "sensor"}
    loaded = round_trip(table, tmp_path)
    pd.testing.assert_frame_equal(loaded, table, check_freq=False)
    assert loaded.attrs == table.attrs
    assert files(tmp_path) == ["data.parquet"]


AWKWARD_TABLES = {
    "integers with gaps": pd.DataFrame({"a": pd.Series([1, None], dtype=object)}),
    "mixed": pd.DataFrame({"a": [1, "x"]}),
    "lists": pd.DataFrame({"a": [[1, 2], [3]]}),
    "dicts": pd.DataFrame({"a": [{"x": 1}, {"y": 2}]}),
    "sets": pd.DataFrame({"a": [{1}, {2}]}),
    "complex": pd.DataFrame({"a": [1j]}),
    "twice the same name": pd.DataFrame([[1, 2]], columns=["a", "a"]),
    "names of several types": pd.DataFrame({"a": [1], 1: [2]}),
    "objects": pd.DataFrame({"a": [uuid.UUID(int=1), 3]}),
    "mixed labels": pd.DataFrame({"a": [1, 2]}, index=[1, "x"]),
}


@pytest.mark.parametrize("table", AWKWARD_TABLES.values(), ids=AWKWARD_TABLES)
def test_tables_that_parquet_would_change_are_pickled_and_still_shown(table, tmp_path):
    saved = save(table, tmp_path)
    pd.testing.assert_frame_equal(materializers.load(str(tmp_path / "value"), saved.materializer), table)
    assert files(tmp_path) == ["data.pkl"]
    assert saved.preview.kind == "table"


SERIES = {
    "named": pd.Series([1, 2], name="count"),
    "unnamed": pd.Series(["a", None]),
    "numbered": pd.Series([1.5], name=0),
    "called values": pd.Series([1], name="values", index=["row"]),
    "objects": pd.Series([1, "a"], name="mixed"),
}


@pytest.mark.parametrize("series", SERIES.values(), ids=SERIES)
def test_columns_come_back_with_their_names(series, tmp_path):
    pd.testing.assert_series_equal(round_trip(series, tmp_path), series)


def test_a_subclass_of_a_table_comes_back_as_one(tmp_path):
    loaded = round_trip(Survey({"a": [1]}), tmp_path)
    assert type(loaded) is Survey
    assert loaded["a"].tolist() == [1]


def test_tables_in_a_container_are_kept_beside_it_as_parquet(tmp_path):
    table = pd.DataFrame({"a": [1, 2]})
    loaded = round_trip({"tables": (table, table.head(1)), "seed": 7}, tmp_path)
    pd.testing.assert_frame_equal(loaded["tables"][1], table.head(1))
    assert loaded["seed"] == 7
    assert files(tmp_path) == ["data.json", "leaf_1", "leaf_2"]


def test_tables_in_a_dataclass_are_kept_beside_it(tmp_path):
    table = pd.DataFrame({"a": [1, 2]})
    loaded = round_trip(Datasets(table, table.tail(1), 7), tmp_path)
    assert type(loaded) is Datasets
    pd.testing.assert_frame_equal(loaded.test, table.tail(1))


def test_a_great_many_arrays_are_kept_in_one_piece(tmp_path):
    loaded = round_trip([np.arange(2)] * 101, tmp_path)
    assert len(loaded) == 101
    assert files(tmp_path) == ["data.pkl"]


def test_an_estimator_is_a_model_and_no_cause_for_a_warning(tmp_path, caplog):
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5)).fit([[0.0], [1.0]], [0, 1])
    saved = save(model, tmp_path)
    loaded = materializers.load(str(tmp_path / "value"), saved.materializer)
    assert loaded.predict([[0.9]]).tolist() == [1]
    assert saved.type is ArtifactType.MODEL
    assert caplog.records == []


def test_a_figure_can_be_drawn_again(tmp_path):
    figure = Figure()
    figure.subplots().plot([1, 2], label="line")
    loaded = round_trip(figure, tmp_path)
    assert [line.get_label() for line in loaded.axes[0].lines] == ["line"]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I", "F", "CMYK"])
def test_images_come_back_pixel_by_pixel(mode, tmp_path):
    image = Image.new(mode, (3, 2))
    image.putpixel((1, 1), image.getpixel((0, 0)))
    loaded = round_trip(image, tmp_path)
    assert (loaded.mode, loaded.size, loaded.tobytes()) == (image.mode, image.size, image.tobytes())


def test_a_plotly_figure_comes_back_equal(tmp_path):
    # Optional in the environment of the tests: plotly is large and nothing else needs it.
    graph_objects = pytest.importorskip("plotly.graph_objects")
    figure = graph_objects.Figure(graph_objects.Scatter(x=[1, 2], y=[3, 4], name="line"))
    assert round_trip(figure, tmp_path) == figure
