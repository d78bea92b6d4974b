"""The control for a file: sent now, chosen from those that are kept, or (where a step takes that) a path or text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext, gettext_lazy

from templates_app.schema_forms.composites import Composite, MarkerField
from templates_app.schema_forms.controls import Control, KnownFile, Occasion
from templates_app.schema_forms.schemas import MISSING, Json, Parameter
from zenweb.config.file_references import REFERENCE_KEY
from zenweb.config.json_schema import FILE_RULES
from zenweb.exceptions import ValidationFailed

TEXTS = {
    "path": gettext_lazy("A path on the worker instead"),
    "bytes": gettext_lazy("A short text instead"),
}


class FileControl(Composite):
    """A hidden input, named after the parameter, holds the id of the file; beside it are the ways to change it."""

    template = "templates_app/schema_form/file.html"

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        return isinstance(parameter.schema.keywords.get(FILE_RULES), Mapping)

    def begin(self, value: Json, occasion: Occasion) -> None:
        self.occasion = occasion
        self.file: KnownFile | None = None
        self.error = ""
        self.found: Sequence[KnownFile] = ()
        self._start = value
        self.marker = self._id_in(value) if self.was_left_out or occasion.data is None else self._sent()
        if occasion.files is not None and self.marker and self.file is None:
            self.file = occasion.files.find([self.marker]).get(self.marker)

    @property
    def rules(self) -> Mapping[str, Any]:
        rules: Mapping[str, Any] = self.parameter.schema.keywords[FILE_RULES]
        return rules

    @property
    def marker_name(self) -> str:
        return self.name

    @property
    def upload_name(self) -> str:
        return f"{self.name}.~file"

    @property
    def text_name(self) -> str:
        return f"{self.name}.~text"

    @property
    def search_name(self) -> str:
        return f"{self.name}.~search"

    @property
    def pick_name(self) -> str:
        return f"{self.name}.~pick"

    @property
    def text_label(self) -> str:
        """What may be typed instead of choosing a file; "" for nothing."""
        return str(TEXTS.get(str(self.rules.get("as")), ""))

    @property
    def accept(self) -> str:
        types = self.rules.get("types")
        return ",".join(map(str, types)) if isinstance(types, list) else ""

    @property
    def shown_text(self) -> str:
        sent = self.occasion.was_sent(self.text_name)
        if sent is not None:
            return sent
        return self._start if isinstance(self._start, str) else ""

    @property
    def searched(self) -> str:
        return self.occasion.was_sent(self.search_name) or ""

    @property
    def chosen(self) -> str:
        """What to call the chosen file."""
        return (
            self.file.label
            if self.file
            else gettext("A file that is not there any more")
            if self.marker
            else ""
        )

    def children(self) -> Sequence[Control]:
        return []

    def child_at(self, key: str) -> Control | None:
        return None

    def fields(self) -> dict[str, forms.Field]:
        return {self.marker_name: MarkerField(self)}

    def initial(self, value: Json) -> dict[str, str]:
        return {self.marker_name: self._id_in(value)}

    def read(self, cleaned: Mapping[str, Any]) -> Json:
        if self.was_left_out:
            return MISSING
        if self.marker:
            return {REFERENCE_KEY: self.marker}
        if self.text_label and self.shown_text.strip():
            return self.shown_text
        return self.parameter.unset if self.parameter.is_optional else MISSING

    def problems(self, cleaned: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        if self.error:
            yield self.marker_name, self.error

    def locate(self, rest: tuple[str, ...]) -> tuple[str, str]:
        return self.marker_name, ""

    def _sent(self) -> str:
        """The id after what was asked for: a new file goes before a picked one, that before the one from before."""
        verb, _, rest = self.occasion.action.partition(" ")
        is_asked = rest.removeprefix("- ") == self.name
        marker = self.occasion.was_sent(self.pick_name) or self.occasion.was_sent(self.marker_name) or ""
        if is_asked and verb == "clear":
            marker = ""
        uploaded = (self.occasion.uploads or {}).get(self.upload_name)
        if uploaded is not None and self.occasion.files is not None:
            marker = self._store(uploaded) or marker
        if is_asked and verb == "search" and self.occasion.files is not None:
            self.found = self.occasion.files.search(self.searched, self.rules)
        if self.occasion.data is not None:
            self.occasion.data[self.marker_name] = marker
        return marker

    def _store(self, uploaded: Any) -> str:
        """Kept before anything else is judged, so that a form that is refused keeps its files."""
        if self.occasion.files is None:
            return ""
        try:
            self.file = self.occasion.files.store(uploaded, self.rules)
        except ValidationFailed as error:
            self.error = " ".join(one.message for one in error.errors) or str(error)
            return ""
        return self.file.id

    def _id_in(self, value: Json) -> str:
        return str(value.get(REFERENCE_KEY) or "") if isinstance(value, Mapping) else ""
