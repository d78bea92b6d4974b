"""What a browser sends of a page's form: its successful controls, in their order."""

import re
from html.parser import HTMLParser
from urllib.parse import urlencode

from django.http import QueryDict

CLOCK = r"\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?"
# What the standard calls a valid value; of any other one the input is empty.
HELD = {
    "number": r"-?(\d+(\.\d+)?|\.\d+)([eE][-+]?\d+)?",
    "date": r"\d{4}-\d{2}-\d{2}",
    "time": CLOCK,
    "datetime-local": rf"\d{{4}}-\d{{2}}-\d{{2}}T{CLOCK}",
}
UNSENT = {"submit", "button", "file"}


class _Inputs(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.pairs: list[tuple[str, str]] = []
        self._area: str | None = None
        self._text = ""
        self._select: str | None = None
        self._options: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        name, value = found.get("name") or "", found.get("value")
        if tag == "input" and name and found.get("type") not in UNSENT:
            if found.get("type") not in {"checkbox", "radio"} or "checked" in found:
                is_box = found.get("type") in {"checkbox", "radio"}
                kept = _kept(found.get("type") or "text", value or "")
                self.pairs.append((name, kept or ("on" if is_box and value is None else "")))
        elif tag == "textarea":
            self._area, self._text = name, ""
        elif tag == "select":
            self._select, self._options = name, []
        elif tag == "option" and self._select is not None:
            self._options.append((value or "", "selected" in found))

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area is not None:
            # A parser drops one line break after the tag, and every browser sends CR LF.
            text = self._text.removeprefix("\n").replace("\r\n", "\n").replace("\n", "\r\n")
            self.pairs.append((self._area, text))
            self._area = None
        elif tag == "select" and self._select is not None:
            chosen = [value for value, is_chosen in self._options if is_chosen] or [
                value for value, _ in self._options[:1]
            ]
            self.pairs += [(self._select, value) for value in chosen[:1]]
            self._select = None


def _kept(kind: str, value: str) -> str:
    """What a browser keeps of the value of such an input."""
    if kind in HELD and not re.fullmatch(HELD[kind], value):
        return ""
    return value if kind == "hidden" else value.replace("\r", "").replace("\n", "")


def sent(page: str, **changes: str) -> QueryDict:
    """The data of the form in a page. `changes` are typed over it; names stand with `__` for dots."""
    inputs = _Inputs()
    inputs.feed(page)
    data = QueryDict(urlencode(inputs.pairs), mutable=True)
    for name, text in changes.items():
        data[name] = text
    return data
