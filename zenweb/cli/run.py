"""`zenweb run`: what was run."""

from collections import Counter
from datetime import datetime
from functools import partial

import click

from zenweb.cli.display import counted, moment, show_facts, show_table
from zenweb.cli.exit_codes import ExitCode
from zenweb.cli.following import Waiting, follow, may_wait
from zenweb.cli.log_lines import LogLines
from zenweb.cli.names import PIPELINES, RUNS, STEPS, TEMPLATES
from zenweb.cli.output import Output, output_option, show_json
from zenweb.cli.since import Since, asked_since
from zenweb.cli.values import GivenValues, takes_values
from zenweb.client import Client
from zenweb.enums import ExecutionStatus
from zenweb.exceptions import DoesNotExist
from zenweb.responses import LogPiece, PipelineRunResponse, RepairPlan, StepRunResponse

MOST_EVENTS = 100
MOST_LISTED = 10_000


@click.group("run")
def command() -> None:
    """See, follow, stop and repair what was run."""


@command.command("list")
@click.option("--pipeline", metavar="NAME", help="Only runs of this pipeline.", shell_complete=PIPELINES)
@click.option("--template", metavar="NAME", help="Only runs of this template.", shell_complete=TEMPLATES)
@click.option(
    "--status",
    "statuses",
    type=click.Choice([status.value for status in ExecutionStatus]),
    multiple=True,
    help="Only runs that are so; may be given several times.",
)
@click.option("--mine", is_flag=True, help="Only runs that you have started.")
@click.option("--since", type=Since(), help="Only runs made since: 30m, 12h, 7d ago, or 2026-05-31.")
@click.option(
    "--limit",
    type=click.IntRange(1, MOST_LISTED),
    default=20,
    show_default=True,
    help="How many, the newest first.",
)
@output_option
def list_runs(
    pipeline: str | None,
    template: str | None,
    statuses: tuple[str, ...],
    mine: bool,
    since: datetime | None,
    limit: int,
    output: Output,
) -> None:
    """List runs, the newest first."""
    client = Client()
    runs = client.list_pipeline_runs(
        pipeline=pipeline,
        template_id=client.get_run_template(template, hydrate=False).id if template else None,
        status=f"oneof:{','.join(statuses)}" if statuses else None,
        user=client.transport.get("/current-user")["name"] if mine else None,
        created=asked_since(since),
        size=limit,
    )
    output.show_page(
        runs,
        ("NAME", "STATUS", "CREATED", "PIPELINE", "ID"),
        lambda run: (run.name, run.status, moment(run.created), run.pipeline.name, str(run.id)),
        empty="There is no such run.",
    )


@command.command("describe")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=RUNS)
@output_option
def describe(names: tuple[str, ...], output: Output) -> None:
    """Show each run NAME (or the id, or its beginning) with its steps and what happened."""
    client = Client()
    runs = [client.get_pipeline_run(name) for name in names]
    if output is Output.JSON and len(runs) > 1:
        show_json([run.envelope for run in runs])
        return
    for place, run in enumerate(runs):
        if place and output.is_for_people:
            click.echo()
        output.show_entity(run, lambda run=run: _describe(run))  # type: ignore[misc]  # it is called at once


def _describe(run: PipelineRunResponse) -> None:
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
            ("started by", _parent_of(run)),
            ("started", ", ".join(f"{child.name} ({child.status})" for child in run.children)),
            ("created", moment(run.created)),
            ("address", run.url),
        ]
    )
    click.echo()
    show_steps(run)
    click.echo()
    show_events(run)
    _show_tracebacks(run)


@command.command("watch")
@click.argument("name", shell_complete=RUNS)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="End with 124 after so long. The run goes on.",
)
@output_option
def watch(name: str, timeout: float | None, output: Output) -> None:
    """Follow the run NAME to its end: how far its steps are and what they print.

    The exit code tells how it ended: 0 completed, 1 failed, 3 stopped.
    """
    run = Client().get_pipeline_run(name)
    output.say(f"Run {run.name}: {run.url}")
    report_end(follow(run, output=output, watch=True, timeout=timeout), output)


