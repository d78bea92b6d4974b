"""Texts that say what they are, so that pages can show them as such: annotate a step's output with one of these."""


class HTMLString(str):
    """An HTML document or fragment."""

    __slots__ = ()


class MarkdownString(str):
    """A text in Markdown."""

    __slots__ = ()


class CSVString(str):
    """A table as comma-separated values, the first line holding the names of the columns."""

    __slots__ = ()


class JSONString(str):
    """A JSON document."""

    __slots__ = ()
