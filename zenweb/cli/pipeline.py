"""`zenweb pipeline`: pipelines, and templates made of them."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click

from zenweb.cli.display import counted, show_table
from zenweb.cli.following import Waiting, may_wait
from zenweb.cli.named_pipeline import imported, ready_with, telling_what_it_raises
from zenweb.cli.names import STACKS
from zenweb.cli.output import Output, output_option, show_json
from zenweb.cli.run import report_end, tell_of_started
from zenweb.cli.run_template import form_address
from zenweb.cli.template_files import tell_of_applied
from zenweb.cli.values import GivenValues, takes_values
from zenweb.client import Client
from zenweb.config.code_archive import CodeArchive, shown_size
from zenweb.deployment import StartedRun, preview_run_template, ready_for_template
from zenweb.exceptions import RunStopped
from zenweb.execution.runner import describe
from zenweb.pipelines import Pipeline
from zenweb.responses import Judgement

MOST_LEFT_OUT = 5  # files and folders that are named without being asked
Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def stack_option(help_: str) -> Callable[[Decorated], Decorated]:
    return click.option("--stack", metavar="NAME", shell_complete=STACKS, help=help_)


@click.group("pipeline")
def command() -> None:
    """List pipelines and make run templates of them."""


@command.command("list")
@output_option
def list_pipelines(output: Output) -> None:
    """List the pipelines the server knows."""
    output.show_page(
        Client().list_pipelines(size=1000),
        ("NAME", "ID"),
        lambda pipeline: (pipeline.name, str(pipeline.id)),
        empty="The server knows no pipeline yet.",
    )


@command.command("create-run-template")
@click.argument("source")
@click.option("--name", required=True, help="What people see.")
@stack_option("A remote stack to run on, if not the active one.")
@click.option(
    "--config",
    "config_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A run configuration in YAML, whose values the template starts from.",
)
@click.option(
    "--update", is_flag=True, help="Make a new version of the template of this name, if there is one."
)
@click.option(
    "--drop-misfits",
    is_flag=True,
    help="With --update: leave out what the template's form fixes or bounds and the new version does not take.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Only say what would change, what the new version takes no more, and whose values it refuses.",
)
@click.option("-v", "--verbose", is_flag=True, help="List each file of the code that is stored.")
def create_run_template(
    source: str,
    name: str,
    stack: str | None,
    config_path: Path | None,
    update: bool,
    drop_misfits: bool,
    dry_run: bool,
    verbose: bool,
) -> None:
    """Freeze the pipeline SOURCE as a run template.

    SOURCE is module.attribute, found from the current folder: run.my_pipeline is my_pipeline in run.py.
    """
    pipeline = imported(source)
    if config_path:
        pipeline = pipeline.with_options(config_path=config_path)
    with telling_what_it_raises(pipeline):
        if dry_run:
            preview(pipeline, name, stack, update=update)
            return
        ready = ready_for_template(pipeline, stack=stack)
    template = ready.create_run_template(name, update=update, drop_misfits=drop_misfits)
    click.echo(
        f"Run template {template.name}, version {template.version}: {form_address(Client(), template)}"
    )
    tell_of_code(ready.archive, verbose=verbose)


def tell_of_code(archive: CodeArchive, *, verbose: bool) -> None:
    """What was stored of the author's folder, and what was not: in a line, or each file of it."""
    left_out = archive.left_out if verbose else archive.left_out[:MOST_LEFT_OUT]
    more = len(archive.left_out) - len(left_out)
    told = f"Code: {counted(len(archive.file_names), 'file')}, {shown_size(archive.size)}, of {archive.root}"
    if left_out:
        told += f"; left out by rules: {', '.join(left_out)}{f' and {more} more' if more else ''}"
    click.echo(f"{told}.")
    for name in archive.file_names if verbose else ():
        click.echo(f"  {name}")


def preview(pipeline: Pipeline[..., Any], name: str, stack: str | None, *, update: bool) -> None:
    """Tell what freezing the pipeline would do to the template."""
    answer = preview_run_template(pipeline, name=name, stack=stack)
    if answer["outcome"] != "created" and not update:
        raise click.UsageError(f"A run template called {name!r} already exists: say --update, too.")
    tell_of_applied(answer, is_done=False)
    click.echo("Nothing was changed.")


@command.command("run")
@click.argument("source")
@stack_option("Where to run it, if not on the active stack.")
@takes_values
@may_wait
@click.option("--dry-run", is_flag=True, help="Only say what would run; nothing is stored.")
@output_option
def run(
    source: str,
    stack: str | None,
    given: GivenValues,
    waiting: Waiting,
    dry_run: bool,
    output: Output,
) -> None:
    """Run the pipeline SOURCE as its code is now. Values that are not given are those of its code.

    SOURCE is module.attribute, found from the current folder: run.my_pipeline is my_pipeline in run.py.

    On a local stack the steps run here, and the command returns when the run has ended.
    """
    pipeline = imported(source)
    with telling_what_it_raises(pipeline):
        ready = ready_with(pipeline, given, stack)
    judgement = ready.check()
    if dry_run:
        _show_judgement(judgement, output)
        return
    if not ready.is_remote:
        waiting.check_ends_here()
    started = ready.start()
    if ready.is_remote:
        tell_of_started(started.run, output, waiting)
    else:
        _run_here(started, output)


def _run_here(started: StartedRun, output: Output) -> None:
    output.say(f"Run {started.run.name}: {started.run.url}")
    if output is Output.ID:
        click.echo(str(started.run.id))
    try:
        with output.printing_beside():
            failure = started.execute()
    except (KeyboardInterrupt, RunStopped):  # the run says how it ended
        failure = None
    if failure is not None:
        click.secho(describe(failure).traceback.rstrip("\n"), dim=True, err=True)
    report_end(started.run.refresh(), output)


def _show_judgement(judgement: Judgement, output: Output) -> None:
    if not output.is_for_people:
        show_json(asdict(judgement))
        return
    rows = [
        (
            name,
            ", ".join(
                f"{key}={json.dumps(value, ensure_ascii=False)}"
                for key, value in step.get("parameters", {}).items()
            ),
        )
        for name, step in judgement.configuration["steps"].items()
    ]
    show_table(("STEP", "PARAMETERS"), rows, empty="It has no steps.")
    for warning in judgement.warnings:
        click.echo(f"Note: {warning}")
    click.echo("Nothing was stored or started.")
