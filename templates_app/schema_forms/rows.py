"""Controls for lists and dictionaries: one row for each entry, which can be added, removed and moved.

The hidden input of such a control lists its rows by numbers that stay the same while rows come and go, so that what is
typed in one never ends up in another. Many rows stand in one input, as text.
"""

import codecs
import csv
import io
import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any

from crispy_forms.layout import Field as FieldLayout
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext, gettext_lazy

from templates_app.schema_forms.composites import Composite, GroupControl, Nested
from templates_app.schema_forms.controls import Control, KeptField, Occasion, SingleControl
from templates_app.schema_forms.input_names import is_secret_input
from templates_app.schema_forms.scalars import DecimalControl, NumberControl, TextControl
from templates_app.schema_forms.schemas import MISSING, Json, Parameter, Schema, read_json, spoken, to_json

MOST_ROWS = 50  # more stand in one input as text
MOST_UPLOADED = 10 * 2**20  # bytes
MOST_SECRET_ROWS = 1_000
MOST_COLUMNS = 3
AS_TEXT = "text"
DELIMITERS = ",;\t"
# Not 1,234, which may be meant as a thousand: that is asked about.
WITH_COMMA = re.compile(r"(?![+-]?\d{1,3},\d{3}$)[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x1f]")


class Rows(Composite):
    """What lists and dictionaries have in common. Subclasses say what a row is."""

    template = "templates_app/schema_form/rows.html"

    def begin(self, value: Json, occasion: Occasion) -> None:
        self.occasion = occasion
        self.upload_error, self.is_upload_refused = "", False
        sent = occasion.was_sent(self.marker_name)
        if sent is None:
            entries = self.entries(value)
            self.is_text = len(entries) > self.most_rows and not self.has_secrets
            shown = [] if self.is_text else entries
            self.rows = {
                number: self.make_row(number, entry, number + 1) for number, entry in enumerate(shown)
            }
        else:
            self.is_text = sent == AS_TEXT and not self.has_secrets
            numbers = list(dict.fromkeys(int(word) for word in sent.split() if word.isdecimal()))[
                : self.most_rows
            ]
            self._act(numbers)
            self.rows = {
                number: self.make_row(number, MISSING, place) for place, number in enumerate(numbers, 1)
            }
            self._set(self.marker_name, self.marker)

    words: str
    """What one row is called."""

    @abstractmethod
    def make_row(self, number: int, value: Json, place: int = 0) -> Control:
        """`number` stays the same while rows come and go; `place` counts from 1."""

    @abstractmethod
    def entries(self, value: Json) -> list[Json]:
        """What stands in the rows for a value."""

    @property
    def marker(self) -> str:  # type: ignore[override]
        return AS_TEXT if self.is_text else " ".join(map(str, self.rows))

    @cached_property
    def text(self) -> "TextOfRows":
        return TextOfRows(self)

    def children(self) -> Sequence[Control]:
        return list(self.rows.values())

    def child_at(self, key: str) -> Control | None:
        rows = self.children()
        return rows[int(key)] if key.isdecimal() and int(key) < len(rows) else None

    @property
    def text_name(self) -> str:
        return f"{self.name}.~text"

    @property
    def file_name(self) -> str:
        return f"{self.name}.~file"

    @property
    def is_required(self) -> bool:
        return super().is_required and not self.parameter.may_be_empty

    @property
    def can_add(self) -> bool:
        most = self.parameter.schema.number("maxItems")
        return len(self.rows) < (self.most_rows if most is None else min(most, self.most_rows))

    @cached_property
    def most_rows(self) -> int:
        """Secrets never come back from the server, so their rows are never text: of more, nothing can be shown."""
        return MOST_SECRET_ROWS if self.has_secrets else MOST_ROWS

    @cached_property
    def has_secrets(self) -> bool:
        return is_secret_input(dict(self.parameter.schema.root), (), dict(self.parameter.schema.keywords))

    def can_show(self, value: Json) -> bool:
        return super().can_show(value) and not (
            self.has_secrets and len(self.entries(value)) > self.most_rows
        )

    @property
    def is_flat(self) -> bool:
        """Whether rows are lines of a table: then they may be pasted from one."""
        return self.text.columns is not None

    @property
    def is_narrow(self) -> bool:
        """Whether a row fits into a line: then the names of the columns stand above the first one only."""
        return self.is_flat and len(self.text.columns or ()) <= MOST_COLUMNS

    def fields(self) -> dict[str, forms.Field]:
        fields = super().fields()
        return fields | ({self.text_name: TextOfRowsField(self)} if self.is_text else {})

    def initial(self, value: Json) -> dict[str, str]:
        initial = {self.marker_name: self.marker}
        if self.is_text:
            return initial | {self.text_name: self.text.write(self.entries(value))}
        is_new = self.occasion.was_sent(self.marker_name) is not None
        entries = [MISSING] * len(self.rows) if is_new else self.entries(value)
        for child, entry in zip(self.rows.values(), entries, strict=True):
            initial |= child.initial(entry)
        return initial

    def layout(self) -> Any:
        if not self.is_text:
            return super().layout()
        template = "templates_app/schema_form/text_of_rows.html"
        return Nested(self, [FieldLayout(self.text_name, template=template)])

    def context(self, parts: Sequence[str]) -> dict[str, Any]:
        return {"rows": list(zip(self.rows, parts, strict=False))}

    def problems(self, cleaned: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        yield from super().problems(cleaned)
        if self.is_upload_refused:  # else the cell that is wrong says so itself
            yield self.marker_name, self.upload_error

    def locate(self, rest: tuple[str, ...]) -> tuple[str, str]:
        if self.is_text:
            is_row = rest and rest[0].isdecimal()
            number = gettext("Row %(number)s") % {"number": int(rest[0]) + 1} if is_row else ""
            return self.text_name, f"{', '.join(filter(None, [number, *rest[1:]]))}: " if rest else ""
        return super().locate(rest)

    def _act(self, numbers: list[int]) -> None:
        """Do to the rows what was asked for, and take over what was uploaded."""
        verb, _, rest = self.occasion.action.partition(" ")
        number, _, name = rest.partition(" ")
        if (uploaded := (self.occasion.uploads or {}).get(self.file_name)) is not None and self.is_flat:
            self._take_over(uploaded, numbers)
        elif name != self.name:
            return
        elif verb == "add":
            numbers.append(max(numbers, default=-1) + 1)
        elif verb == "text" and self.is_flat:
            self._set(self.text_name, self.text.written([self.make_row(row, MISSING) for row in numbers]))
            self.is_text = True
        elif verb == "rows":
            with suppress(
                ValidationError
            ):  # it stays text, and is told what is wrong with it when it is sent
                self._fill_rows(numbers, self.occasion.was_sent(self.text_name) or "")
        elif number.isdecimal() and int(number) in numbers:
            position = numbers.index(int(number))
            if verb == "remove":
                numbers.pop(position)
            elif verb in {"up", "down"}:
                other = min(max(position + (1 if verb == "down" else -1), 0), len(numbers) - 1)
                numbers[position], numbers[other] = numbers[other], numbers[position]

    def _fill_rows(self, numbers: list[int], text: str) -> None:
        """From text to rows, where it is not too long for that. Raises ValidationError where it is no table."""
        lines = self.text.lines(text)
        first = max(numbers, default=-1) + 1  # nothing that was typed in a row before gets into one of these
        numbers.clear()
        self.is_text = len(lines) > self.most_rows
        if self.is_text:
            self._set(self.text_name, text)
            return
        for number, cells in enumerate(lines, first):
            numbers.append(number)
            row = self.make_row(number, MISSING)
            if isinstance(row, Composite):
                self._set(row.marker_name, row.marker)
            for control, cell in self.text.paired(row, cells):
                self._set(control.parameter.field_name, cell)

    def _take_over(self, uploaded: Any, numbers: list[int]) -> None:
        """The rows of a file take the place of those that are there, which stay where it cannot be read."""
        try:
            text = _text_of(uploaded)
            self._fill_rows(numbers, text)
        except ValidationError as error:
            self.upload_error, self.is_upload_refused = error.messages[0], True
            return
        try:
            self.text.read(text)
        except ValidationError as error:
            self.upload_error = error.messages[0]

    def _set(self, name: str, text: str) -> None:
        if self.occasion.data is not None:
            self.occasion.data[name] = text


class ListControl(Rows):
    """A list of anything."""

    @property
    def words(self) -> str:  # type: ignore[override]
        title = spoken(self.parameter.schema.items.text("title"))
        return title[:1].lower() + title[1:] if title else gettext("entry")

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        schema = parameter.schema
        return schema.type == "array" and not schema.prefix_items() and bool(schema.items.keywords)

    def make_row(self, number: int, value: Json, place: int = 0) -> Control:
        items = self.parameter.schema.items
        title = _numbered(spoken(items.text("title")) or gettext("Entry"), place)
        return self.part(str(number), items, value, title=title, is_required=True)

    def entries(self, value: Json) -> list[Json]:
        return value if isinstance(value, list) else []

    def read(self, cleaned: Mapping[str, Any]) -> Json:
        if self.was_left_out:
            return MISSING
        if self.is_text:
            return cleaned.get(self.text_name, MISSING)
        values = [child.read(cleaned) for child in self.rows.values()]
        if not values and self.parameter.default is MISSING and not self.parameter.is_required:
            return MISSING
        # An entry that could not be read keeps its place, so that every other error is told at its own.
        return [None if value is MISSING else value for value in values]


class NameControl(TextControl):
    """The name of an entry."""

    @cached_property
    def facts(self) -> list[str]:
        return []


class EntryControl(Composite):
    """One entry of a dictionary: its name and its value."""

    template = "templates_app/schema_form/entry.html"

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        return False  # a dictionary makes its entries itself

    def begin(self, value: Json, occasion: Occasion) -> None:
        self.occasion = occasion
        name, entry = (MISSING, MISSING) if value is MISSING else value
        text, path = Schema({"type": "string"}, self.parameter.schema.root), (*self.parameter.path, "~key")
        # It is called by its name, as soon as it has one.
        if called := occasion.was_sent(".".join(path)) or name:
            self.parameter = replace(self.parameter, title=called)
        self.key = NameControl(
            Parameter("~key", path, text, gettext("Name"), "", is_required=True, within=self.titles)
        )
        self.value = self.part(
            "~value", self.parameter.schema, entry, title=gettext("Value"), is_required=True
        )

    def children(self) -> Sequence[Control]:
        return [self.key, self.value]

    def initial(self, value: Json) -> dict[str, str]:
        key, entry = value if value is not MISSING else (MISSING, MISSING)
        return {self.marker_name: self.marker} | self.key.initial(key) | self.value.initial(entry)

    def read(self, cleaned: Mapping[str, Any]) -> Json:
        return self.key.read(cleaned), self.value.read(cleaned)

    def child_at(self, key: str) -> Control | None:
        return None

    def locate(self, rest: tuple[str, ...]) -> tuple[str, str]:
        return self.value.locate(rest)


class DictControl(Rows):
    """An object with any names: rows of a name and a value."""

    rows: dict[int, EntryControl]  # type: ignore[assignment]
    words = gettext_lazy("entry")  # type: ignore[assignment]

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        schema = parameter.schema
        is_closed = schema.keywords.get("additionalProperties") is False
        return schema.is_object and not schema.properties() and not is_closed

    def make_row(self, number: int, value: Json, place: int = 0) -> EntryControl:
        values = self.parameter.schema.additional() or Schema({}, self.parameter.schema.root)
        path, title = (*self.parameter.path, str(number)), _numbered(gettext("Entry"), place)
        entry = EntryControl(Parameter(str(number), path, values, title, "", within=self.titles))
        entry.begin(value, self.occasion)
        self.is_incomplete |= entry.is_incomplete
        return entry

    def entries(self, value: Json) -> list[Json]:
        return list(value.items()) if isinstance(value, Mapping) else []

    def read(self, cleaned: Mapping[str, Any]) -> Json:
        if self.was_left_out:
            return MISSING
        if self.is_text:
            return cleaned.get(self.text_name, MISSING)
        pairs = [child.read(cleaned) for child in self.rows.values()]
        self._names = [key for key, _ in pairs]
        if not pairs and self.parameter.default is MISSING and not self.parameter.is_required:
            return MISSING
        return {key: None if value is MISSING else value for key, value in pairs if key is not MISSING}

    def problems(self, cleaned: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        yield from super().problems(cleaned)
        if self.is_text or self.was_left_out:
            return
        counted: Counter[str] = Counter()
        for row in self.rows.values():
            name = row.key.read(cleaned)
            if name is MISSING and row.key.parameter.field_name in cleaned:
                yield row.key.parameter.field_name, gettext("Enter a name.")
            counted[name] += 1
            if name is not MISSING and counted[name] == 2:
                yield (
                    row.key.parameter.field_name,
                    gettext("The name “%(name)s” is there twice.") % {"name": name},
                )

    def child_at(self, key: str) -> Control | None:
        if key in self._names:
            return list(self.rows.values())[self._names.index(key)]
        return None

    _names: Sequence[Json] = ()


class TextOfRows:
    """Rows as text: a table with a header, a value per line, or JSON where neither can say it."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._row = rows.make_row(MOST_ROWS, MISSING)

    @property
    def columns(self) -> list[SingleControl] | None:
        """The cells of a row, if it consists of plain values."""
        return self._cells(self._row) or None

    @property
    def is_table(self) -> bool:
        return self.columns is not None and not isinstance(self._row, SingleControl)

    @property
    def hint(self) -> str:
        if self.columns is None:
            return "JSON"
        if isinstance(self._row, SingleControl):
            return gettext("One per line")
        return gettext("A table as CSV, with the columns %(names)s") % {
            "names": ", ".join(column.parameter.name for column in self.columns)
        }

    def read(self, text: str) -> Json:
        """The value that a text stands for. Raises ValidationError with the number of the row."""
        if self.columns is None:
            return self._read_json(text)
        return [self._value(number, cells) for number, cells in enumerate(self.lines(text), 1)]

    def write(self, entries: Sequence[Json]) -> str:
        """The text of a value."""
        if self.columns is None:
            is_object = isinstance(self._rows, DictControl)
            return to_json(dict(entries) if is_object else list(entries), indent=2)
        return self._table(
            [
                control.initial(_part(entry, control, self._row))[control.parameter.field_name]
                for control in self.columns
            ]
            for entry in entries
        )

    def written(self, rows: Sequence[Control]) -> str:
        """The text of what stands in rows, right or wrong."""
        occasion = self._rows.occasion
        return self._table(
            [occasion.was_sent(cell.parameter.field_name) or "" for cell in self._cells(row) or ()]
            for row in rows
        )

    def lines(self, text: str) -> list[dict[str, str]]:
        """The cells of each row by the names of their columns."""
        if isinstance(self._row, SingleControl):
            name = self._row.parameter.name
            return [{name: line} for line in text.splitlines() if line.strip()]
        return self._lines_of_table(text)

    def paired(self, row: Control, cells: Mapping[str, str]) -> Iterator[tuple[SingleControl, str]]:
        if isinstance(row, SingleControl):
            yield row, next(iter(cells.values()))
            return
        for control in self._cells(row) or ():
            if control.parameter.name in cells:
                yield control, cells[control.parameter.name]

    def _value(self, number: int, cells: Mapping[str, str]) -> Json:
        value = {}
        for control, text in self.paired(self._row, cells):
            try:
                read = control.value(text.strip() if not isinstance(control, TextControl) else text)
            except ValidationError as error:
                told = {"number": number, "column": control.parameter.title, "error": error.messages[0]}
                if control is self._row:
                    raise ValidationError(gettext("Row %(number)s: %(error)s") % told) from None
                raise ValidationError(gettext("Row %(number)s, %(column)s: %(error)s") % told) from None
            if control is self._row:
                return read
            if read is not MISSING:
                value[control.parameter.name] = read
        return value

    def _lines_of_table(self, text: str) -> list[dict[str, str]]:
        first = next((line for line in text.splitlines() if line.strip()), "")
        delimiter = max(DELIMITERS, key=first.count)
        csv.field_size_limit(MOST_UPLOADED)
        try:
            table = [
                line for line in csv.reader(io.StringIO(text), delimiter=delimiter, strict=True) if any(line)
            ]
        except csv.Error as error:
            raise ValidationError(gettext("This is not a table: %(error)s.") % {"error": error}) from None
        if not table:
            return []
        names = self._names(table[0])
        for number, line in enumerate(table[1:], 1):
            if len(line) > len(names):
                raise ValidationError(
                    gettext("Row %(number)s has %(line)s cells, the header has %(names)s.")
                    % {"number": number, "line": len(line), "names": len(names)}
                )
        cells = [dict(zip(names, line, strict=False)) for line in table[1:]]
        return [self._with_points(line) for line in cells] if delimiter == ";" else cells

    def _with_points(self, cells: Mapping[str, str]) -> dict[str, str]:
        """Where semicolons part the cells, commas are the decimal points of numbers."""
        numbers = {
            control.parameter.name
            for control in self.columns or ()
            if isinstance(control, NumberControl | DecimalControl)
        }
        return {
            name: text.replace(",", ".") if name in numbers and WITH_COMMA.fullmatch(text.strip()) else text
            for name, text in cells.items()
        }

    def _names(self, header: Sequence[str]) -> list[str]:
        """What the columns are called: by name or title, in any case and order."""
        known = {
            text.strip().lower(): control.parameter.name
            for control in self.columns or ()
            for text in (control.parameter.title, control.parameter.name)
        }
        unknown = [text for text in header if text.strip().lower() not in known]
        if unknown:
            there_are = ", ".join(control.parameter.name for control in self.columns or ())
            raise ValidationError(
                gettext(
                    "The first row names the columns. There is no column “%(unknown)s”; there are: "
                    "%(there_are)s."
                )
                % {"unknown": unknown[0], "there_are": there_are}
            )
        return [known[text.strip().lower()] for text in header]

    def _table(self, lines: Any) -> str:
        if isinstance(self._row, SingleControl):
            return "\n".join(cells[0] for cells in lines)
        written = io.StringIO()
        writer = csv.writer(written, lineterminator="\n")
        writer.writerow([column.parameter.name for column in self.columns or ()])
        writer.writerows(lines)
        return written.getvalue()

    def _cells(self, row: Control) -> list[SingleControl] | None:
        if isinstance(row, SingleControl):
            return None if row.is_wide or row.parameter.is_secret else [row]
        if not isinstance(row, GroupControl):
            return None
        cells = [cell for cell in row.children() if not cell.is_silent]
        is_flat = all(
            isinstance(cell, SingleControl) and not cell.is_wide and not cell.parameter.is_secret
            for cell in cells
        )
        return [cell for cell in cells if isinstance(cell, SingleControl)] if is_flat else None

    def _read_json(self, text: str) -> Json:
        is_object = isinstance(self._rows, DictControl)
        kind = dict if is_object else list
        try:
            value = read_json(text) if text.strip() else kind()
        except ValueError as error:
            raise ValidationError(str(error)) from None
        if not isinstance(value, kind):
            raise ValidationError(
                gettext("Enter a JSON object.") if is_object else gettext("Enter a JSON list.")
            )
        return value


class TextOfRowsField(KeptField, forms.CharField):
    """All rows in one input."""

    widget = forms.Textarea

    def __init__(self, control: Rows) -> None:
        self.control = control
        attrs = {"rows": 8, "spellcheck": "false", "class": "font-monospace", "data-lines": ""}
        if control.has_secrets:
            attrs["data-secret"] = ""  # the browser does not keep it
        super().__init__(
            required=False,
            label=control.parameter.title,
            help_text=control.text.hint,
            widget=forms.Textarea(attrs=attrs),
            strip=False,
        )

    def clean(self, value: Any) -> Json:
        return MISSING if value is None else self.control.text.read(value.replace("\r\n", "\n"))


def _numbered(title: str, place: int) -> str:
    return gettext("%(title)s %(number)s") % {"title": title, "number": place} if place else title


def _text_of(uploaded: Any) -> str:
    """What a file says, in the encodings that spreadsheets write. Raises ValidationError."""
    if uploaded.size > MOST_UPLOADED:
        raise ValidationError(
            gettext("The file is larger than %(size)s MB.") % {"size": MOST_UPLOADED // 2**20}
        )
    content = uploaded.read()
    is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ["utf-16"] if is_utf_16 else ["utf-8-sig", "cp1252"]:
        with suppress(UnicodeDecodeError):
            text = str(content.decode(encoding))
            if not NO_TEXT.search(text):
                return text
    raise ValidationError(
        gettext("The file is not text. Save the table as CSV (UTF-8) and choose that file.")
    )


def _part(entry: Json, control: SingleControl, row: Control) -> Json:
    if control is row:
        return entry
    return entry.get(control.parameter.name, MISSING) if isinstance(entry, Mapping) else MISSING
