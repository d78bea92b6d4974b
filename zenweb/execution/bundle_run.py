"""Runs a template file with its code on this machine, without a server."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from zenweb import connection
from zenweb.artifacts import store
from zenweb.config import zenml_alias
from zenweb.config.code_archive import discard, unpack
from zenweb.config.importing import importing_for_execution
from zenweb.config.requirements import missing_here
from zenweb.config.run_configuration import wire_configuration
from zenweb.config.source import import_source
from zenweb.config.spec import PipelineSpec
from zenweb.config.template_file import TemplateDocument, frozen_spec
from zenweb.config.template_folder import TemplateFile
from zenweb.exceptions import RequirementsMissing, RunStopped, ValidationFailed
from zenweb.execution.bundle_values import RunValues, values_of
from zenweb.execution.local_run import execute_local_run
from zenweb.execution.run_record import RunRecord, taken
from zenweb.local_files import paths_in, with_references
from zenweb.pipelines import Pipeline


@dataclass(frozen=True)
class TakenFile:
    """A file of this machine, and the id that stands for it among values."""

    path: Path
    id: UUID = field(default_factory=uuid4)


@dataclass(frozen=True)
class GivenValues:
    """A configuration as JSON, with the files of this machine that it refers to."""

    configuration: dict[str, Any]
    files: Sequence[TakenFile]

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> "GivenValues":
        files = {path: TakenFile(path.resolve()) for path in paths_in(configuration)}
        return cls(wire_configuration(with_references(configuration, files)), list(files.values()))


@dataclass(frozen=True)
class UnpackedTemplate:
    """A template whose code can be imported, for as long as it is unpacked."""

    document: TemplateDocument
    spec: PipelineSpec

    def values(self, given: GivenValues, *, preset: str | None = None) -> RunValues:
        """What it would run with. Raises ValidationFailed with all that is wrong."""
        with importing_for_execution():
            return values_of(self.document, self.spec, given.configuration, preset=preset)

    def run(self, values: RunValues, folder: Path, files: Sequence[TakenFile]) -> RunRecord:
        """Run its steps here, one after the other; `folder` gets what they give out. Ctrl-C stops the run."""
        folder.mkdir(parents=True, exist_ok=True)
        record = RunRecord(values, folder, dict(taken({file.id: file.path for file in files}, folder)))
        with (
            connection.cut_off(),
            suppress(KeyboardInterrupt, RunStopped),
        ):  # the record says that it was stopped
            execute_local_run(record, record.id, values.spec, str(folder))
        record.close()
        return record


@contextmanager
def unpacked(file: TemplateFile) -> Iterator[UnpackedTemplate]:
    """While it lasts, its code lies in a folder, can be imported, and its files seem to be in the current folder.

    For a process of its own: what was imported stays imported, also under ZenML's names if the code uses these.
    Raises RequirementsMissing, and RealZenMLInstalled for such code where it would get the other one.
    """
    pipeline = file.document.pipeline
    if pipeline is None or file.code is None:
        raise ValidationFailed(f"{file.path} has no code to run.")
    if missing := missing_here(pipeline.requirements):
        raise RequirementsMissing.of(missing)
    spec, before = frozen_spec(pipeline), Path.cwd()
    with store.temporary_folder() as folder:
        code, home = folder / "code", folder / "home"
        unpack(file.code, code, sha256=pipeline.sha256)
        home.mkdir()
        for name in os.listdir(code):  # noqa: PTH208  # names
            (home / name).symlink_to(code / name)
        try:
            os.chdir(home)
            sys.path.insert(0, str(code))
            if spec.imports_zenml:
                zenml_alias.activate()
            with importing_for_execution():
                import_source(spec.source, Pipeline)
            yield UnpackedTemplate(file.document, spec)
        finally:
            with suppress(ValueError):  # user code may have taken it out
                sys.path.remove(str(code))
            os.chdir(before)
            discard(code)
