"""Progress in a terminal: what is printed scrolls by, and below it stands how far the steps are."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from zenweb.cli.display import STYLES
from zenweb.enums import ExecutionStatus
from zenweb.responses import PipelineRunResponse, StepRunResponse

AROUND = 6  # lines of a terminal that are left for the heading and for what is printed
LEAST_STEPS = 3
NARROW = 60  # columns of a terminal below which reasons are left out
LEAST_REASON = 12  # columns
# In which steps are shown where there is not room for all: what goes on, what went wrong, the rest.
URGENCY = {
    ExecutionStatus.RUNNING: 0,
    ExecutionStatus.STOPPING: 0,
    ExecutionStatus.RETRYING: 0,
    ExecutionStatus.FAILED: 1,
}


class LiveView:
    """The view of `following` for people."""

    def __init__(self, *, err: bool = False, console: Console | None = None) -> None:
        self.console = console or Console(stderr=err)
        self._live: Live | None = None
        self._shown: tuple[PipelineRunResponse, list[StepRunResponse]] | None = None

    def note(self, run: PipelineRunResponse, steps: Mapping[str, StepRunResponse]) -> None:
        self._shown = (run, list(steps.values()))
        if self._live is None:
            self._live = Live(
                get_renderable=self._picture,
                console=self.console,
                transient=True,
                refresh_per_second=2,  # for the seconds that pass
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        self._live.refresh()

    def print(self, lines: list[str]) -> None:
        """Together, so that what stands below is drawn once."""
        if lines:
            self.console.print(Text("\n").join(map(log_line, lines)), soft_wrap=True)

    def pause(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _picture(self) -> Group:
        if self._shown is None:
            return Group()
        run, steps = self._shown
        return picture(run, steps, self.console.width, self.console.height, datetime.now(UTC))


def picture(
    run: PipelineRunResponse, steps: list[StepRunResponse], width: int, height: int, now: datetime
) -> Group:
    """How a run stands, in as many lines as there is room for."""
    shown = _most_urgent(steps, max(LEAST_STEPS, height - AROUND))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0), expand=False)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=max(12, width - 26))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    rows = [
        [Text(step.name), Text(step.status, STYLES.get(step.status, "dim")), Text(_time(step, now))]
        for step in shown
    ]
    # Of what is too wide, a table would take away from all columns alike.
    left = width - sum(
        max((cell.cell_len for cell in column), default=0) + 2 for column in zip(*rows, strict=True)
    )
    has_reasons = width >= NARROW and left >= LEAST_REASON
    if has_reasons:
        table.add_column(no_wrap=True, overflow="ellipsis", style="dim", max_width=left)
    for step, cells in zip(shown, rows, strict=True):
        table.add_row(*cells, *([Text(step.status_reason)] if has_reasons else []))
    return Group(_heading(run, width), table, *_rest(steps, shown))


def log_line(line: str) -> Text:
    """With the colours that a step gave it, and nothing that would move the cursor."""
    name, bar, rest = line.partition(" | ")
    return Text.assemble((name, "cyan"), (bar, "dim"), Text.from_ansi(rest)) if bar else Text.from_ansi(line)


def _heading(run: PipelineRunResponse, width: int) -> Text:
    heading = Text.assemble((run.name, "bold"), "  ", (run.status, STYLES.get(run.status, "dim")))
    if run.status_reason:
        heading.append(f"  {run.status_reason}", "dim")
    heading.truncate(width, overflow="ellipsis")
    return heading


def _most_urgent(steps: list[StepRunResponse], room: int) -> list[StepRunResponse]:
    """In their order."""
    if len(steps) <= room:
        return steps
    chosen = sorted(steps, key=lambda step: URGENCY.get(step.status, 2))[: room - 1]
    return [step for step in steps if step in chosen]


def _rest(steps: list[StepRunResponse], shown: list[StepRunResponse]) -> list[Text]:
    left = Counter(step.status for step in steps if step not in shown)
    words = ", ".join(f"{number} {status}" for status, number in left.items())
    return [Text(f"… and {words}", "dim")] if left else []


def _time(step: StepRunResponse, now: datetime) -> str:
    if step.duration is not None:
        return clock(step.duration)
    return clock(max(0.0, (now - step.start_time).total_seconds())) if step.start_time else ""


def clock(seconds: float) -> str:
    """`4.2 s`, then `3:07` and `1:03:07`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
