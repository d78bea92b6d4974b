"""Importing a pipeline's module only to execute its steps: what stands at the module's top level must not act again."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

logger = logging.getLogger(__name__)
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
    """Takes everything that the lines after a skipped call may do with its result, and does nothing."""

    def __init__(self, what: str) -> None:
        object.__setattr__(self, "_what", what)

    def __repr__(self) -> str:
        return f"<{object.__getattribute__(self, '_what')}, skipped>"

    def __format__(self, _: str) -> str:
        return repr(self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what Python and its tools probe for
            raise AttributeError(name)
        return Inert(f"{object.__getattribute__(self, '_what')}.{name}")

    def __setattr__(self, name: str, value: Any) -> None: ...

    def __getitem__(self, key: Any) -> Any:
        return Inert(f"{object.__getattribute__(self, '_what')}[{key!r}]")

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
