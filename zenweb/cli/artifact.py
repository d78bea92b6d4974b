"""`zenweb artifact`: what runs have made, and files that were uploaded."""

import html
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import click
import httpx

from zenweb.cli.display import is_live, moment, show_facts
from zenweb.cli.names import ARTIFACTS, RUNS
from zenweb.cli.output import Output, output_option
from zenweb.cli.since import Since, asked_since
from zenweb.client import Client
from zenweb.config.file_references import clean_name, size_words
from zenweb.exceptions import DoesNotExist, ValidationFailed
from zenweb.responses import ArtifactVersionResponse

MOST_PREVIEW = 4000  # characters
MOST_LINES = 30
version_option = click.option(
    "--version",
    type=click.IntRange(min=1),
    metavar="N",
    help="This version of the artifact NAME, and not its newest.",
)


@click.group("artifact")
def command() -> None:
    """See and download what runs have made."""


@command.command("list")
@click.option("--search", metavar="TEXT", help="Only artifacts with this in their names.")
@click.option("--run", metavar="NAME", help="Only what this run has made.", shell_complete=RUNS)
@click.option("--mine", is_flag=True, help="Only what your runs have made and you have uploaded.")
@click.option("--since", type=Since(), help="Only what was made since: 30m, 12h, 7d ago, or 2026-05-31.")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="How many, the newest first.",
)
@output_option
def list_artifacts(
    search: str | None, run: str | None, mine: bool, since: Any, limit: int, output: Output
) -> None:
    """List versions of artifacts, the newest first."""
    client = Client()
    output.show_page(
        client.list_artifact_versions(
            search=search,
            pipeline_run=str(client.get_pipeline_run(run, hydrate=False).id) if run else None,
            user=client.transport.get("/current-user")["name"] if mine else None,
            created=asked_since(since),
            size=limit,
        ),
        ("NAME", "VERSION", "TYPE", "CREATED", "ID"),
        lambda version: (
            version.name,
            version.version,
            version.data_type.rpartition(".")[2],
            moment(version.created),
            str(version.id),
        ),
        empty="There is no such artifact.",
    )


@command.command("get")
@click.argument("name", shell_complete=ARTIFACTS)
@version_option
@output_option
def get(name: str, version: int | None, output: Output) -> None:
    """Show what is known of the artifact NAME (or of the version with this id), and a preview of it."""
    client = Client()
    found = client.get_artifact_version(name, version)
    output.show_entity(found, lambda: _show(client, found))


@command.command("download")
@click.argument("name", shell_complete=ARTIFACTS)
@version_option
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path),
    help="Where to: a file, or a folder that is there already. Without it: here, under its own name.",
)
@click.option("--zip", "keeps_zip", is_flag=True, help="Leave an archive of several files packed.")
@click.option("--force", is_flag=True, help="Write over what is there.")
def download(name: str, version: int | None, target: Path | None, keeps_zip: bool, force: bool) -> None:
    """Fetch the artifact NAME (or the version with this id): a file, or a folder where it is several files."""
    client = Client()
    found = client.get_artifact_version(name, version)
    with client.transport.opened(f"{found.path}/{found.id}/content") as response:
        is_folder = response.headers.get("Content-Type") == "application/zip" and not keeps_zip
        file_name = file_name_of(response.headers.get("Content-Disposition", ""))
        place = _place(target, file_name.removesuffix(".zip") if is_folder else file_name)
        if place.exists() and not force:
            raise ValidationFailed(f"{place} is there already: say another place with --to, or --force.")
        part = place.with_name(f".{place.name}.part")
        try:
            _receive(response, part)
            if is_folder:
                unpack(part, place)
            else:
                part.replace(place)
        finally:
            part.unlink(missing_ok=True)
    click.echo(str(place))


def file_name_of(disposition: str) -> str:
    """The name that the server says, and never a path."""
    if wide := re.search(r"filename\*=utf-8''([^;]+)", disposition, re.IGNORECASE):
        return clean_name(unquote(wide[1]))
    header = Message()
    header["Content-Disposition"] = disposition
    return clean_name(header.get_filename() or "")


def unpack(archive: Path, folder: Path, limit: int | None = None) -> None:
    """The files of an archive, all of them or none, in place of what was there; each below the folder.

    `limit`: how many bytes they may have; None: as many as there is room for.
    """
    beside = folder.with_name(f".{folder.name}.unpacked")
    _remove(beside)  # of a download that was killed
    try:
        _extract(archive, beside, shutil.disk_usage(folder.parent).free if limit is None else limit)
        _remove(folder)
        beside.rename(folder)
    finally:
        _remove(beside)


def _extract(archive: Path, folder: Path, limit: int) -> None:
    try:
        with zipfile.ZipFile(archive) as packed:
            for name in packed.namelist():
                if not (folder / name).resolve().is_relative_to(folder.resolve()):
                    raise ValidationFailed(
                        f"The archive has a file outside of itself, {name!r}: it was not unpacked."
                    )
            size = sum(entry.file_size for entry in packed.infolist())  # of each, no more than that is read
            if size > limit:
                raise ValidationFailed(
                    f"Unpacked it has {size_words(size)}, for which there is no room here. --zip keeps it packed."
                )
            folder.mkdir()
            packed.extractall(folder)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise ValidationFailed(f"What the server sent is no readable zip: {error}.") from error


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _place(target: Path | None, name: str) -> Path:
    if target is None:
        return Path(name)
    return target / name if target.is_dir() else target


def _receive(response: httpx.Response, target: Path) -> None:
    size = response.headers.get("Content-Length")
    with _progress(target.name, int(size) if size else None) as told, target.open("wb") as file:
        for piece in response.iter_bytes():
            file.write(piece)
            told(len(piece))


@contextmanager
def _progress(name: str, size: int | None) -> Iterator[Callable[[int], None]]:
    """What is to be told how many bytes came; a bar where somebody looks at it."""
    if not is_live(err=True):
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415  # which pipes and scripts need not wait for
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TransferSpeedColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(name.removeprefix(".").removesuffix(".part"), total=size)
        yield lambda number: progress.update(task, advance=number)


def _show(client: Client, version: ArtifactVersionResponse) -> None:
    file = version.body.get("file") or {}
    show_facts(
        [
            ("name", version.name),
            ("version", version.version),
            ("id", str(version.id)),
            ("type", version.data_type),
            ("file", f"{file['name']}, {size_words(file['size'])}" if file.get("size") is not None else ""),
            ("made by run", str(version.resources.get("producer_pipeline_run_id") or "")),
            ("created", moment(version.created)),
            ("place", version.uri),
        ]
    )
    if noted := {name: value for name, value in version.run_metadata.items() if value is not None}:
        click.echo()
        show_facts((name, str(value)) for name, value in noted.items())
    if preview := _preview(client, version):
        click.echo()
        click.echo(preview)


def _preview(client: Client, version: ArtifactVersionResponse) -> str:
    try:
        shown = client.transport.get(f"{version.path}/{version.id}/visualize")
    except DoesNotExist:
        return ""
    if shown["type"] == "image":
        return "It is an image: its run's page shows it."
    text = str(shown["value"])
    if text.startswith("<pre>"):  # text, as ZenML's clients take it
        text = html.unescape(text.removeprefix("<pre>").removesuffix("</pre>"))
    elif shown["type"] == "html":
        return "It is a page: its run's page shows it."
    lines = text[:MOST_PREVIEW].splitlines()
    return "\n".join(
        lines[:MOST_LINES] + (["…"] if len(text) > MOST_PREVIEW or len(lines) > MOST_LINES else [])
    )
