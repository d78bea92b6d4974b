"""Following a run: what a terminal shows, what stands in a log, and servers that go away meanwhile."""

import io
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import pytest
from rich.console import Console

from tests.cli.test_output import RUN
from zenweb.cli.following import Following, Lines, Log, follow
from zenweb.cli.live_view import LiveView, clock, log_line, picture
from zenweb.cli.log_lines import LogLines
from zenweb.cli.output import Output
from zenweb.exceptions import ServerBusy, ServerUnreachable, ZenWebError
from zenweb.responses import LogPiece, PipelineRunResponse, StepRunResponse

NOW = datetime(2026, 5, 31, 12, 0, 30, tzinfo=UTC)
NOBODY: Any = None


def step(name: str, status: str, **body: Any) -> StepRunResponse:
    times = {"start_time": None, "end_time": None, "duration": None, "status_reason": None}
    return StepRunResponse(
        NOBODY, {"id": str(uuid.uuid4()), "name": name, "body": {"status": status, **times, **body}}
    )


def run_of(status: str = "running", reason: str = "") -> PipelineRunResponse:
    body = {"status": status, "status_reason": reason}
    return PipelineRunResponse(NOBODY, {"id": str(uuid.uuid4()), "name": "training-1", "body": body})


def drawn(steps: Sequence[StepRunResponse], width: int = 80, height: int = 24) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height)
    console.print(picture(run_of(), list(steps), width, height, NOW))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]  # it is the one above
    return text.splitlines()


def test_a_terminal_shows_how_far_each_step_is():
    lines = drawn(
        [
            step("loader", "completed", duration=3.0),
            step("trainer", "running", start_time="2026-05-31T12:00:00"),
            step("report", "initializing", status_reason="It waits for trainer."),
        ]
    )
    assert [line.split() for line in lines] == [
        ["training-1", "running"],
        ["loader", "completed", "3.0", "s"],
        ["trainer", "running", "30.0", "s"],
        ["report", "initializing", *["It", "waits", "for", "trainer."]],
    ]


def test_a_long_reason_takes_no_room_from_names_and_states():
    long = "It ran before with the same code, parameters and inputs: these are its outputs from then."
    steps = [step("cities", "cached", status_reason=long), step("forecast", "running")]
    lines = drawn(steps, width=80)
    assert lines[1].split()[:4] == ["cities", "cached", "It", "ran"]
    assert lines[2].split() == ["forecast", "running"]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(("width", "height"), [(38, 24), (200, 10), (12, 5)])
def test_a_picture_fits_into_the_terminal(width, height):
    steps = [step(f"step-{number}", "completed", duration=1) for number in range(990)]
    steps += [step("late", "failed", duration=1), step("now", "running", start_time="2026-05-31T12:00:00")]
    lines = drawn(steps, width, height)
    assert max(map(len, lines)) <= width
    assert len(lines) < max(height, 7)
    if width > 20:
        assert {"late", "now"} <= {line.split()[0] for line in lines}
        assert lines[-1] == f"… and {992 - (len(lines) - 2)} completed"


def test_what_a_step_prints_cannot_move_the_cursor():
    assert log_line("trainer | \x1b[2J10%\r\x1b[31m20%\x1b[0m").plain == "trainer | 20%"


def test_a_terminal_is_left_as_it_was():
    console = Console(file=io.StringIO(), force_terminal=True, width=60, height=20)
    view = LiveView(console=console)
    view.note(run_of(), {"trainer": step("trainer", "running")})
    view.print(["trainer | one"])
    view.pause()
    text: str = console.file.getvalue()  # type: ignore[attr-defined]  # it is the one above
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
    assert text.rindex("\x1b[?25h") > text.rindex("training-1")


@pytest.mark.parametrize(("seconds", "words"), [(4.21, "4.2 s"), (187, "3:07"), (3787, "1:03:07")])
def test_times_are_as_fine_as_they_are_read(seconds, words):
    assert clock(seconds) == words


def test_a_log_has_a_line_for_each_thing_that_happens(capsys):
    view = Lines(Output.TABLE)
    view.note(run_of(), {"a": step("a", "initializing")})
    view.note(run_of(), {"a": step("a", "running")})
    view.note(run_of(), {"a": step("a", "running")})
    view.note(run_of(), {"a": step("a", "failed", duration=1.25, status_reason="no luck")})
    assert capsys.readouterr().out.splitlines() == ["--- a running", "--- a failed (1.2 s): no luck"]


def test_a_program_reads_nothing_of_it(capsys):
    Lines(Output.JSON).note(run_of(), {"a": step("a", "running")})
    assert capsys.readouterr() == ("", "--- a running\n")


def test_lines_of_steps_that_print_at_once_stay_whole():
    lines = LogLines()
    pieces = [
        LogPiece("a", 1, "on"),
        LogPiece("b", 1, "two\nth"),
        LogPiece("a", 1, "e\n"),
        LogPiece("b", 2, "x"),
    ]
    found = [line for piece in pieces for line in lines.of(piece)]
    assert [*found, *lines.rest()] == ["b | two", "a | one", "b | th", "b | --- attempt 2", "b | x"]


class Away(PipelineRunResponse):
    """A run on a server that is away for some questions."""

    def __init__(self, failures: int, kind: type[ZenWebError] = ServerUnreachable) -> None:
        super().__init__(NOBODY, run_of("completed")._envelope)
        self.failures, self.kind, self.asked = failures, kind, 0

    def refresh(self) -> "Away":
        self.asked += 1
        if self.asked <= self.failures:
            raise self.kind("No server answers at http://x.")
        return self

    def follow_logs(self) -> Iterator[LogPiece]:
        yield LogPiece("a", 1, "one\n")
        if self.failures:
            raise self.kind("The connection broke off.")


@pytest.mark.parametrize("kind", [ServerUnreachable, ServerBusy])
def test_a_server_that_is_started_again_is_waited_for(capsys, monkeypatch, kind):
    monkeypatch.setattr("time.sleep", lambda _: None)
    run = Away(failures=3, kind=kind)
    assert follow(run, output=Output.TABLE).status == "completed"
    assert capsys.readouterr().err == "No server answers at http://x. Asking again for a minute …\n"


def test_a_server_that_stays_away_is_given_up(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr("zenweb.patience.SECONDS", -1.0)  # it is over at the second question
    run = Away(failures=1000)
    with pytest.raises(ServerUnreachable):
        Following(run, None, Output.TABLE, None).to_the_end()
    assert run.asked == 2


def test_a_log_that_cannot_be_followed_any_more_says_why():
    [line, told] = Log(Away(failures=1)).remaining()
    assert (line, told) == ("a | one", "The log cannot be followed: The connection broke off.")


def test_lines_that_did_not_come_in_time_are_told(monkeypatch):
    monkeypatch.setattr("zenweb.cli.following.LAST_WORDS", 0)
    [told] = Log(Away(failures=0)).remaining()
    assert told.endswith("did not come in time. See all of it with: zenweb run logs training-1")


def test_ctrl_c_leaves_where_nobody_can_be_asked(alices, template, monkeypatch):
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)
    result = alices(*RUN, "--wait")
    assert result.exit_code == 130
    assert "goes on. Follow it with: zenweb run watch training_pipeline-" in result.stdout


def test_leaving_in_time_is_no_failure_of_the_run(capsys):
    with pytest.raises(click.exceptions.Exit) as left:
        follow(Away(failures=10), output=Output.ID, timeout=0)
    assert (left.value.exit_code, capsys.readouterr().out) == (124, "")
