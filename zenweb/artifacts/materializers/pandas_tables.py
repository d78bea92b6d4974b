"""Tables and columns of pandas as Parquet files."""

import logging
from typing import Any

import pandas
import pyarrow
from pyarrow import parquet

from zenweb.artifacts import store
from zenweb.artifacts.materializers.base import Materializer
from zenweb.artifacts.materializers.pickles import read_pickle, write_pickle
from zenweb.artifacts.previews import (
    MAX_TABLE_COLUMNS,
    MAX_TABLE_ROWS,
    PreviewDraft,
    line,
    table_preview,
)

logger = logging.getLogger(__name__)

_FILE = "data.parquet"
_UNNAMED = b"zenweb.unnamed_series"
_MAX_COLUMNS_IN_METADATA = 500


class DataFrameMaterializer(Materializer):
    """Tables. Those that Parquet would give back changed, such as one with mixed objects in a column, are pickled."""

    ASSOCIATED_TYPES = (pandas.DataFrame,)

    def save(self, value: pandas.DataFrame, uri: str) -> None:
        try:
            table = _to_arrow(value) if type(value) is pandas.DataFrame else _refuse_subclass(value)
        except _Unfaithful as reason:
            _save_pickled(value, uri, reason)
        else:
            _write(table, uri)

    def load(self, uri: str) -> Any:
        return _read(uri).to_pandas() if store.exists(store.join(uri, _FILE)) else read_pickle(uri)

    def metadata(self, value: pandas.DataFrame) -> dict[str, Any]:
        return {
            "string_representation": f"Table of {len(value):,} rows and {value.shape[1]:,} columns",
            "shape": list(value.shape),
            "columns": [line(name) for name in value.columns[:_MAX_COLUMNS_IN_METADATA]],
            "dtypes": [str(dtype) for dtype in value.dtypes.iloc[:_MAX_COLUMNS_IN_METADATA]],
            "null_counts": _null_counts(value),
        }

    def preview(self, value: pandas.DataFrame) -> PreviewDraft:
        return _head_preview(value)


class SeriesMaterializer(Materializer):
    """One column, kept as a table of one column."""

    ASSOCIATED_TYPES = (pandas.Series,)

    def save(self, value: "pandas.Series[Any]", uri: str) -> None:
        try:
            table = _series_to_arrow(value) if type(value) is pandas.Series else _refuse_subclass(value)
        except _Unfaithful as reason:
            _save_pickled(value, uri, reason)
        else:
            _write(table, uri)

    def load(self, uri: str) -> Any:
        if not store.exists(store.join(uri, _FILE)):
            return read_pickle(uri)
        table = _read(uri)
        column = table.to_pandas().iloc[:, 0]
        return column.rename(None) if _UNNAMED in table.schema.metadata else column

    def metadata(self, value: "pandas.Series[Any]") -> dict[str, Any]:
        return {
            "string_representation": f"Column of {len(value):,} values",
            "shape": list(value.shape),
            "name": None if value.name is None else line(value.name),
            "dtype": str(value.dtype),
            "null_counts": int(value.isna().sum()),
        }

    def preview(self, value: "pandas.Series[Any]") -> PreviewDraft:
        return _head_preview(value.to_frame("values" if value.name is None else value.name))


class _Unfaithful(Exception):
    """Parquet would give back something else."""


def _refuse_subclass(value: object) -> pyarrow.Table:
    raise _Unfaithful(f"'{type(value).__qualname__}' may hold more than its columns")


def _series_to_arrow(series: "pandas.Series[Any]") -> pyarrow.Table:
    if series.name is not None:
        return _to_arrow(series.to_frame())
    table = _to_arrow(series.to_frame("values"))
    return table.replace_schema_metadata({**table.schema.metadata, _UNNAMED: b"yes"})


def _to_arrow(frame: pandas.DataFrame) -> pyarrow.Table:
    if not isinstance(frame.columns, pandas.MultiIndex) and frame.columns.inferred_type.startswith("mixed"):
        raise _Unfaithful("the names of its columns are of several types")
    try:
        table = pyarrow.Table.from_pandas(frame)
        # Columns of Python objects come back as whatever Arrow took them for: lists as arrays, integers with gaps as
        # floats. All other types are known to come back as they were.
        same = not _has_objects(frame) or bool(table.to_pandas().equals(frame))
    except (pyarrow.ArrowException, ValueError, TypeError, NotImplementedError) as error:
        raise _Unfaithful(str(error)) from error
    if not same:
        raise _Unfaithful("a column of Python objects would come back changed")
    return table


def _has_objects(frame: pandas.DataFrame) -> bool:
    levels = [frame.index.get_level_values(number) for number in range(frame.index.nlevels)]
    return any(dtype == "object" for dtype in [*frame.dtypes, *(level.dtype for level in levels)])


def _save_pickled(value: object, uri: str, reason: _Unfaithful) -> None:
    logger.warning("Stored with cloudpickle instead of Parquet, because %s.", reason)
    write_pickle(value, uri)


def _write(table: pyarrow.Table, uri: str) -> None:
    with store.writing(store.join(uri, _FILE)) as path:
        parquet.write_table(table, path)


def _read(uri: str) -> pyarrow.Table:
    with store.reading(store.join(uri, _FILE)) as path:
        # One file, not a data set: its folder's name must not be read as the value of a column.
        return parquet.ParquetFile(path).read()


def _head_preview(frame: pandas.DataFrame) -> PreviewDraft:
    head = frame.iloc[:MAX_TABLE_ROWS, :MAX_TABLE_COLUMNS]
    if not isinstance(frame.index, pandas.RangeIndex):
        # Labels such as the classes of a report are half of what the table says.
        head = head.reset_index(names=_index_names(frame), allow_duplicates=True)
    rows = head.astype(object).where(head.notna(), None).to_numpy().tolist()
    return table_preview(
        list(head.columns),
        rows,
        total_rows=len(frame),
        total_columns=frame.shape[1] + head.shape[1] - min(frame.shape[1], MAX_TABLE_COLUMNS),
    )


def _null_counts(frame: pandas.DataFrame) -> dict[str, int]:
    """Of the columns that have missing values."""
    counts = frame.iloc[:, :_MAX_COLUMNS_IN_METADATA].isna().sum()
    return {line(name): int(count) for name, count in zip(counts.index, counts, strict=True) if count}


def _index_names(frame: pandas.DataFrame) -> list[str]:
    return ["" if name is None else str(name) for name in frame.index.names]
