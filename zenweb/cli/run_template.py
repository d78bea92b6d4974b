"""`zenweb run-template`: what can be run."""

import json
from pathlib import Path
from urllib.parse import urljoin

import click

from zenweb.cli.display import show_facts, show_table
from zenweb.cli.run import report_end
from zenweb.cli.template_files import apply, export
from zenweb.cli.values import config_option, preset_option, read_values, set_env_option, set_option
from zenweb.client import Client
from zenweb.config.run_configuration import read_yaml
from zenweb.config.yaml_text import read
from zenweb.enums import ConcurrencyPolicy
from zenweb.responses import Preflight, RunTemplateResponse


@click.group("run-template")
def command() -> None:
    """List run templates, run and change them."""


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
@preset_option
@config_option
@set_option
@set_env_option
@click.option("--wait", is_flag=True, help="Return when the run has ended; fail if it did not complete.")
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
def run(
    name: str,
    preset: str | None,
    config_path: Path | None,
    settings: tuple[str, ...],
    secrets: tuple[str, ...],
    wait: bool,
    dry_run: bool,
) -> None:
    """Run the template NAME. Values that are not given are the preset's, else as the template says."""
    configuration = read_values(config_path, settings, secrets)
    if dry_run:
        show_preflight(
            Client().trigger_pipeline(
                template_id=name, run_configuration=configuration, preset=preset, dry_run=True
            )
        )
        return
    started = Client().trigger_pipeline(template_id=name, run_configuration=configuration, preset=preset)
    click.echo(f"Run {started.name}: {started.url}")
    if wait:
        report_end(started.wait())


@command.command("update")
@click.argument("name")
@click.option("--description", help="What the template is for.")
@click.option(
    "--max-concurrent-runs",
    type=click.IntRange(min=0),
    help="How many of its runs may go on at once; 0: any number.",
)
@click.option(
    "--concurrency-policy",
    type=click.Choice([policy.value for policy in ConcurrencyPolicy]),
    help="One more run waits (queue), is not run (skip) or takes the place of the oldest (cancel).",
)
def update(
    name: str, description: str | None, max_concurrent_runs: int | None, concurrency_policy: str | None
) -> None:
    """Change the template NAME; what is not given stays as it is."""
    if description is None and max_concurrent_runs is None and concurrency_policy is None:
        raise click.UsageError("Say what to change, such as --max-concurrent-runs 1.")
    template = Client().update_run_template(
        name,
        description=description,
        max_concurrent_runs=max_concurrent_runs,
        concurrency_policy=concurrency_policy,
    )
    click.echo(f"Run template {template.name}: {_limit(template)}.")


@command.command("curate")
@click.argument("name")
@click.option(
    "--file",
    "source",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The curation, as JSON or YAML; it takes the place of the one that there is.",
)
@click.option("--export", is_flag=True, help="Print the curation as JSON, to be kept and given to --file.")
def curate(name: str, source: Path | None, export: bool) -> None:
    """Shape the form of the template NAME: what it asks for and how, what is bounded, fixed or hidden."""
    if export == (source is not None):
        raise click.UsageError("Say either --file FILE or --export.")
    if source is None:
        click.echo(json.dumps(Client().get_curation(name), indent=2, ensure_ascii=False))
        return
    curation = read_yaml(source)
    if not curation and read(source.read_text(encoding="utf-8")).value is None:
        raise click.UsageError(f"{source} says nothing. To take the whole form away, write {{}} in it.")
    template = Client().curate_run_template(name, curation)
    click.echo(
        f"Run template {template.name}, version {template.version}: {form_address(Client(), template)}"
    )


command.add_command(export)
command.add_command(apply)


def show_preflight(ahead: Preflight) -> None:
    rows = [
        (name, "from the cache" if name in ahead.cached else "runs") for name in ahead.configuration["steps"]
    ]
    show_table(("STEP", "WOULD"), rows, empty="It has no steps.")
    click.echo()
    show_facts(
        [
            ("Expected", time_taken(ahead.expected_seconds) if ahead.running else "a moment"),
            ("Runs ahead", str(ahead.runs_ahead) if ahead.runs_ahead else ""),
            *(("Waits", sentence) for sentence in ahead.obstacles),
            *(("Note", warning) for warning in ahead.warnings),
        ]
    )
    for parameter, (before, now) in ahead.differences.items():
        click.echo(f"{parameter}: {json.dumps(before)} in the last completed run, {json.dumps(now)} now")
    click.echo("Nothing was started.")


def time_taken(seconds: float | None) -> str:
    """As fine as a forecast is."""
    if seconds is None:
        return "not known yet"
    if seconds < 1:
        return "less than a second"
    return f"about {seconds:.0f} s" if seconds < 120 else f"about {seconds / 60:.0f} min"


def _limit(template: RunTemplateResponse) -> str:
    if template.max_concurrent_runs is None:
        return "any number of runs at once"
    return f"at most {template.max_concurrent_runs} at once, further runs {template.concurrency_policy.words}"


def form_address(client: Client, template: RunTemplateResponse) -> str:
    """Where the template is run in a browser."""
    return urljoin(client.transport.server_url, f"/templates/{template.id}/")
