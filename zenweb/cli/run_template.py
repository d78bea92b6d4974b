"""`zenweb run-template`: what can be run."""

from pathlib import Path
from urllib.parse import urljoin

import click

from zenweb.cli.display import show_table
from zenweb.cli.run import report_end
from zenweb.client import Client
from zenweb.responses import RunTemplateResponse


@click.group("run-template")
def command() -> None:
    """List run templates and run them."""


@command.command("list")
def list_run_templates() -> None:
    """List the templates, the newest first."""
    client = Client()
    rows = [
        (
            template.name,
            template.pipeline.name,
            str(template.version),
            "yes" if template.is_runnable else "no",
            form_address(client, template),
        )
        for template in client.list_run_templates(size=1000)
    ]
    show_table(
        ("NAME", "PIPELINE", "VERSION", "RUNNABLE", "FORM"),
        rows,
        empty="There is no run template yet. Make one: zenweb pipeline create-run-template run.my_pipeline --name NAME",
    )


@command.command("run")
@click.argument("name")
@click.option(
    "--config",
    "config_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A run configuration in YAML; what it leaves out is as the template says.",
)
@click.option("--wait", is_flag=True, help="Return when the run has ended; fail if it did not complete.")
def run(name: str, config_path: Path | None, wait: bool) -> None:
    """Run the template NAME."""
    started = Client().trigger_pipeline(template_id=name, config_path=config_path)
    click.echo(f"Run {started.name}: {started.url}")
    if wait:
        report_end(started.wait())


def form_address(client: Client, template: RunTemplateResponse) -> str:
    """Where the template is run in a browser."""
    return urljoin(client.transport.server_url, f"/templates/{template.id}/")
