"""Secrets in what a step's process prints and tells: never kept, wherever it came from."""

import json
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from zenweb.execution.protocol import StepException, StoredArtifact

Json = Any
HIDDEN = "\N{BULLET}" * 6
"""What stands in a secret's place."""
SHORTEST = 4  # characters: what is shorter stands in every other word
SHORTEST_LINE = 8  # of a secret that has several, such as a private key
PIECE = 4096  # bytes: a longer secret is looked for in pieces, so that little has to wait for what comes next


class Mask:
    """Puts bullets into the place of some texts."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms_of(secret)}
        self._texts = sorted((piece for form in forms for piece in _pieces(form)), key=len, reverse=True)
        self._kept = b""

    @cached_property
    def _pattern(self) -> re.Pattern[bytes]:
        """Made when one of them is there: it takes longer than all else that a step without secrets costs here."""
        return re.compile(b"|".join(map(re.escape, self._texts)))

    def __bool__(self) -> bool:
        return bool(self._texts)

    def feed(self, printed: bytes) -> bytes:
        """What may be kept of it by now. The beginning of a secret waits for what comes next."""
        if not self:
            return printed
        text = self._kept + printed
        wait = self._begins_at(text, 0)
        for match in self._pattern.finditer(text) if self._is_in(text) else ():
            if match.start() >= wait:
                break  # it may turn out to be a part of a longer one
            if match.end() > wait:
                wait = self._begins_at(text, match.end())
        self._kept = text[wait:]
        return self._hidden_in(text[:wait])

    def rest(self) -> bytes:
        """What waited, when nothing comes any more."""
        kept, self._kept = self._kept, b""
        return self._hidden_in(kept)

    def text(self, text: str) -> str:
        if not self:
            return text
        plain = text.encode("utf-8", "surrogatepass")
        return self._hidden_in(plain).decode("utf-8", "surrogatepass") if self._is_in(plain) else text

    def value(self, value: Json) -> Json:
        """Of JSON, its texts and its keys; a number that is a secret, too."""
        if not self:
            return value
        if isinstance(value, dict):
            return {self.text(name): self.value(member) for name, member in value.items()}
        if isinstance(value, list):
            return [self.value(member) for member in value]
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return value
        text = str(value)
        return value if (masked := self.text(text)) == text else masked

    def exception(self, exception: StepException | None) -> StepException | None:
        if exception is None or not self:
            return exception
        told = {name: self.text(getattr(exception, name)) for name in ("message", "traceback", "parameter")}
        return exception.model_copy(update=told)

    def outputs(self, outputs: dict[str, StoredArtifact]) -> dict[str, StoredArtifact]:
        """What is told of values, such as their first characters; the values themselves are the step's affair."""
        return {
            name: stored.model_copy(
                update={
                    "metadata": self.value(stored.metadata),
                    "value": self.value(stored.value),
                    "artifact_name": self.text(stored.artifact_name),
                }
            )
            for name, stored in outputs.items()
        }

    def _is_in(self, text: bytes) -> bool:
        return any(secret in text for secret in self._texts)

    def _hidden_in(self, text: bytes) -> bytes:
        return self._pattern.sub(HIDDEN.encode(), text) if self._is_in(text) else text

    def _begins_at(self, text: bytes, start: int) -> int:
        """The first place from which on the rest of the text may become one of those looked for."""
        first = len(text)
        for secret in self._texts:
            place = text.find(secret[:1], max(start, len(text) - len(secret) + 1))
            while 0 <= place < first:
                if secret.startswith(text[place:]):
                    first = place
                place = text.find(secret[:1], place + 1)
        return first


def texts_in(value: Json) -> Iterator[str]:
    """Everything in a value that may be printed as a text."""
    if isinstance(value, dict | list):
        for member in value.values() if isinstance(value, dict) else value:
            yield from texts_in(member)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _forms_of(secret: str) -> Iterator[str]:
    """As it is, as it stands in JSON and in Python's own words, and line by line; also without blanks around it."""
    for text in {secret, secret.strip()}:
        if len(text) >= SHORTEST:
            yield from (
                text,
                json.dumps(text)[1:-1],
                json.dumps(text, ensure_ascii=False)[1:-1],
                repr(text)[1:-1],
            )
    lines = [line for line in map(str.strip, secret.splitlines()) if line]
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= SHORTEST_LINE)


def _pieces(form: str) -> Iterator[bytes]:
    whole = form.encode("utf-8", "surrogatepass")
    starts = list(range(0, max(len(whole) - SHORTEST, 1), PIECE))
    yield from (whole[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True))
