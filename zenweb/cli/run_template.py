"""`zenweb run-template`: what can be run."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import click

from zenweb.cli.bundled_template import BundledTemplate
from zenweb.cli.display import moment, show_facts, show_table
from zenweb.cli.following import Waiting, may_wait
from zenweb.cli.names import PIPELINES, TEMPLATES
from zenweb.cli.output import Output, output_option, show_json
from zenweb.cli.run import tell_of_started
from zenweb.cli.template_command import LOCAL, TemplateCommand, TemplateFlags, flags_in, refused_by_flags
from zenweb.cli.template_files import apply, check, compare, export
from zenweb.cli.values import GivenValues, preset_option, takes_values
from zenweb.client import Client
from zenweb.config.run_configuration import read_yaml
from zenweb.config.yaml_text import read
from zenweb.enums import ConcurrencyPolicy
from zenweb.exceptions import ValidationFailed
from zenweb.responses import Preflight, RunTemplateResponse


@click.group("run-template")
def command() -> None:
    """List run templates, run and change them."""


@command.command("list")
@click.option("--pipeline", metavar="NAME", help="Only templates of this pipeline.", shell_complete=PIPELINES)
@click.option("--limit", type=click.IntRange(1, 10_000), default=1000, show_default=True, help="How many.")
@output_option
def list_run_templates(pipeline: str | None, limit: int, output: Output) -> None:
    """List the templates, the newest first."""
    client = Client()
    output.show_page(
        client.list_run_templates(pipeline=pipeline, size=limit),
        ("NAME", "PIPELINE", "VERSION", "RUNNABLE", "FORM"),
        lambda template: (
            template.name,
            template.pipeline.name,
            str(template.version),
            "yes" if template.is_runnable else "no",
            form_address(client, template),
        ),
        empty="There is no run template yet. Make one: zenweb pipeline create-run-template run.my_pipeline --name NAME",
    )


@command.command("describe")
@click.argument("name", shell_complete=TEMPLATES)
@output_option
def describe(name: str, output: Output) -> None:
    """Show the template NAME. What it asks for is shown by: zenweb run-template run NAME --help"""
    client = Client()
    template = client.get_run_template(name)
    output.show_facts(
        template,
        [
            ("name", template.name),
            ("id", str(template.id)),
            ("description", template.description),
            ("pipeline", template.pipeline.name),
            ("version", str(template.version)),
            ("runnable", "yes" if template.is_runnable else "no"),
            ("runs", _limit(template)),
            ("tags", ", ".join(template.tags)),
            ("latest run", str(template.latest_run_id or "")),
            ("created", moment(template.created)),
            ("form", form_address(client, template)),
        ],
    )


@command.command("delete")
@click.argument("name", shell_complete=TEMPLATES)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete(name: str, yes: bool) -> None:
    """Delete the template NAME with its versions and presets. The runs it made stay."""
    template = Client().get_run_template(name, hydrate=False)
    if not yes:
        click.confirm(f"Delete run template {template.name}?", abort=True)
    Client().delete_run_template(template.id)
    click.echo(f"Run template {template.name} is deleted.")


@command.command("run", cls=TemplateCommand, context_settings={"max_content_width": 120})
@click.argument("name", shell_complete=TEMPLATES)
@preset_option
@takes_values
@may_wait
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option(
    LOCAL, "is_local", is_flag=True, help="NAME is a bundle or template file: run it here, without a server."
)
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="With --local: where what the steps give out is kept, with their logs and run.json.",
)
@output_option
@click.pass_context
def run(
    ctx: click.Context,
    name: str,
    preset: str | None,
    given: GivenValues,
    waiting: Waiting,
    dry_run: bool,
    is_local: bool,
    into: Path | None,
    output: Output,
) -> None:
    """Run the template NAME. Values that are not given are the preset's, else as the template says.

    Each parameter has a flag; `zenweb run-template run NAME --help` shows them.
    """
    if is_local:
        waiting.check_ends_here()
        _run_here(ctx, name, preset, given, into, dry_run, output)
        return
    if into is not None:
        raise click.UsageError("--into is for --local; else see: zenweb artifact get")
    client = Client()
    flags = flags_in(ctx)
    if flags is None and given.has_short_names:
        flags = TemplateFlags(client.get_run_template(name), ())
    elsewhere = (given.spelt_out(flags.spelt_out) if flags else given).read()
    configuration = (
        flags.configuration(elsewhere, lambda: preset_values(client, name, preset)) if flags else elsewhere
    )
    try:
        if dry_run:
            ahead = client.trigger_pipeline(
                template_id=name, run_configuration=configuration, preset=preset, dry_run=True
            )
            show_preflight(ahead, output)
            return
        started = client.trigger_pipeline(template_id=name, run_configuration=configuration, preset=preset)
    except ValidationFailed as error:
        flags = flags or TemplateFlags(client.get_run_template(name), ())
        raise refused_by_flags(error, flags, elsewhere) from error
    tell_of_started(started, output, waiting)


def _run_here(
    ctx: click.Context,
    name: str,
    preset: str | None,
    given: GivenValues,
    into: Path | None,
    dry_run: bool,
    output: Output,
) -> None:
    from zenweb.cli.bundle import run_bundle  # noqa: PLC0415  # what runs steps is loaded only to run some

    template = BundledTemplate(name)
    flags = flags_in(ctx) or TemplateFlags(template, ())
    elsewhere = given.spelt_out(flags.spelt_out).read()
    configuration = flags.configuration(elsewhere, lambda: template.preset_values(preset))
    try:
        run_bundle(template, configuration, preset=preset, into=into, dry_run=dry_run, output=output)
    except ValidationFailed as error:
        raise refused_by_flags(error, flags, elsewhere) from error


def preset_values(client: Client, name: str, preset: str | None) -> dict[tuple[str, ...], Any]:
    """What the parameters of steps come to with a preset, over which a part of one is laid."""
    if preset is None:
        return {}
    template = client.get_run_template(name, hydrate=False)
    answer = client.transport.post(f"{template.path}/{template.id}/validate", {"preset": preset})
    return {
        ("steps", step, "parameters", parameter): value
        for step, section in ((answer["configuration"] or {}).get("steps") or {}).items()
        for parameter, value in (section.get("parameters") or {}).items()
        if isinstance(value, dict)
    }


@command.command("update")
@click.argument("name", shell_complete=TEMPLATES)
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
@click.argument("name", shell_complete=TEMPLATES)
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
command.add_command(check)
command.add_command(compare)


def show_preflight(ahead: Preflight, output: Output) -> None:
    if not output.is_for_people:
        show_json(asdict(ahead))
        return
    rows = [
        (name, "from the cache" if name in ahead.cached else "runs") for name in ahead.configuration["steps"]
    ]
    show_table(("STEP", "WOULD"), rows, empty="It has no steps.")
    for name, sentence in ahead.notes.items():
        click.echo(f"{name}: {sentence}")
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
