"""`zenweb pipeline`: pipelines, and templates made of them."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from zenweb.cli.display import show_table
from zenweb.cli.following import limits
from zenweb.cli.names import STACKS
from zenweb.cli.output import Output, output_option, show_json
from zenweb.cli.run import report_end, tell_of_started
from zenweb.cli.run_template import form_address
from zenweb.cli.template_files import tell_of_applied
from zenweb.cli.values import config_option, read_values, set_env_option, set_option
from zenweb.client import Client
from zenweb.config.importing import importing_for_execution
from zenweb.config.source import import_source
from zenweb.deployment import StartedRun, preview_run_template, ready_to_run
from zenweb.exceptions import RunStopped
from zenweb.execution.runner import describe
from zenweb.pipelines import Pipeline
from zenweb.responses import Judgement


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
@click.option("--stack", shell_complete=STACKS, help="A remote stack to run on, if not the active one.")
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
def create_run_template(
    source: str,
    name: str,
    stack: str | None,
    config_path: Path | None,
    update: bool,
    drop_misfits: bool,
    dry_run: bool,
) -> None:
    """Freeze the pipeline SOURCE as a run template.

    SOURCE is module.attribute, found from the current folder: run.my_pipeline is my_pipeline in run.py.
    """
    pipeline = _imported(source)
    if config_path:
        pipeline = pipeline.with_options(config_path=config_path)
    if dry_run:
        preview(pipeline, name, stack, update=update)
        return
    template = pipeline.create_run_template(name, stack=stack, update=update, drop_misfits=drop_misfits)
    click.echo(
        f"Run template {template.name}, version {template.version}: {form_address(Client(), template)}"
    )


def preview(pipeline: Pipeline[..., Any], name: str, stack: str | None, *, update: bool) -> None:
    """Tell what freezing the pipeline would do to the template."""
    answer = preview_run_template(pipeline, name=name, stack=stack)
    if answer["outcome"] != "created" and not update:
        raise click.UsageError(f"A run template called {name!r} already exists: say --update, too.")
    tell_of_applied(answer, is_done=False)
    click.echo("Nothing was changed.")


@command.command("run")
@click.argument("source")
@click.option(
    "--stack", metavar="NAME", shell_complete=STACKS, help="Where to run it, if not on the active stack."
)
@config_option
@set_option
@set_env_option
@limits
@click.option("--dry-run", is_flag=True, help="Only say what would run; nothing is stored.")
@output_option
def run(
    source: str,
    stack: str | None,
    config_path: Path | None,
    settings: tuple[str, ...],
    secrets: tuple[str, ...],
    wait: bool,
    watch: bool,
    timeout: float | None,
    dry_run: bool,
    output: Output,
) -> None:
    """Run the pipeline SOURCE as its code is now. Values that are not given are those of its code.

    SOURCE is module.attribute, found from the current folder: run.my_pipeline is my_pipeline in run.py.

    On a local stack the steps run here, and the command returns when the run has ended.
    """
    pipeline = _imported(source)
    given = read_values(config_path, settings, secrets)
    ready = ready_to_run(pipeline, pipeline.arguments(), configuration=given, stack=stack)
    judgement = ready.check()
    if dry_run:
        _show_judgement(judgement, output)
        return
    if timeout is not None and not ready.is_remote:
        raise click.UsageError(
            "--timeout leaves a run that goes on without this command; here there is none."
        )
    started = ready.start()
    if ready.is_remote:
        tell_of_started(started.run, output, wait=wait, watch=watch, timeout=timeout)
    else:
        _run_here(started, output)


def _imported(source: str) -> Pipeline[..., Any]:
    # A console script's path starts with its own folder; a user means the one they are in.
    sys.path.insert(0, str(Path.cwd()))
    with importing_for_execution():  # what stands at the module's top level must not act
        return import_source(source, Pipeline)


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
