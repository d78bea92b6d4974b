"""`zenweb run-template run FILE --local`: a template file with its code, run on this machine without a server."""

import json
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from zenweb import connection
from zenweb.artifacts import store
from zenweb.cli.bundled_template import BundledTemplate
from zenweb.cli.exit_codes import ExitCode
from zenweb.cli.output import Output, show_json
from zenweb.config.file_references import clean_name
from zenweb.exceptions import ValidationFailed, ZenWebError
from zenweb.execution.bundle_run import GivenValues, unpacked
from zenweb.execution.bundle_values import RunValues
from zenweb.execution.protocol import InputArtifact
from zenweb.execution.run_record import RunRecord

LONGEST_GLANCE = 60  # characters of an output in a table
READABLE = {"json", "text", "markdown"}


def run_bundle(
    template: BundledTemplate,
    configuration: Mapping[str, Any],
    *,
    preset: str | None,
    into: Path | None,
    dry_run: bool,
    output: Output,
) -> None:
    """Run it, show how it ended, and end this program with the exit code that tells it."""
    given = GivenValues.of(configuration)
    folder = into.resolve() if into else None  # before the code makes another folder the current one
    if folder is not None:
        _check_is_empty(folder)
    _note_other_python(template, output)
    with unpacked(template.file) as code:
        values = code.values(given, preset=preset)
        if dry_run:
            _show_values(values, output)
            return
        if folder is None:
            folder = _own_folder(values.run_name)
        output.say(f"Run {values.run_name}, here and without a server: {folder}")
        with output.printing_beside():
            record = code.run(values, folder, given.files)
    _report(record, output)


def _check_is_empty(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()):
        raise ValidationFailed(f"The folder {folder} is not empty: name one that is, or a new one.")


def _own_folder(run_name: str) -> Path:
    """One that no other run has, wherever its name seems to lead."""
    name = f"{clean_name(run_name)}-{secrets.token_hex(4)}"
    return connection.config_folder().resolve() / "artifacts" / name


def _note_other_python(template: BundledTemplate, output: Output) -> None:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    pipeline = template.file.document.pipeline
    if pipeline and pipeline.python_version != here:
        output.say(f"Note: it was frozen with Python {pipeline.python_version}; this is {here}.")


def _report(record: RunRecord, output: Output) -> None:
    failed = {name: step.exception for name, step in record.steps.items() if step.exception}
    for name, exception in failed.items():
        if exception["traceback"]:
            click.secho(f"--- {name} failed", bold=True, err=True)
            click.secho(exception["traceback"].rstrip("\n"), dim=True, err=True)
    _show_steps(record, output)
    output.say(f"Run {record.values.run_name} {record.status}.")
    for name, exception in failed.items():
        click.echo(f"{name}: {exception['type']}: {exception['message']}", err=True)
    if output is Output.JSON:
        show_json(record.as_json())
    elif output is Output.ID:
        click.echo(str(record.id))
    if code := ExitCode.of_run(record.status):
        raise click.exceptions.Exit(code)


def _show_steps(record: RunRecord, output: Output) -> None:
    steps = [
        (name, step.status.value, "" if step.seconds is None else f"{step.seconds:.2f} s")
        for name, step in record.steps.items()
    ]
    output.show_table(("STEP", "STATUS", "DURATION"), steps, empty="It has no steps.")
    outputs = [
        (
            f"{name}.{artifact.artifact_name or key}",
            _glance(artifact),
            str(Path(artifact.uri).relative_to(record.folder)),
        )
        for name, step in record.steps.items()
        for key, artifact in step.outputs.items()
    ]
    if outputs:
        output.say()
        output.show_table(("OUTPUT", "VALUE", "THERE"), outputs, empty="")
        output.say()


def _glance(artifact: InputArtifact) -> str:
    """The beginning of the value where it can be read, else what it is."""
    kind = artifact.data_type.rpartition(".")[2]
    if not artifact.preview or artifact.preview["kind"] not in READABLE:
        return kind
    try:
        text = store.read_bytes(store.join(artifact.uri, artifact.preview["file"])).decode("utf-8", "replace")
    except ZenWebError:
        return kind
    words = " ".join(text.split())
    return words if len(words) <= LONGEST_GLANCE else f"{words[: LONGEST_GLANCE - 1]}…"


def _show_values(values: RunValues, output: Output) -> None:
    told = {name: step.shown for name, step in values.steps.items()}
    if not output.is_for_people:
        show_json({"run_name": values.run_name, "steps": told})
        return
    rows = [
        (
            name,
            ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in parameters.items()),
        )
        for name, parameters in told.items()
    ]
    output.show_table(("STEP", "PARAMETERS"), rows, empty="It has no steps.")
    output.say("Nothing was started.")
