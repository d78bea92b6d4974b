"""A language in which every text that can be translated stands in marks, and what of a page does not."""

import json
import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from typing import Any

from django.apps import apps

from templates_app.schema_forms.schemas import humanise, spoken

LANGUAGE = "eo"  # Django has to know it; its own catalog is not used
START, END = "⟦", "⟧"
CONTEXT = "\x04"  # what gettext puts between a context and its message
CODE = {"code", "pre", "textarea", "script", "style", "svg"}
VOID = {"input", "br", "hr", "img", "link", "meta", "use"}
SPOKEN = {"alt", "aria-label", "aria-description", "placeholder", "title", "label"}
SCRIPTED = re.compile(r"data-(confirm|copied|selected|was|valid|wrong|unchecked|long)")
LETTERS = re.compile(r"[^\W\d_]{2,}")
# Names and words of JSON, which are the same in every language.
NAMES = ["ZenWeb", "YAML", "JSON", "CSV", "Python", "curl", "UTC", "Markdown", "true", "false", "null"]


class Catalog:
    """As Django asks a catalog of its own."""

    def gettext(self, message: str) -> str:
        return f"{START}{message.rpartition(CONTEXT)[2]}{END}"

    def ngettext(self, one: str, several: str, number: int) -> str:
        return self.gettext(one if number == 1 else several)

    def to_language(self) -> str:
        return LANGUAGE

    def language(self) -> str:
        return LANGUAGE


def untranslated(page: str, *data: Any) -> list[str]:
    """What a page says outside of marks, each with its place; not names, values and code.

    `data`: what is in no row and somebody wrote all the same.
    """
    reader = _Reader()
    reader.feed(page)
    reader.close()
    said = re.compile("|".join(rf"(?<!\w){re.escape(text)}(?!\w)" for text in _data(data)))
    return [f"{place}: {text.strip()}" for place, text in reader.found if LETTERS.search(said.sub("", text))]


class _Reader(HTMLParser):
    """Collects what stands outside of marks. A translated text may have elements in it, so marks go over them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self._path: list[str] = []
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        place = f"{tag}#{given['id']}" if given.get("id") else tag
        for name, value in given.items():
            is_button = name == "value" and tag == "input" and given.get("type") in {"submit", "button"}
            if name in SPOKEN or SCRIPTED.fullmatch(name) or is_button:
                outside, _ = _outside(value, 0)
                self.found.append((f"{place}[{name}]", outside))
        if tag not in VOID:
            self._path.append(place)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        while self._path and self._path.pop().partition("#")[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        outside, self._depth = _outside(data, self._depth)
        if not CODE & {place.partition("#")[0] for place in self._path}:
            self.found.append((" > ".join(self._path[-3:]), outside))


def _outside(text: str, depth: int) -> tuple[str, int]:
    kept = ""
    for part in re.split(f"([{START}{END}])", text):
        if part in {START, END}:
            depth += 1 if part == START else -1
        elif depth == 0:
            kept += part
    return kept, depth


def _data(more: Any) -> list[str]:
    """Every text that somebody wrote, and what was stored about it: longer ones first, for they hold shorter ones."""
    texts = {text for model in apps.get_models() for row in model.objects.all() for text in _texts_of(row)}
    texts |= set(_texts(more))
    written = {*NAMES, *texts, *map(humanise, texts), *map(spoken, texts)}
    return sorted((text for text in written if LETTERS.search(text)), key=len, reverse=True)


def _texts_of(row: Any) -> Iterator[str]:
    for field in row._meta.concrete_fields:
        yield from _texts(getattr(row, field.attname))


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        return [value, *(part.strip() for part in re.split(r"[\n.*]+", value))]
    if isinstance(value, dict):
        return [*map(str, value), *(text for member in value.values() for text in _texts(member))]
    if isinstance(value, list | tuple):
        return [text for member in value for text in _texts(member)]
    return [json.dumps(value)] if isinstance(value, float) else []
