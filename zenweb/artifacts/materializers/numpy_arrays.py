"""Arrays of numpy as `.npy` files."""

from typing import Any, TypeAlias

import numpy

from zenweb.artifacts import store
from zenweb.artifacts.materializers.base import Materializer
from zenweb.artifacts.materializers.pickles import read_pickle, write_pickle
from zenweb.artifacts.previews import (
    MAX_TABLE_COLUMNS,
    MAX_TABLE_ROWS,
    PreviewDraft,
    table_preview,
    text_preview,
)

_FILE = "data.npy"

Array: TypeAlias = numpy.ndarray[Any, Any]


class ArrayMaterializer(Materializer):
    """Arrays of numbers, texts and times; those of Python objects and subclasses of arrays are pickled."""

    ASSOCIATED_TYPES = (numpy.ndarray,)

    def save(self, value: Array, uri: str) -> None:
        if type(value) is not numpy.ndarray or value.dtype.hasobject:
            write_pickle(value, uri)
            return
        with store.writing(store.join(uri, _FILE)) as path, path.open("wb") as file:
            numpy.save(file, value, allow_pickle=False)

    def load(self, uri: str) -> Any:
        if not store.exists(store.join(uri, _FILE)):
            return read_pickle(uri)
        with store.reading(store.join(uri, _FILE)) as path:
            return numpy.load(path, allow_pickle=False)

    def metadata(self, value: Array) -> dict[str, Any]:
        return super().metadata(value) | {"shape": list(value.shape), "dtype": str(value.dtype)}

    def preview(self, value: Array) -> PreviewDraft:
        if value.ndim not in {1, 2} or value.dtype.names:
            return text_preview(str(value))
        table = value[:, None] if value.ndim == 1 else value
        head = table[:MAX_TABLE_ROWS, :MAX_TABLE_COLUMNS]
        return table_preview(
            [str(number) for number in range(head.shape[1])],
            [list(row) for row in head],
            total_rows=table.shape[0],
            total_columns=table.shape[1],
        )
