"""Importing a pipeline's module only to execute its steps: what stands at the module's top level must not act again."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Any

from zenweb.exceptions import AuthoringError

logger = logging.getLogger(__name__)
# More than that of one thing is no list of calls any more: it is a loop that waits for what was skipped.
MOST_READS = 1000
_importing: ContextVar[bool] = ContextVar("zenweb_importing", default=False)


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


def skipped(what: str) -> Any:
    """Say that something at module level was left undone, and return what can stand for its result."""
    logger.info("%s skipped: its module is only imported for its steps", what)
    return Inert(what)


class Inert:
    """Takes everything that the lines after a skipped call may do with its result, and does nothing.

    What is waited for `is_finished`. Another loop would go on for ever: it is left by AuthoringError, which says so.
    """

    def __init__(self, what: str) -> None:
        object.__setattr__(self, "_what", what)
        object.__setattr__(self, "_reads", count(1))

    def __repr__(self) -> str:
        return f"<{object.__getattribute__(self, '_what')}, skipped>"

    def __format__(self, _: str) -> str:
        return repr(self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what Python and its tools probe for
            raise AttributeError(name)
        part = self._part(f".{name}")
        return True if name == "is_finished" else part

    def __setattr__(self, name: str, value: Any) -> None: ...

    def __getitem__(self, key: Any) -> Any:
        return self._part(f"[{key!r}]")

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def __call__(self, *_: Any, **__: Any) -> Any:
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __contains__(self, _: Any) -> bool:
        return False

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None: ...

    def _part(self, name: str) -> "Inert":
        what, reads = object.__getattribute__(self, "_what"), object.__getattribute__(self, "_reads")
        if next(reads) > MOST_READS:
            raise AuthoringError(
                f"{what} was skipped, since its module is only imported for its steps, and is asked for "
                f"{name.strip('.')!r} again and again. Put what waits for a run below "
                '`if __name__ == "__main__":`.'
            )
        return Inert(f"{what}{name}")