@command.command("logs")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=RUNS)
@click.option("--step", "step_name", help="Only this step.", shell_complete=STEPS)
@click.option("--tail", type=click.IntRange(min=0), metavar="N", help="Of each step only the last N lines.")
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on printing until the run has ended.")
def logs(names: tuple[str, ...], step_name: str | None, tail: int | None, follows: bool) -> None:
    """Print what the steps of each run NAME have printed."""
    if follows and (len(names) > 1 or tail is not None):
        raise click.UsageError("--follow prints the whole log of one run: leave out the rest, or --follow.")
    client = Client()
    for name in names:
        run = client.get_pipeline_run(name)
        steps = run.steps
        if step_name is not None and step_name not in steps:
            raise DoesNotExist(f"The run has no step {step_name!r}. Its steps are: {', '.join(steps)}.")
        if follows:
            _follow_step(steps[step_name]) if step_name else _follow_run(run)
            return
        if len(names) > 1:
            click.secho(f"=== {run.name}", bold=True)
        for step in [steps[step_name]] if step_name else steps.values():
            if step_name is None:
                click.secho(f"--- {step.name}", bold=True)
            click.echo(last_lines(step.logs, tail), nl=False)


def last_lines(text: str, number: int | None) -> str:
    if number is None:
        return text
    return "".join(text.splitlines(keepends=True)[-number:]) if number else ""


@command.command("stop")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=RUNS)
@click.option("--wait", is_flag=True, help="Return when they have ended.")
def stop(names: tuple[str, ...], wait: bool) -> None:
    """Stop each run NAME: its steps are asked to end, and killed if they do not."""
    client = Client()
    stopping = []
    for run in [client.get_pipeline_run(name) for name in names]:  # a name that does not exist stops none
        if run.is_finished:
            click.echo(f"Run {run.name} has ended already: {run.status}.")
            continue
        run.stop()
        stopping.append(run)
        if not wait:
            click.echo(f"Run {run.name} was asked to stop: {run.url}")
    for run in stopping if wait else ():
        run.wait()
        click.echo(_ending(run))


