"""`zenweb pipeline`: pipelines, and templates made of them."""

import sys
from pathlib import Path

import click

from zenweb.cli.display import show_table
from zenweb.cli.run_template import form_address
from zenweb.client import Client
from zenweb.config.importing import importing_for_execution
from zenweb.config.source import import_source
from zenweb.pipelines import Pipeline


@click.group("pipeline")
def command() -> None:
    """List pipelines and make run templates of them."""


@command.command("list")
def list_pipelines() -> None:
    """List the pipelines the server knows."""
    rows = [(pipeline.name, str(pipeline.id)) for pipeline in Client().list_pipelines(size=1000)]
    show_table(("NAME", "ID"), rows, empty="The server knows no pipeline yet.")


@command.command("create-run-template")
@click.argument("source")
@click.option("--name", required=True, help="What people see.")
@click.option("--stack", help="A remote stack to run on, if not the active one.")
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
def create_run_template(
    source: str, name: str, stack: str | None, config_path: Path | None, update: bool, drop_misfits: bool
) -> None:
    """Freeze the pipeline SOURCE as a run template.

    SOURCE is module.attribute, found from the current folder: run.my_pipeline is my_pipeline in run.py.
    """
    # A console script's path starts with its own folder; a user means the one they are in.
    sys.path.insert(0, str(Path.cwd()))
    with importing_for_execution():  # what stands at the module's top level must not act
        pipeline = import_source(source, Pipeline)
    if config_path:
        pipeline = pipeline.with_options(config_path=config_path)
    template = pipeline.create_run_template(name, stack=stack, update=update, drop_misfits=drop_misfits)
    click.echo(
        f"Run template {template.name}, version {template.version}: {form_address(Client(), template)}"
    )
