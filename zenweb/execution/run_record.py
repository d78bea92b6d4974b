"""A run without a server: the process that executes it is told what a server would tell, and keeps what happens."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from zenweb.artifacts import materializers
from zenweb.enums import ExecutionMode, ExecutionStatus
from zenweb.exceptions import ValidationFailed
from zenweb.execution.bundle_values import RunValues, StepValues
from zenweb.execution.masking import Mask, texts_in
from zenweb.execution.protocol import Assignment, GivenFile, InputArtifact

RECORD = "run.json"
LONGEST_WAIT = 86_400.0  # seconds before a step is tried again
NOT_STARTED = "It was not started."


@dataclass
class StepRecord:
    """What happened to one step."""

    values: StepValues
    id: UUID = field(default_factory=uuid4)
    status: ExecutionStatus = ExecutionStatus.INITIALIZING
    attempt: int = 0
    failures: int = 0
    seconds: float | None = None
    outputs: dict[str, InputArtifact] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    exception: dict[str, Any] | None = None
    log: str = ""
    began: float = 0.0

    @property
    def may_retry(self) -> bool:
        return self.failures < int((self.values.settings.get("retry") or {}).get("max_retries", 0))

    def wait(self) -> float:
        """Seconds before the next attempt."""
        retry = self.values.settings["retry"]
        wait = int(retry.get("delay") or 0) * int(retry.get("backoff") or 1) ** (self.failures - 1)
        return min(LONGEST_WAIT, float(wait))

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.values.spec.name,
            "status": self.status.value,
            "attempts": self.attempt,
            "seconds": self.seconds,
            "outputs": {
                name: output.model_dump(mode="json", include={"uri", "type", "data_type", "metadata"})
                for name, output in self.outputs.items()
            },
            "metadata": self.metadata,
            "exception": self.exception,
        }


class RunRecord:
    """Takes the reports of a run in this process. Of secrets it keeps nothing, except where steps give them out."""

    def __init__(self, values: RunValues, folder: Path, files: Mapping[UUID, GivenFile]) -> None:
        self.id = uuid4()
        self.values, self.folder = values, folder
        self.steps = {name: StepRecord(step) for name, step in values.steps.items()}
        self.metadata: dict[str, Any] = {}
        secrets = (step.parameters[name] for step in values.steps.values() for name in step.secret)
        self._mask = Mask(text for secret in secrets for text in texts_in(secret))
        self._files = {str(key): file for key, file in files.items()}
        self._is_stopped = False

    @property
    def status(self) -> ExecutionStatus:
        statuses = {step.status for step in self.steps.values()}
        if self._is_stopped:
            return ExecutionStatus.STOPPED
        return ExecutionStatus.FAILED if ExecutionStatus.FAILED in statuses else ExecutionStatus.COMPLETED

    def start_step(self, run_id: UUID, step_name: str) -> dict[str, Any]:
        step = self.steps[step_name]
        spec = step.values.spec
        if spec.artifacts:
            raise ValidationFailed(
                f"Step {step_name!r} gets a stored artifact ({', '.join(spec.artifacts)}), which only a server knows. "
                "Run this with one."
            )
        step.attempt += 1
        step.status, step.began = ExecutionStatus.RUNNING, time.monotonic()
        assignment = Assignment(
            run_id=self.id,
            run_name=self.values.run_name,
            pipeline_name=self.values.spec.name,
            step_run_id=step.id,
            step_name=step_name,
            attempt=step.attempt,
            source=spec.source,
            parameters=step.values.parameters,
            inputs={
                parameter: self.steps[source.step].outputs[source.output]
                for parameter, source in spec.inputs.items()
            },
            outputs=spec.outputs,
            artifact_uri=str(self.folder / step_name / str(step.attempt)),
            files=self._files,
            settings=step.values.settings,
            is_last=not step.may_retry,
        )
        return assignment.model_dump()

    def end_step(self, run_id: UUID, step_name: str, end: Mapping[str, Any]) -> float | None:
        step = self.steps[step_name]
        step.status, step.seconds = ExecutionStatus(end["status"]), time.monotonic() - step.began
        step.exception = self._mask.value(end.get("exception"))
        step.metadata = self._mask.value(end.get("step_metadata") or {})
        step.log += self._mask.text(end["log"])
        self.metadata |= self._mask.value(end.get("run_metadata") or {})
        named = {output.name: output.artifact_name for output in step.values.spec.outputs}
        for output in end.get("outputs") or ():
            told = {**output, "name": named[output["name"]], "metadata": self._mask.value(output["metadata"])}
            step.outputs[output["name"]] = InputArtifact(id=uuid4(), artifact_version="1", **told)
        if step.status is not ExecutionStatus.FAILED or not step.may_retry:
            return None
        step.failures += 1
        return step.wait()

    def report_progress(self, run_id: UUID, step_name: str, progress: Mapping[str, Any]) -> bool:
        self.steps[step_name].log += self._mask.text(progress["log"])
        return True

    def renew_lease(self, run_id: UUID) -> bool:
        return (
            self.status is ExecutionStatus.COMPLETED
            or self.values.execution_mode is ExecutionMode.CONTINUE_ON_FAILURE
        )

    def stop_run(self, run_id: UUID) -> None:
        self._is_stopped = True

    def download_file(self, artifact_version_id: UUID, target: Path) -> None:
        raise NotImplementedError("All files lie where this run can see them.")

    def close(self) -> None:
        """When nothing runs any more: close what was not started, and write all of it into the folder."""
        for step in self.steps.values():
            if not step.status.is_finished:
                step.status = ExecutionStatus.STOPPED
        for name, step in self.steps.items():
            if step.attempt:
                (self.folder / name).mkdir(parents=True, exist_ok=True)
                (self.folder / name / "log.txt").write_text(step.log, encoding="utf-8")
        text = json.dumps(self.as_json(), indent=2, ensure_ascii=False)
        (self.folder / RECORD).write_text(text + "\n", encoding="utf-8")

    def as_json(self) -> dict[str, Any]:
        """Without parameters, among which are secrets."""
        return {
            "id": str(self.id),
            "name": self.values.run_name,
            "pipeline": self.values.spec.name,
            "status": self.status.value,
            "folder": str(self.folder),
            "metadata": self.metadata,
            "steps": [step.as_json() for step in self.steps.values()],
        }


def taken(files: Mapping[UUID, Path], folder: Path) -> Iterator[tuple[UUID, GivenFile]]:
    """Files of this machine as what a run may be given: a copy of each, under the id that stands for it."""
    for key, path in files.items():
        uri = str(folder / "files" / str(key))
        saved = materializers.save(path, Path, uri)
        yield (
            key,
            GivenFile(
                uri=uri,
                materializer=saved.materializer,
                data_type=saved.data_type,
                type=saved.type,
                metadata=saved.metadata,
                id=key,
                name=path.name,
                artifact_version="1",
                file_name=path.name,
            ),
        )
