"""Runs the hooks of a step in its process: after its outcome is known, and without any effect on it."""

import contextvars
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from zenweb.config.hooks import FAILURE, SUCCESS, takes_exception
from zenweb.config.source import import_source, importing_for_execution
from zenweb.config.suggestions import article
from zenweb.exceptions import SourceNotFound
from zenweb.execution.protocol import Assignment

logger = logging.getLogger(__name__)

MOST_SECONDS = 60.0
MARGIN = 1.0
"""Seconds before the step's own time-out, left for telling the outcome; a tenth of the time-out, if that is less."""
Hook = Callable[..., Any]


@dataclass(frozen=True)
class Hooks:
    """The hooks of one attempt, and until when they may run (of the monotonic clock)."""

    on_failure: Hook | None
    on_success: Hook | None
    deadline: float | None

    @classmethod
    def of(cls, assignment: Assignment, is_timed: bool) -> "Hooks":
        """Found before the step's first line, so that a name that leads nowhere is heard of. Raises SourceNotFound.

        `is_timed`: somebody ends this process when the step's time is up.
        """
        settings = assignment.settings
        timeout = settings.get("timeout") if is_timed else None
        return cls(
            on_failure=_find(settings.get(FAILURE)) if assignment.is_last else None,
            on_success=_find(settings.get(SUCCESS)),
            deadline=None if timeout is None else time.monotonic() + timeout - min(MARGIN, timeout / 10),
        )

    def after_failure(self, error: BaseException) -> None:
        if self.on_failure is not None and not isinstance(error, KeyboardInterrupt):
            self._run(self.on_failure, [error] if takes_exception(self.on_failure) else [])

    def after_success(self) -> None:
        if self.on_success is not None:
            self._run(self.on_success, [])

    def _run(self, hook: Hook, arguments: list[BaseException]) -> None:
        """In a thread, since nothing else can be left behind when its time is up or Ctrl-C is to end the run."""
        name = getattr(hook, "__qualname__", str(hook))
        thread = threading.Thread(
            target=contextvars.copy_context().run,
            args=(_attempt, name, hook, arguments),
            name="hook",
            daemon=True,
        )
        thread.start()
        thread.join(self._seconds_left())
        if thread.is_alive():
            logger.warning("The hook %s was given up: it had not ended when its time was up.", name)

    def _seconds_left(self) -> float:
        if self.deadline is None:
            return MOST_SECONDS
        return max(0.0, min(MOST_SECONDS, self.deadline - time.monotonic()))


def _find(path: str | None) -> Hook | None:
    if path is None:
        return None
    with importing_for_execution():
        found: object = import_source(path)
    if not callable(found):
        kind = type(found).__name__
        raise SourceNotFound(f"The hook {path!r} is {article(kind)} {kind}, not a function.")
    return found


def _attempt(name: str, hook: Hook, arguments: list[BaseException]) -> None:
    try:
        hook(*arguments)
    except BaseException:  # the step's outcome stands, whatever its hook does
        logger.warning("The hook %s failed.", name, exc_info=True)
