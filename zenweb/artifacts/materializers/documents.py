"""The texts of `zenweb.artifacts.strings`, each as a file of its kind."""

import csv
import json
from io import StringIO
from itertools import islice
from typing import Any, ClassVar

from zenweb.artifacts import store
from zenweb.artifacts.materializers.base import Materializer
from zenweb.artifacts.previews import (
    MAX_TABLE_COLUMNS,
    MAX_TABLE_ROWS,
    MAX_TEXT_BYTES,
    PreviewDraft,
    html_preview,
    json_preview,
    markdown_preview,
    table_preview,
    text_preview,
)
from zenweb.artifacts.strings import CSVString, HTMLString, JSONString, MarkdownString


class DocumentMaterializer(Materializer):
    """A text as a UTF-8 file."""

    DOCUMENT_TYPE: ClassVar[type[str]]
    FILE: ClassVar[str]

    def save(self, value: str, uri: str) -> None:
        store.write_bytes(store.join(uri, self.FILE), value.encode(errors="surrogatepass"))

    def load(self, uri: str) -> str:
        data = store.read_bytes(store.join(uri, self.FILE))
        return self.DOCUMENT_TYPE(data.decode(errors="surrogatepass"))

    def metadata(self, value: str) -> dict[str, Any]:
        return super().metadata(value) | {"length": len(value)}

    def own_file_if_same(self, draft: PreviewDraft, value: str) -> PreviewDraft:
        """What needed no change for its preview is not written twice."""
        is_same = draft.data == value.encode(errors="surrogatepass")
        return PreviewDraft(draft.kind, self.FILE) if is_same else draft


class HtmlMaterializer(DocumentMaterializer):
    ASSOCIATED_TYPES = (HTMLString,)
    DOCUMENT_TYPE = HTMLString
    FILE = "data.html"

    def preview(self, value: str) -> PreviewDraft:
        return self.own_file_if_same(html_preview(value), value)


class MarkdownMaterializer(DocumentMaterializer):
    ASSOCIATED_TYPES = (MarkdownString,)
    DOCUMENT_TYPE = MarkdownString
    FILE = "data.md"

    def preview(self, value: str) -> PreviewDraft:
        return self.own_file_if_same(markdown_preview(value), value)


class CsvMaterializer(DocumentMaterializer):
    ASSOCIATED_TYPES = (CSVString,)
    DOCUMENT_TYPE = CSVString
    FILE = "data.csv"

    def preview(self, value: str) -> PreviewDraft:
        lines = csv.reader(StringIO(value))
        columns = next(lines, [])
        head = [row[:MAX_TABLE_COLUMNS] for row in islice(lines, MAX_TABLE_ROWS)]
        total_rows = len(head) + sum(1 for _ in lines)
        return table_preview(
            columns[:MAX_TABLE_COLUMNS], head, total_rows=total_rows, total_columns=len(columns)
        )


class JsonDocumentMaterializer(DocumentMaterializer):
    ASSOCIATED_TYPES = (JSONString,)
    DOCUMENT_TYPE = JSONString
    FILE = "data.json"

    def preview(self, value: str) -> PreviewDraft:
        # A long document is not worth parsing for the little of it that is shown.
        return text_preview(value) if len(value) > MAX_TEXT_BYTES else json_preview(json.loads(value))
