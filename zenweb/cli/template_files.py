"""`zenweb run-template export` and `apply`: templates as files under version control."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from zenweb.cli.display import counted, show_table
from zenweb.cli.names import TEMPLATES
from zenweb.cli.output import show_json
from zenweb.client import Client
from zenweb.config.template_bundle import bundle, is_bundle, write_bundle
from zenweb.config.template_file import TemplateDocument, write_template_file
from zenweb.config.template_folder import TemplateFile, code_path, read_template_files
from zenweb.exceptions import (
    CredentialsNotValid,
    NotConnected,
    ServerBusy,
    ServerUnreachable,
    ValidationFailed,
    ZenWebError,
)

# These would be said of each file, and no file is to blame.
NOT_OF_THE_FILE = (CredentialsNotValid, NotConnected, ServerBusy, ServerUnreachable)

LONGEST_VALUE = 300  # characters of one that a difference shows
SIGNS = {
    "created": ("+", "green"),
    "updated": ("~", "yellow"),
    "unchanged": ("=", ""),
    "pruned": ("-", "red"),
}
DONE = {"created": "created", "updated": "updated", "unchanged": "unchanged", "pruned": "deleted"}
TO_DO = {"created": "create", "updated": "update", "unchanged": "unchanged", "pruned": "delete"}


@click.command("export")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=TEMPLATES)
@click.option("--all", "is_all", is_flag=True, help="Every template that you see, hidden ones too.")
@click.option(
    "--output",
    "--into",
    "-o",
    "target",
    type=click.Path(path_type=Path),
    help="Into this file, whose comments and order stay where there is one; with .zip at its end, together with the "
    "code; or into this folder, a file for each.",
)
@click.option("--with-code", is_flag=True, help="Keep the code too, in the folder `code` beside the file.")
def export(names: tuple[str, ...], is_all: bool, target: Path | None, with_code: bool) -> None:
    """Say the templates NAME in YAML, to be kept under version control and applied here or elsewhere."""
    client = Client()
    if bool(names) == is_all:
        raise click.UsageError("Say which templates, or --all.")
    if target is None:
        if with_code or is_all or len(names) > 1:
            raise click.UsageError("Say where to: --output FILE, or --output FOLDER for several templates.")
        click.echo(write_template_file(client.export_run_template(names[0])), nl=False)
        return
    wanted = [template.name for template in _all_templates(client)] if is_all else list(names)
    is_folder = target.is_dir() or is_all or len(wanted) > 1
    for name in wanted:
        document = client.export_run_template(name)
        path = target / f"{document.name}.yaml" if is_folder else target
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(client, document, path, with_code)
        click.echo(f"{document.name}: {path}")


@click.command("apply")
@click.option(
    "--file",
    "-f",
    "paths",
    multiple=True,
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="A template file, a bundle, or a folder with such; may be given several times.",
)
@click.option(
    "--set-name",
    help="What these files are called together. The templates belong to that set from now on, for --prune.",
)
@click.option(
    "--prune",
    is_flag=True,
    help="Delete the templates of the set that none of the files says any more. Asks before it does.",
)
@click.option("--dry-run", is_flag=True, help="Only tell what would change.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def apply(paths: tuple[Path, ...], set_name: str | None, prune: bool, dry_run: bool, yes: bool) -> None:
    """Make templates what files say: create them, change them, give them a new version where that is needed.

    Each template is changed as a whole or not at all, and applying the same again changes nothing. Code comes from the
    server itself, from the bundle, or from the folder `code` beside the file.
    """
    if prune and not set_name:
        raise click.UsageError(
            "--prune deletes what is gone from a set of files: say which, with --set-name."
        )
    files = read_template_files(paths)
    if not files and not prune:
        raise click.UsageError(f"There is no template file in {', '.join(map(str, paths))}.")
    client = Client()
    failed = sum(not _applied(client, file, set_name, dry_run) for file in files)
    if failed:
        untouched = " Nothing was deleted, either." if prune else ""
        raise ValidationFailed(f"{failed} of {len(files)} templates could not be applied.{untouched}")
    if prune and set_name:
        _prune(client, set_name, {file.name for file in files}, dry_run=dry_run, asks=not yes)
    if dry_run:
        click.echo("Nothing was changed.")


def _applied(client: Client, file: TemplateFile, set_name: str | None, dry_run: bool) -> bool:
    """Apply a file and tell what became of it; False: it was refused, and that was told."""
    try:
        _bring_code(client, file, dry_run)
        answer = client.apply_run_template(file.document, managed_by=set_name, dry_run=dry_run)
    except NOT_OF_THE_FILE:
        raise
    except ZenWebError as error:
        told = file.told(error) if isinstance(error, ValidationFailed) else error
        click.secho(f"! {file.name}   refused", fg="red", err=True)
        for line in _lines(told):
            click.secho(f"    {line}", fg="red", err=True)
        return False
    tell_of_applied(answer, is_done=not dry_run)
    return True


def tell_of_applied(answer: dict[str, Any], *, is_done: bool) -> None:
    """What became of a template, or would: its differences, and what its new version breaks."""
    version = f"version {answer['version']}" if answer["is_new_version"] else ""
    tell(answer["outcome"], answer["name"], version, is_done=is_done)
    for change in answer["changes"]:
        show_change(change)
    for note in answer["notes"]:
        click.echo(f"    The form: {note}")
    if answer["comparison"]:
        show_comparison(answer["comparison"])


@click.command("compare")
@click.argument("name", shell_complete=TEMPLATES)
@click.option("--from", "before", type=int, help="The number of a version; usually the one before the other.")
@click.option("--to", "now", type=int, help="The number of another one; usually the newest.")
def compare(name: str, before: int | None, now: int | None) -> None:
    """Tell what a version of the template NAME takes no more, and whose values it refuses. Fails if there are any."""
    found = Client().compare_versions(name, before, now)
    if not found["changes"]:
        click.echo(f"Version {found['now']} takes all that version {found['before']} took.")
    show_comparison(found)
    if found["broken"]:
        raise click.exceptions.Exit(1)


@click.command("check")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=TEMPLATES)
@click.option("--all", "is_all", is_flag=True, help="Every template that you see, hidden ones too.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How it is told.",
)
def check(names: tuple[str, ...], is_all: bool, output: str) -> None:
    """Tell whether this server runs the templates NAME: before an upgrade and after it. Fails if it does not."""
    if bool(names) == is_all:
        raise click.UsageError("Say which templates, or --all.")
    client = Client()
    wanted = [template.name for template in _all_templates(client)] if is_all else list(names)
    reports = [client.check_run_template(name) for name in wanted]
    if output == "json":
        show_json(reports)
    else:
        rows = [
            (report["name"], str(report["version"]), finding["verdict"], finding["part"], finding["sentence"])
            for report in reports
            for finding in _worth_telling(report)
        ]
        show_table(("NAME", "VERSION", "VERDICT", "PART", "WHY"), rows, empty="There is no template yet.")
    if not all(report["runs"] for report in reports):
        raise click.exceptions.Exit(1)


def _worth_telling(report: dict[str, Any]) -> list[dict[str, Any]]:
    """All that is not well; of a template without that, that it is well."""
    found = [finding for finding in report["findings"] if finding["verdict"] != "ok"]
    return found or [{"verdict": "ok", "part": "", "sentence": ""}]


def show_comparison(found: dict[str, Any]) -> None:
    """What is narrower, what is another way, and whom that breaks."""
    for change in found["changes"]:
        words, color = ("Breaks", "red") if change["breaks"] else ("Note", "")
        place = f"{change['place']}: " if change["place"] else ""
        click.secho(f"    {words}  {place}{change['sentence']}", fg=color or None)
    for broken in found["broken"]:
        click.secho(f"    Broken  {_who(broken)}", fg="red")
        for error in broken["errors"]:
            click.echo(f"      {error['pointer']}: {error['message']}")


def _who(broken: dict[str, Any]) -> str:
    if broken["kind"] != "runs":
        return f"the {broken['kind']} {broken['name']!r} of {broken['user'] or 'nobody'}"
    runs = "1 recent run" if broken["count"] == 1 else f"{broken['count']} recent runs"
    return f"{runs} of {broken['user'] or 'nobody'} over {broken['channel']}, the last one {broken['name']}"


def _bring_code(client: Client, file: TemplateFile, dry_run: bool) -> None:
    """Upload what the server does not have. Of a dry run it is only looked for."""
    pipeline = file.document.pipeline
    if pipeline is None or client.has_code(pipeline.sha256):
        return
    code = file.code
    if code is None:
        beside = code_path(file.path, pipeline.sha256)
        raise ValidationFailed(
            f"The server has no code {pipeline.code[:19]}… that you may use, and there is none in {beside}. "
            "Export the template with its code: --output NAME.zip, or --with-code."
        )
    if not dry_run:
        client.upload_code(pipeline.sha256, code)


def _prune(client: Client, set_name: str, kept: set[str], *, dry_run: bool, asks: bool) -> None:
    gone = [t.name for t in _all_templates(client, managed_by=set_name) if t.name not in kept]
    for name in gone:
        tell("pruned", name, is_done=False)
    if not gone or dry_run:
        return
    if asks:
        click.confirm(f"Delete {counted(len(gone), 'run template')}? Their runs stay.", abort=True)
    for name in gone:
        client.delete_run_template(name)
        tell("pruned", name)


def _all_templates(client: Client, **filters: Any) -> Iterator[Any]:
    return client.list_run_templates(hidden=None, size=1000, sort_by="name", **filters).all()


def _write(client: Client, document: TemplateDocument, path: Path, with_code: bool) -> None:
    if is_bundle(path):
        if document.pipeline is None:  # of an export there always is one
            raise ValidationFailed(f"{document.name} says no pipeline.")
        path.write_bytes(write_bundle(bundle(document, client.download_code(document.pipeline.sha256))))
        return
    former = path.read_text(encoding="utf-8") if path.exists() else None
    path.write_text(write_template_file(document, over=former), encoding="utf-8")
    if with_code and document.pipeline is not None:
        beside = code_path(path, document.pipeline.sha256)
        beside.parent.mkdir(exist_ok=True)
        beside.write_bytes(client.download_code(document.pipeline.sha256))


def tell(outcome: str, name: str, more: str = "", *, is_done: bool = True) -> None:
    """One line: what becomes of a template."""
    sign, color = SIGNS[outcome]
    words = (DONE if is_done else TO_DO)[outcome]
    click.secho(f"{sign} {name}   {words}{', ' if more else ''}{more}", fg=color or None)


def show_change(change: dict[str, Any]) -> None:
    click.echo(f"    {change['pointer'].removeprefix('/')}")
    for key, sign, color in (("before", "-", "red"), ("now", "+", "green")):
        if key in change:
            for line in _shown(change[key]):
                click.secho(f"      {sign} {line}", fg=color)


def _shown(value: Any) -> Sequence[str]:
    """A text as it is, line by line; all else as JSON."""
    if isinstance(value, str) and value and len(value) <= LONGEST_VALUE and value.isprintable() is False:
        return value.splitlines()
    text = json.dumps(value, ensure_ascii=False)
    return [text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}… ({len(text):,} characters)"]


def _lines(error: ZenWebError) -> list[str]:
    if isinstance(error, ValidationFailed):
        return [str(field) for field in error.errors]
    return [str(error)]
