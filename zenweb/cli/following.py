"""Following a run to its end: waiting, showing how far its steps are, and what Ctrl-C means meanwhile."""

import functools
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import click

from zenweb.cli.display import is_live
from zenweb.cli.exit_codes import ExitCode
from zenweb.cli.log_lines import LogLines
from zenweb.cli.output import Output
from zenweb.enums import ExecutionStatus
from zenweb.exceptions import ZenWebError
from zenweb.execution.triggers import waiting_for
from zenweb.patience import Away, Patience
from zenweb.responses import LogPiece, PipelineRunResponse, StepRunResponse

FIRST_PAUSE, LAST_PAUSE = 0.1, 1.0  # seconds between two looks at a run
SHARE = 5  # times what a look took
FRAME = 0.2  # seconds between two pictures in a terminal
LAST_WORDS = 5.0  # seconds that the log of a run that has ended may take to arrive
Steps = Mapping[str, StepRunResponse]


class View(Protocol):
    """Where progress is shown."""

    def note(self, run: PipelineRunResponse, steps: Steps) -> None:
        """How things are now."""

    def print(self, lines: list[str]) -> None:
        """What was printed meanwhile."""

    def pause(self) -> None:
        """Leave the terminal as it was, such as to ask something; the next note shows itself again."""


def follow(
    run: PipelineRunResponse, *, output: Output, watch: bool = False, timeout: float | None = None
) -> PipelineRunResponse:
    """The run at its end. Ends the program when that takes longer than `timeout` seconds, or when Ctrl-C leaves."""
    following = Following(run, _view(output) if watch else None, output, timeout)
    is_stopping = False
    while True:
        try:
            with waiting_for(run.id):
                return following.to_the_end()
        except KeyboardInterrupt:
            following.pause()
            if is_stopping or not _is_to_be_stopped(run, output):
                output.say(f"Run {run.name} goes on. Follow it with: zenweb run watch {run.name}")
                raise click.exceptions.Exit(ExitCode.LEFT) from None
        is_stopping = True
        run.stop()
        output.say(f"Run {run.name} was asked to stop. Ctrl-C leaves without waiting for that.")


class Following:
    """One run that is looked at until it has ended."""

    def __init__(
        self, run: PipelineRunResponse, view: View | None, output: Output, timeout: float | None
    ) -> None:
        self.run, self.view, self.output, self.timeout = run, view, output, timeout
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._log = Log(run) if view else None
        self._patience = Patience()

    def to_the_end(self) -> PipelineRunResponse:
        pause = FIRST_PAUSE
        try:
            while True:
                began = time.monotonic()
                if self._look():
                    break
                self._check_time()
                # A run of thousands of steps is looked at more seldom.
                self._rest(max(pause, SHARE * (time.monotonic() - began)))
                pause = min(1.5 * pause, LAST_PAUSE)
            if self._log and self.view:
                self.view.print(list(self._log.remaining()))
        finally:
            self.pause()
        return self.run

    def pause(self) -> None:
        if self.view:
            self.view.pause()

    def _look(self) -> bool:
        """Whether it has ended."""
        try:
            self.run.refresh()
            steps = self.run.steps if self.view else {}
        except Away as error:
            if self._patience.bear(error):
                self.pause()
                click.echo(f"{error} Asking again for a minute …", err=True)
            return False
        self._patience.renew()
        if self.view:
            self.view.note(self.run, steps)
        return self.run.is_finished

    def _check_time(self) -> None:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self.pause()
            self.output.say(
                f"Run {self.run.name} has not ended within {self.timeout:g} seconds. It goes on; follow it with: "
                f"zenweb run watch {self.run.name}"
            )
            raise click.exceptions.Exit(ExitCode.TIMED_OUT)

    def _rest(self, seconds: float) -> None:
        if self._deadline is not None:
            seconds = max(0.0, min(seconds, self._deadline - time.monotonic()))
        if not (self._log and self.view):
            time.sleep(seconds)
            return
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if lines := self._log.lines(min(left, FRAME)):
                self.view.print(lines)


