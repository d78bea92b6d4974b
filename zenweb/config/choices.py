"""Parameters whose values are chosen among those that a function of the pipeline's code knows at the time."""

import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from types import UnionType
from typing import Annotated, Any, Final, get_args, get_origin

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

from zenweb.config.json_schema import CHOICE_RULES
from zenweb.config.suggestions import did_you_mean
from zenweb.exceptions import AuthoringError, FieldError

LONGEST_CACHE: Final = 86_400.0  # seconds
LONGEST_TIMEOUT: Final = 300.0
MOST_CHOICES: Final = 10_000
MOST_BYTES: Final = 1_000_000
_MOST_NAMED: Final = 5
MOST_EXPLAINED: Final = 3
_MANY = (list, set, frozenset)


@dataclass(frozen=True)
class Choices:
    """What may be chosen: `Annotated[str, Choices(list_tables, depends_on=["region"])]`; of several, `list[...]` of it.

    The provider is a function at the top level of a module. It gets the values of the parameters that it depends on, by
    their names, and returns values, pairs of a value and its label, or a dict of labels by value.
    """

    provider: Callable[..., Any]
    depends_on: Sequence[str] = ()
    """Parameters of the same step; of another one, `step.parameter`."""
    cache: float = 60.0
    """Seconds for which an answer holds; the provider is asked again after that."""
    timeout: float = 10.0
    """Seconds that the provider may take."""

    def __post_init__(self) -> None:
        if not callable(self.provider):
            raise AuthoringError(
                "Choices() takes a function that returns what may be chosen: Choices(list_tables)."
            )
        names = [self.depends_on] if isinstance(self.depends_on, str) else self.depends_on
        object.__setattr__(self, "depends_on", tuple(dict.fromkeys(names)))
        if not (isfinite(self.cache) and 0 <= self.cache <= LONGEST_CACHE):
            raise AuthoringError(f"Choices(cache={self.cache!r}): a number of seconds, a day at most.")
        if not (isfinite(self.timeout) and 0 < self.timeout <= LONGEST_TIMEOUT):
            raise AuthoringError(
                f"Choices(timeout={self.timeout!r}): a number of seconds, {LONGEST_TIMEOUT:g} at most."
            )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        rules = {"depends_on": list(self.depends_on), "cache": self.cache, "timeout": self.timeout}
        return {**handler(schema), CHOICE_RULES: rules}


@dataclass(frozen=True)
class Chosen:
    """A parameter's choices, and the type of one chosen value."""

    choices: Choices
    member: Any
    is_many: bool = False
    """Any number of values is chosen."""


def chosen_by(hint: Any) -> Chosen | None:
    """The choices of a parameter of this type: beside the type itself, it or nothing, or that of a list's entries."""
    if get_origin(hint) is Annotated:
        base, *extras = get_args(hint)
        marker = next((extra for extra in extras if isinstance(extra, Choices)), None)
        if marker is None:
            return chosen_by(base)
        return Chosen(marker, Annotated[(_without_none(base), *extras)])
    if get_origin(hint) in _MANY and (members := get_args(hint)):
        entry = chosen_by(members[0])
        return Chosen(entry.choices, entry.member, is_many=True) if entry and not entry.is_many else None
    plain = _without_none(hint)
    return chosen_by(plain) if plain is not hint else None


def argument_name(dependency: str) -> str:
    """How the provider calls what it is given: `region`, of `region` and of `loader.region`."""
    return dependency.rpartition(".")[2]


def dependency_of(step: str, dependency: str) -> tuple[str, str]:
    """The step and the parameter that a name means which stands at a parameter of this step."""
    other, _, parameter = dependency.rpartition(".")
    return other or step, parameter


def explain_refused(
    pointer: str, wrong: Sequence[tuple[str, Any]], offered: Mapping[Any, str]
) -> Iterator[FieldError]:
    """What is wrong with the values of a parameter that are not among those offered (with their labels).

    Each value comes with its own pointer. However many there are, only the first few are looked up.
    """
    for place, value in wrong[:MOST_EXPLAINED]:
        yield FieldError(place, _not_offered(value, offered))
    if (more := len(wrong) - MOST_EXPLAINED) > 0:
        yield FieldError(pointer, f"{more:,} more {'is' if more == 1 else 'are'} not among the choices.")


def _not_offered(value: Any, offered: Mapping[Any, str]) -> str:
    shown = ", ".join(f"“{each}”" for each in list(offered)[:_MOST_NAMED])
    more = f" and {len(offered) - _MOST_NAMED} more" if len(offered) > _MOST_NAMED else ""
    there_is = f"There is: {shown}{more}." if offered else "There is nothing to choose from."
    return f"“{value}” is not among the choices.{did_you_mean(str(value), map(str, offered))} {there_is}"


def _without_none(hint: Any) -> Any:
    """`T` of `T | None`; everything else as it is."""
    if get_origin(hint) not in (typing.Union, UnionType):
        return hint
    members = [member for member in get_args(hint) if member is not type(None)]
    return members[0] if len(members) == 1 else hint
