"""Which step runs here, if one does. Every client asks: it is known without loading what a step needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zenweb.execution.context import StepContext

_current: ContextVar["StepContext | None"] = ContextVar("zenweb_step", default=None)
# Of a process that runs one attempt and nothing else: threads of the step know no context.
_of_process: "StepContext | None" = None


def current_step() -> "StepContext | None":
    """The context of the step that is running, if one is."""
    return _current.get() or _of_process


@contextmanager
def being_current(context: "StepContext", *, is_alone: bool) -> Iterator[None]:
    """`is_alone`: the process is the step's own."""
    global _of_process  # noqa: PLW0603  # it is one per process
    token = _current.set(context)
    if is_alone:
        _of_process = context
    try:
        yield
    finally:
        _current.reset(token)