class Log:
    """What a run prints, heard in a thread of its own, for that waits for the server."""

    def __init__(self, run: PipelineRunResponse) -> None:
        self._run = run
        self._heard: queue.Queue[LogPiece | str | None] = queue.Queue(maxsize=10_000)
        self._lines = LogLines()
        self._is_over = False
        threading.Thread(target=_hear, args=(run, self._heard.put), daemon=True).start()

    def lines(self, seconds: float) -> list[str]:
        """Those that come within this time."""
        found: list[str] = []
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                found += self._read(self._heard.get(timeout=left))
            except queue.Empty:
                break
        return found

    def remaining(self) -> Iterator[str]:
        """Those of a run that has ended."""
        until = time.monotonic() + LAST_WORDS
        while not self._is_over and (left := until - time.monotonic()) > 0:
            try:
                yield from self._read(self._heard.get(timeout=left))
            except queue.Empty:
                break
        yield from self._lines.rest()
        if not self._is_over:
            yield f"The rest of the log did not come in time. See all of it with: zenweb run logs {self._run.name}"

    def _read(self, heard: LogPiece | str | None) -> Iterator[str]:
        if isinstance(heard, LogPiece):
            yield from self._lines.of(heard)
        elif heard is None:
            self._is_over = True
        else:
            yield heard


def _hear(run: PipelineRunResponse, tell: Callable[[LogPiece | str | None], None]) -> None:
    try:
        for piece in run.follow_logs():
            tell(piece)
    except ZenWebError as error:
        tell(f"The log cannot be followed: {error}")
    tell(None)


class Lines:
    """Progress where no terminal is: a line for each thing that happens."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._known: dict[str, ExecutionStatus] = {}

    def note(self, run: PipelineRunResponse, steps: Steps) -> None:
        for name, step in steps.items():
            if self._known.get(name, ExecutionStatus.INITIALIZING) != step.status:
                self._output.say(f"--- {step_words(step)}")
            self._known[name] = step.status

    def print(self, lines: list[str]) -> None:
        for line in lines:
            self._output.say(line)

    def pause(self) -> None:
        pass


def step_words(step: StepRunResponse) -> str:
    words = f"{step.name} {step.status}"
    if step.status.is_finished and step.duration is not None:
        words += f" ({step.duration:.1f} s)"
    return f"{words}: {step.status_reason}" if step.status_reason else words


def _view(output: Output) -> View:
    if not is_live(err=not output.is_for_people):
        return Lines(output)
    from zenweb.cli.live_view import LiveView  # noqa: PLC0415  # rich, which pipes and scripts need not wait for

    return LiveView(err=not output.is_for_people)


def _is_to_be_stopped(run: PipelineRunResponse, output: Output) -> bool:
    """Asked where somebody can answer; a second Ctrl-C is a no."""
    if not sys.stdin.isatty():
        return False
    try:
        return click.confirm(f"\nStop run {run.name}? Otherwise it goes on.", default=False, err=True)
    except click.Abort:
        output.say()
        return False


OPTIONS = (
    click.option(
        "--wait",
        is_flag=True,
        help="Return when the run has ended. The exit code tells how: 0 completed, 1 failed, 3 stopped.",
    ),
    click.option(
        "--watch",
        is_flag=True,
        help="As --wait, and show meanwhile how far the steps are and what they print.",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0),
        metavar="SECONDS",
        help="With --wait or --watch: end with 124 after so long. The run goes on.",
    ),
)


@dataclass(frozen=True)
class Waiting:
    """Whether a run that was started is waited for, and for how many seconds."""

    wait: bool
    watch: bool
    timeout: float | None

    @property
    def is_asked_for(self) -> bool:
        return self.wait or self.watch

    def check_ends_here(self) -> None:
        """Of a run that this command executes itself."""
        if self.timeout is not None:
            raise click.UsageError(
                "--timeout leaves a run that goes on without this command; here there is none."
            )


def may_wait(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a command that may wait for the run it starts, which it gets together: as `waiting`."""

    @functools.wraps(function)
    def with_waiting(*args: Any, wait: bool, watch: bool, timeout: float | None, **others: Any) -> Any:
        return function(*args, waiting=Waiting(wait, watch, timeout), **others)

    return functools.reduce(lambda waiting, option: option(waiting), reversed(OPTIONS), with_waiting)
