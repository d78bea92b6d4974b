"""Defaults that are found when a run is asked for: the day, the moment, the value that worked last."""

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

from zenweb.config.json_schema import DYNAMIC_DEFAULT
from zenweb.exceptions import AuthoringError

DAY: Final = timedelta(days=1)
LONGEST: Final = timedelta(days=36_525)


class SourceName(StrEnum):
    """What a default may be found in."""

    TODAY = "today"
    NOW = "now"
    LAST_SUCCESSFUL = "last-successful"


@dataclass(frozen=True)
class Source:
    """Where a default comes from. Of a time, others are made by reckoning: `today - timedelta(days=7)`."""

    name: SourceName
    offset: timedelta = timedelta(0)

    def __add__(self, length: timedelta) -> "Source":
        if self.name is SourceName.LAST_SUCCESSFUL:
            raise AuthoringError("The last successful value is no time: nothing can be added to it.")
        moved = self.offset + length
        if self.name is SourceName.TODAY and moved % DAY:
            raise AuthoringError("A day can be moved by whole days only: today - timedelta(days=7).")
        if abs(moved) > LONGEST:
            raise AuthoringError("A default is at most a hundred years away.")
        return replace(self, offset=moved)

    def __sub__(self, length: timedelta) -> "Source":
        return self + -length

    def __str__(self) -> str:
        """In the words of a form."""
        if self.name is SourceName.LAST_SUCCESSFUL:
            return "as in the last successful run"
        if not self.offset:
            return self.name.value
        if self == yesterday:
            return "yesterday"
        side = "before" if self.offset < timedelta(0) else "after"
        return f"{_length(abs(self.offset))} {side} {self.name.value}"

    @classmethod
    def read(cls, rules: Any) -> "Source | None":
        """What a schema's keyword says; None for one that says nothing of use."""
        try:
            return cls(SourceName(rules["source"]), timedelta(seconds=rules.get("offset", 0)))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            return None


today: Final = Source(SourceName.TODAY)
yesterday: Final = today - DAY
now: Final = Source(SourceName.NOW)
last_successful: Final = Source(SourceName.LAST_SUCCESSFUL)
_FORMATS: Final = {SourceName.TODAY: "date", SourceName.NOW: "date-time"}


@dataclass(frozen=True)
class Default:
    """What a parameter starts from, found when a run is asked for: `day: Annotated[date, Default(today)]`.

    The signature's own default holds where nothing is found: `rate: Annotated[float, Default(last_successful)] = 0.1`.
    """

    source: Source

    def __post_init__(self) -> None:
        if not isinstance(self.source, Source):
            raise AuthoringError(
                f"Default({self.source!r}): write Default(today), Default(now) or Default(last_successful), "
                "all from zenweb. A plain value is a default of the signature: `rate: float = 0.1`."
            )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        described = handler(schema)
        self._check_fits(handler.resolve_ref_schema(described))
        rules: dict[str, Any] = {"source": self.source.name.value}
        if self.source.offset:
            rules["offset"] = self.source.offset.total_seconds()
        return {**described, DYNAMIC_DEFAULT: rules}

    def _check_fits(self, schema: dict[str, Any]) -> None:
        wanted = _FORMATS.get(self.source.name)
        branches = [branch for branch in schema.get("anyOf", [schema]) if branch.get("type") != "null"]
        if wanted and not all(
            branch.get("type") == "string" and branch.get("format") in {wanted, None} for branch in branches
        ):
            kind = "date" if wanted == "date" else "datetime"
            raise AuthoringError(f"Default({self.source.name.value}) is for a {kind} or a str.")


def check_places(schema: dict[str, Any], nodes: list[dict[str, Any]]) -> None:
    """Raises AuthoringError for a default that is found, but not of the parameter as a whole, or a secret."""
    if any(DYNAMIC_DEFAULT in node for node in nodes if node is not schema):
        raise AuthoringError(
            "Default() belongs to the parameter as a whole: Annotated[date | None, Default(today)]."
        )
    if DYNAMIC_DEFAULT in schema and any(node.get("writeOnly") is True for node in nodes):
        raise AuthoringError("A secret is never kept, so that it cannot be found again: leave Default() out.")


def _length(length: timedelta) -> str:
    for unit, size in (("day", DAY), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1))):
        if not length % size:
            count = length // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{length.total_seconds():g} seconds"
