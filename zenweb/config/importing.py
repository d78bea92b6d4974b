"""Importing a pipeline's module only to execute its steps: what stands at the module's top level must not act again."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Any, NoReturn

from zenweb.exceptions import AuthoringError

logger = logging.getLogger(__name__)
# More than that of one thing is no list of calls any more: it is a loop that waits for what was skipped.
MOST_READS = 1000
LONGEST_NAME = 100
_importing: ContextVar[bool] = ContextVar("zenweb_importing", default=False)
_asks: ContextVar[list[str] | None] = ContextVar("zenweb_asks", default=None)
_skips: ContextVar[list[str] | None] = ContextVar("zenweb_skips", default=None)


class AsksForSkipped(BaseException):
    """Code at a module's top level needs to know what came of a call that was skipped, and can do nothing without.

    No Exception: code that handles errors must not take it for one and act upon it.
    """


@contextmanager
def importing_for_execution() -> Iterator[None]:
    """While it lasts, pipelines do not run, templates are not made and a client asks for nothing: each only logs."""
    token = _importing.set(True)
    try:
        yield
    finally:
        _importing.reset(token)


def is_importing() -> bool:
    return _importing.get()


@contextmanager
def noticing_skips() -> Iterator[list[str]]:
    """What one module's top level has skipped so far, without the modules that it imports."""
    noticed: list[str] = []
    token = _skips.set(noticed)
    try:
        yield noticed
    finally:
        _skips.reset(token)


@contextmanager
def noticing_asks() -> Iterator[list[str]]:
    """What one module's top level has asked for in vain so far: twice, if it has caught what was to end it."""
    noticed: list[str] = []
    token = _asks.set(noticed)
    try:
        yield noticed
    finally:
        _asks.reset(token)


def skipped(what: str) -> Any:
    """Say that something at module level was left undone, and return what can stand for its result."""
    logger.info("%s skipped: its module is only imported for its steps", what)
    noticed = _skips.get()
    if noticed is not None:
        noticed.append(what)
    return Inert(what, count(1))


class Inert:
    """Takes what the lines after a skipped call do with its result, and does nothing.

    What is waited for `is_finished`. Lines that would go on by what the result is, or would go on for ever, end here.
    """

    def __init__(self, what: str, reads: Iterator[int]) -> None:
        object.__setattr__(self, "_what", what)
        object.__setattr__(self, "_reads", reads)

    def __repr__(self) -> str:
        return f"<{object.__getattribute__(self, '_what')}, skipped>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what Python and its tools probe for
            raise AttributeError(name)
        part = self._part(f".{name}")
        return True if name == "is_finished" else part

    def __setattr__(self, name: str, value: Any) -> None: ...

    def __getitem__(self, key: Any) -> Any:
        return self._part(f"[{key!r:.50}]")

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def __call__(self, *_: Any, **__: Any) -> Any:
        return self._part("()")

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None: ...

    def _part(self, name: str) -> "Inert":
        what, reads = object.__getattribute__(self, "_what"), object.__getattribute__(self, "_reads")
        if next(reads) > MOST_READS:
            self._ask()
        return Inert(f"{what}{name}"[:LONGEST_NAME], reads)

    def _ask(self, *_: Any) -> NoReturn:
        what = object.__getattribute__(self, "_what")
        if is_importing():
            noticed = _asks.get()
            if noticed is not None:
                noticed.append(what)
            raise AsksForSkipped(what)
        raise AuthoringError(
            f"Nobody knows {what} here: it stands at the top level of a module that is only imported for its steps, so "
            "that it was skipped. Ask for it in the step."
        )

    # `result in {"completed"}` and `f"{result}" == "completed"` would be false, whatever came of the call.
    __str__ = __format__ = _ask
    __hash__ = __bool__ = __len__ = __iter__ = __contains__ = _ask
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _ask
    __int__ = __float__ = __index__ = __round__ = _ask
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _ask
