"""What a step and a pipeline have in common: a decorated function, its options, and the place it is imported from."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, ParamSpec, Self, TypeVar, cast

from zenweb.config.options import checked_options, merged
from zenweb.exceptions import AuthoringError

P = ParamSpec("P")
R = TypeVar("R")


class Definition(Generic[P, R]):
    """A function that a decorator made a step or a pipeline."""

    kind: ClassVar[str]
    known_options: ClassVar[type]
    __name__: str
    __qualname__: str

    def __init__(
        self, entrypoint: Callable[P, R], options: Mapping[str, Any], origin: Self | None = None
    ) -> None:
        _check_is_plain_function(self.kind, entrypoint)
        functools.update_wrapper(cast(Any, self), entrypoint)
        self.entrypoint = entrypoint
        self.options: Mapping[str, Any] = checked_options(f"@{self.kind}", self.known_options, options)
        self.origin = origin
        """What `with_options` made this a copy of."""

    @property
    def name(self) -> str:
        """What it is called: by its option `name`, or else as its function is."""
        return str(self.options.get("name") or self.__name__)

    @property
    def label(self) -> str:
        """How errors call it."""
        return f"{self.kind.capitalize()} {self.name!r}"

    def renamed(self, name: str) -> Self:
        """A copy of another name; itself, if that is its name."""
        return self if name == self.name else self._copy({"name": name})

    def __reduce__(self) -> str:
        return self.__qualname__  # pickled by reference, as functions are

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name!r}>"

    def _copy(self, changes: Mapping[str, Any]) -> Self:
        return type(self)(self.entrypoint, merged(self.options, changes), self)

    def _change(self, changes: Mapping[str, Any]) -> Self:
        checked = checked_options(f"@{self.kind}", self.known_options, changes)
        self.options = merged(self.options, checked)
        return self


def _check_is_plain_function(kind: str, candidate: object) -> None:
    if not inspect.isfunction(candidate):
        raise AuthoringError(f"@{kind} wants a plain function, not {candidate!r}.")
    if inspect.iscoroutinefunction(candidate):
        raise AuthoringError(
            f"@{kind} wants a plain function, and {candidate.__name__}() is async: have a plain one call it with "
            "asyncio.run()."
        )