@command.command("repair")
@click.argument("name", shell_complete=RUNS)
@click.option(
    "--from",
    "from_steps",
    multiple=True,
    metavar="STEP",
    shell_complete=STEPS,
    help="Run this step again and all that follows it; may be given several times. "
    "Without it: what did not complete.",
)
@takes_values
@click.option("--newest", is_flag=True, help="On the newest version of the run's template.")
@click.option("--dry-run", is_flag=True, help="Only show what would run again.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@may_wait
@output_option
def repair(
    name: str,
    from_steps: tuple[str, ...],
    given: GivenValues,
    newest: bool,
    dry_run: bool,
    yes: bool,
    waiting: Waiting,
    output: Output,
) -> None:
    """Run the finished run NAME again in part, as a new run that keeps the rest of its artifacts.

    Values that are not given are those of the run.
    """
    client = Client()
    if given.has_short_names:
        given = _by_flags_of(client.get_pipeline_run(name), client, given)
    configuration = client.with_files(given.read())
    plan = client.repair_run(
        name, from_steps=from_steps, run_configuration=configuration, newest=newest, dry_run=True
    )
    show_plan(plan, output)
    if dry_run:
        return
    if plan.again and not yes:
        click.confirm(
            f"Run {counted(len(plan.again), 'step')} again and keep {len(plan.kept)}?",
            abort=True,
            err=not output.is_for_people,
        )
    started = client.repair_run(name, from_steps=from_steps, run_configuration=configuration, newest=newest)
    tell_of_started(started, output, waiting)


def tell_of_started(run: PipelineRunResponse, output: Output, waiting: Waiting) -> None:
    """Say where a new run is; and, where that is asked for, how it ends."""
    if not waiting.is_asked_for:
        output.show_entity(run, lambda: click.echo(f"Run {run.name}: {run.url}"))
        return
    output.say(f"Run {run.name}: {run.url}")
    if output is Output.ID:
        click.echo(str(run.id))  # at once, for whoever reads it meanwhile
    report_end(follow(run, output=output, watch=waiting.watch, timeout=waiting.timeout), output)


def _by_flags_of(run: PipelineRunResponse, client: Client, given: GivenValues) -> GivenValues:
    """The values with the paths that their flags stand for, in what this run has run."""
    from zenweb.cli.template_flags import flags_of, spelt_out  # noqa: PLC0415  # who only reads runs needs no flags

    deployment = client.transport.get(f"/pipeline_deployments/{run.deployment_id}")
    return given.spelt_out(partial(spelt_out, flags_of(deployment["metadata"]["config_schema"])))


def show_plan(plan: RepairPlan, output: Output) -> None:
    rows = [(step.name, "again" if step.runs_again else "kept", step.reason) for step in plan.steps]
    output.show_table(("STEP", "RUNS", "WHY"), rows, empty="It has no steps.")


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
    lines = LogLines()
    for piece in run.follow_logs():
        for line in lines.of(piece):
            click.echo(line)
    for line in lines.rest():
        click.echo(line)


def show_steps(run: PipelineRunResponse, output: Output = Output.TABLE) -> None:
    """Of a mapped step's runs, those that failed; how the others are, the step's own row counts."""
    steps = run.steps.values()
    states: dict[str, Counter[str]] = {}
    for step in steps:
        if step.element is not None:
            states.setdefault(step.name.rpartition("-")[0], Counter())[_state(step)] += 1
    rows = [
        (step.name, _state(step), duration_of(step), _elements(states.get(step.name)) or _outputs(step))
        for step in steps
        if step.element is None or step.status is ExecutionStatus.FAILED
    ]
    output.show_table(("STEP", "STATUS", "DURATION", "OUTPUTS"), rows, empty="It has no steps.")


def show_events(run: PipelineRunResponse) -> None:
    events = run.events
    if len(events) > MOST_EVENTS:
        click.echo(f"The last {MOST_EVENTS} of {len(events)} events:")
    rows = [(moment(event.created), event.sentence) for event in events[-MOST_EVENTS:]]
    show_table(("WHEN", "WHAT HAPPENED"), rows, empty="Nothing has happened yet.")


def report_end(run: PipelineRunResponse, output: Output = Output.TABLE) -> None:
    """Show how a run ended, and end this program with the exit code that tells it."""
    show_steps(run, output)
    output.say(_ending(run))
    for step in run.steps.values():
        if step.status is ExecutionStatus.FAILED and step.exception:
            click.echo(f"{step.name}: {step.exception['type']}: {step.exception['message']}", err=True)
    if output is Output.JSON:
        show_json(run.envelope)
    if code := ExitCode.of_run(run.status):
        raise click.exceptions.Exit(code)


def _show_tracebacks(run: PipelineRunResponse) -> None:
    """Where in the code of its steps a run failed."""
    for step in run.steps.values():
        if step.status is ExecutionStatus.FAILED and step.exception and step.exception["traceback"]:
            click.echo()
            click.secho(f"--- {step.name} failed", bold=True)
            click.secho(step.exception["traceback"].rstrip("\n"), dim=True)


def duration_of(step: StepRunResponse) -> str:
    return "" if step.duration is None else f"{step.duration:.2f} s"


def _state(step: StepRunResponse) -> str:
    return "skipped" if step.is_skipped else step.status


def _elements(states: Counter[str] | None) -> str:
    """ "4 elements: 3 completed, 1 failed" """
    if not states:
        return ""
    return f"{states.total()} elements: {', '.join(f'{count} {state}' for state, count in states.items())}"


def _parent_of(run: PipelineRunResponse) -> str:
    if run.parent_run_id is None:
        return ""
    step = run.parent_step_name
    return f"step {step} of run {run.parent_run_id}" if step else f"a step of run {run.parent_run_id}"


def _outputs(step: StepRunResponse) -> str:
    return ", ".join(f"{output.name} v{output.version}" for output in step.outputs.values())
