"""`zenweb run`: what was run."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click

from zenweb.cli.display import show_facts, show_table
from zenweb.cli.values import config_option, read_values, set_option
from zenweb.client import Client
from zenweb.enums import ExecutionStatus
from zenweb.exceptions import DoesNotExist
from zenweb.responses import LogPiece, PipelineRunResponse, RepairPlan, StepRunResponse

MOST_EVENTS = 100


@click.group("run")
def command() -> None:
    """See, stop and repair what was run."""


@command.command("list")
@click.option("--status", type=click.Choice([status.value for status in ExecutionStatus]))
@click.option("--limit", default=20, show_default=True, help="How many, the newest first.")
def list_runs(status: str | None, limit: int) -> None:
    """List runs, the newest first."""
    runs = Client().list_pipeline_runs(status=status, size=limit)
    rows = [(run.name, run.pipeline.name, run.status, _moment(run.created), str(run.id)) for run in runs]
    show_table(("NAME", "PIPELINE", "STATUS", "CREATED", "ID"), rows, empty="There is no such run.")


@command.command("describe")
@click.argument("name")
def describe(name: str) -> None:
    """Show the run NAME (or the id, or its beginning) with its steps and what happened."""
    run = Client().get_pipeline_run(name)
    show_facts(
        [
            ("name", run.name),
            ("id", str(run.id)),
            ("pipeline", run.pipeline.name),
            ("status", run.status),
            ("reason", run.status_reason),
            ("stack", run.stack.name),
            ("repairs", str(run.original_run_id or "")),
            ("repaired by", ", ".join(map(str, run.repair_run_ids))),
            ("created", _moment(run.created)),
            ("address", run.url),
        ]
    )
    click.echo()
    show_steps(run)
    click.echo()
    show_events(run)
    _show_tracebacks(run)


@command.command("logs")
@click.argument("name")
@click.option("--step", "step_name", help="Only this step.")
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the run has ended.")
def logs(name: str, step_name: str | None, follow: bool) -> None:
    """Print what the steps of the run NAME have printed."""
    run = Client().get_pipeline_run(name)
    steps = run.steps
    if step_name is not None and step_name not in steps:
        raise DoesNotExist(f"The run has no step {step_name!r}. Its steps are: {', '.join(steps)}.")
    if follow:
        _follow_step(steps[step_name]) if step_name else _follow_run(run)
        return
    for step in [steps[step_name]] if step_name else steps.values():
        if step_name is None:
            click.secho(f"--- {step.name}", bold=True)
        click.echo(step.logs, nl=False)


@command.command("stop")
@click.argument("name")
@click.option("--wait", is_flag=True, help="Return when the run has ended.")
def stop(name: str, wait: bool) -> None:
    """Stop the run NAME: its steps are asked to end, and killed if they do not."""
    run = Client().get_pipeline_run(name)
    if run.is_finished:
        click.echo(f"Run {run.name} has ended already: {run.status}.")
        return
    run.stop()
    if not wait:
        click.echo(f"Run {run.name} was asked to stop: {run.url}")
        return
    run.wait()
    click.echo(_ending(run))


@command.command("repair")
@click.argument("name")
@click.option(
    "--from",
    "from_steps",
    multiple=True,
    metavar="STEP",
    help="Run this step again and all that follows it; may be given several times. "
    "Without it: what did not complete.",
)
@config_option
@set_option
@click.option("--newest", is_flag=True, help="On the newest version of the run's template.")
@click.option("--dry-run", is_flag=True, help="Only show what would run again.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--wait", is_flag=True, help="Return when the run has ended; fail if it did not complete.")
@click.option("--watch", is_flag=True, help="As --wait, and print what its steps print.")
def repair(
    name: str,
    from_steps: tuple[str, ...],
    config_path: Path | None,
    settings: tuple[str, ...],
    newest: bool,
    dry_run: bool,
    yes: bool,
    wait: bool,
    watch: bool,
) -> None:
    """Run the finished run NAME again in part, as a new run that keeps the rest of its artifacts.

    Values that are not given are those of the run.
    """
    client = Client()
    configuration = client.with_files(read_values(config_path, settings))
    plan = client.repair_run(
        name, from_steps=from_steps, run_configuration=configuration, newest=newest, dry_run=True
    )
    show_plan(plan)
    if dry_run:
        return
    if plan.again and not yes:
        click.confirm(f"Run {_counted(plan.again)} again and keep {len(plan.kept)}?", abort=True)
    started = client.repair_run(name, from_steps=from_steps, run_configuration=configuration, newest=newest)
    click.echo(f"Run {started.name}: {started.url}")
    if watch:
        _follow_run(started)
    if wait or watch:
        report_end(started.wait())


def show_plan(plan: RepairPlan) -> None:
    rows = [(step.name, "again" if step.runs_again else "kept", step.reason) for step in plan.steps]
    show_table(("STEP", "RUNS", "WHY"), rows, empty="It has no steps.")


def _counted(steps: Sequence[str]) -> str:
    return f"{len(steps)} step{'' if len(steps) == 1 else 's'}"


def _ending(run: PipelineRunResponse) -> str:
    return f"Run {run.name} {run.status}" + (f": {run.status_reason}" if run.status_reason else ".")


def _follow_step(step: StepRunResponse) -> None:
    """Print what comes, as it is."""
    before: LogPiece | None = None
    for piece in step.follow_logs():
        if before and piece.attempt != before.attempt:
            click.echo("" if before.text.endswith("\n") else "\n", nl=False)
            click.secho(f"--- attempt {piece.attempt}", bold=True)
        click.echo(piece.text, nl=False)
        before = piece


def _follow_run(run: PipelineRunResponse) -> None:
    """Print what comes, line by line, for its steps may print at the same time."""
    begun: dict[str, LogPiece] = {}  # of each step, the line that has not ended yet
    for piece in run.follow_logs():
        before = begun.get(piece.step)
        if before and piece.attempt != before.attempt:
            _end_line(before)
            click.echo(f"{piece.step} | --- attempt {piece.attempt}")
            before = None
        *lines, rest = ((before.text if before else "") + piece.text).split("\n")
        for line in lines:
            click.echo(f"{piece.step} | {line}")
        begun[piece.step] = replace(piece, text=rest)
    for piece in begun.values():
        _end_line(piece)


def _end_line(piece: LogPiece) -> None:
    if piece.text:
        click.echo(f"{piece.step} | {piece.text}")


def show_steps(run: PipelineRunResponse) -> None:
    rows = [(step.name, step.status, duration_of(step), _outputs(step)) for step in run.steps.values()]
    show_table(("STEP", "STATUS", "DURATION", "OUTPUTS"), rows, empty="It has no steps.")


def show_events(run: PipelineRunResponse) -> None:
    events = run.events
    if len(events) > MOST_EVENTS:
        click.echo(f"The last {MOST_EVENTS} of {len(events)} events:")
    rows = [(_moment(event.created), event.sentence) for event in events[-MOST_EVENTS:]]
    show_table(("WHEN", "WHAT HAPPENED"), rows, empty="Nothing has happened yet.")


def report_end(run: PipelineRunResponse) -> None:
    """Show how a run ended, and end this program with 1 if it did not complete."""
    show_steps(run)
    click.echo(_ending(run))
    for step in run.steps.values():
        if step.status is ExecutionStatus.FAILED and step.exception:
            click.echo(f"{step.name}: {step.exception['type']}: {step.exception['message']}", err=True)
    if run.status is not ExecutionStatus.COMPLETED:
        raise click.exceptions.Exit(1)


def _show_tracebacks(run: PipelineRunResponse) -> None:
    """Where in the code of its steps a run failed."""
    for step in run.steps.values():
        if step.status is ExecutionStatus.FAILED and step.exception and step.exception["traceback"]:
            click.echo()
            click.secho(f"--- {step.name} failed", bold=True)
            click.secho(step.exception["traceback"].rstrip("\n"), dim=True)


def duration_of(step: StepRunResponse) -> str:
    return "" if step.duration is None else f"{step.duration:.2f} s"


def _outputs(step: StepRunResponse) -> str:
    return ", ".join(f"{output.name} v{output.version}" for output in step.outputs.values())


def _moment(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
