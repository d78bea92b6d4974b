"""A run without a server: the process that executes it is told what a server would tell, and keeps what happens."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from zenweb.artifacts import materializers
from zenweb.config.spec import Condition
from zenweb.enums import ExecutionMode, ExecutionStatus
from zenweb.exceptions import ZenWebError
from zenweb.execution.bundle_values import RunValues, StepValues
from zenweb.execution.masking import Mask, texts_in
from zenweb.execution.protocol import Assignment, GivenFile, InputArtifact

RECORD = "run.json"
LONGEST_WAIT = 86_400.0  # seconds before a step is tried again
NOT_STARTED = "It was not started."
SKIPPED = "Skipped: what an earlier step returned says so."
MOST_ELEMENTS = 1000


class Undecidable(ZenWebError):
    """What a step gave out does not say how often another runs, or whether it does."""


@dataclass
class StepRecord:
    """What happened to one step, or to one of the runs of a mapped one."""

    values: StepValues
    element: int | None = None
    id: UUID = field(default_factory=uuid4)
    status: ExecutionStatus = ExecutionStatus.INITIALIZING
    reason: str = ""
    is_skipped: bool = False
    attempt: int = 0
    failures: int = 0
    seconds: float | None = None
    outputs: dict[str, InputArtifact] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    exception: dict[str, Any] | None = None
    log: str = ""
    began: float = 0.0
    elements: list["StepRecord"] | None = None
    """Of a mapped step, once it is known how many they are."""

    @property
    def name(self) -> str:
        name = self.values.spec.name
        return name if self.element is None else f"{name}-{self.element}"

    @property
    def parameters(self) -> dict[str, Any]:
        given = self.values.parameters
        if self.element is None:
            return given
        return {**given, **{name: given[name][self.element] for name in self.values.spec.mapped_parameters}}

    @property
    def may_retry(self) -> bool:
        return self.failures < int((self.values.settings.get("retry") or {}).get("max_retries", 0))

    def wait(self) -> float:
        """Seconds before the next attempt."""
        retry = self.values.settings["retry"]
        wait = int(retry.get("delay") or 0) * int(retry.get("backoff") or 1) ** (self.failures - 1)
        return min(LONGEST_WAIT, float(wait))

    def close(self, status: ExecutionStatus, reason: str = "") -> None:
        self.status, self.reason = status, reason

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "status": self.status.value,
            "reason": self.reason,
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
        """By name, those of mapped steps too once there are any."""
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

    def start_step(self, run_id: UUID, step_name: str) -> dict[str, Any] | None:
        """What the next attempt is given, of a mapped step that of its next run. None: there is nothing to run."""
        step = self._next_of(self.steps[step_name])
        if step is None:
            return None
        spec = step.values.spec
        step.attempt += 1
        step.status, step.began = ExecutionStatus.RUNNING, time.monotonic()
        inputs, collected = self._inputs(step)
        assignment = Assignment(
            run_id=self.id,
            run_name=self.values.run_name,
            pipeline_name=self.values.spec.name,
            step_run_id=step.id,
            step_name=step.name,
            attempt=step.attempt,
            source=spec.source,
            parameters=step.parameters,
            inputs=inputs,
            collected=collected,
            outputs=spec.outputs,
            artifact_uri=str(self.folder / step.name / str(step.attempt)),
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
        is_completed = (
            step.status is ExecutionStatus.COMPLETED
        )  # only then are there artifacts, as on a server
        for output in end.get("outputs") or () if is_completed else ():
            name = named.get(output["name"]) or output.get("artifact_name") or output["name"]
            told = {**output, "name": name, "metadata": self._mask.value(output["metadata"])}
            step.outputs[output["name"]] = InputArtifact(id=uuid4(), artifact_version="1", **told)
        if step.status is not ExecutionStatus.FAILED or not step.may_retry:
            return None
        step.status, step.failures = ExecutionStatus.RETRYING, step.failures + 1
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

    def _next_of(self, step: StepRecord) -> StepRecord | None:
        """The step itself or its next element, unless it is over."""
        if step.element is not None:
            return step
        if step.elements is None and not step.attempt:
            self._decide(step)
        if step.elements is not None and not step.status.is_finished:
            if left := [each for each in step.elements if not each.status.is_finished]:
                return left[0]
            self._end_mapped(step, step.elements)
        return None if step.status.is_finished else step

    def _decide(self, step: StepRecord) -> None:
        """Whether it runs, and how often."""
        spec = step.values.spec
        before = [self.steps[name] for name in spec.upstream]
        if any(each.status is not ExecutionStatus.COMPLETED and not each.is_skipped for each in before):
            step.close(ExecutionStatus.STOPPED, NOT_STARTED)
            return
        try:
            step.is_skipped = any(each.is_skipped and spec.needs(each.name) for each in before) or not all(
                map(self._holds, spec.conditions)
            )
            if step.is_skipped:
                step.close(ExecutionStatus.STOPPED, SKIPPED)
            elif spec.is_mapped:
                step.elements = [StepRecord(step.values, element) for element in range(self._count(step))]
                self.steps |= {each.name: each for each in step.elements}
        except Undecidable as error:
            step.close(ExecutionStatus.FAILED, str(error))
            step.exception = {"type": "Undecidable", "message": str(error), "traceback": ""}

    def _holds(self, condition: Condition) -> bool:
        value, expected = self._output(condition.step, condition.output).value, condition.value
        if value is None or (isinstance(expected, bool) and not isinstance(value, bool)):
            raise Undecidable(
                f"Its condition looks at what step {condition.step} returned, which does not say it."
            )
        is_same = value == expected and isinstance(value, bool) == isinstance(expected, bool)
        return is_same is not condition.is_negated

    def _count(self, step: StepRecord) -> int:
        lengths = dict(self._lengths(step))
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise Undecidable(f"It is mapped over lists that are not equally long: {told}.")
        count = next(iter(lengths.values()))
        if count > MOST_ELEMENTS:
            raise Undecidable(f"It would run {count} times, and a step may at most {MOST_ELEMENTS} times.")
        return count

    def _lengths(self, step: StepRecord) -> Iterator[tuple[str, int]]:
        for name in step.values.spec.mapped_parameters:
            yield name, len(step.values.parameters[name])
        for name, source in step.values.spec.inputs.items():
            if not source.is_mapped:
                continue
            given = self.steps[source.step]
            length = (
                len(given.elements)
                if given.elements is not None
                else self._output(source.step, source.output).length
            )
            if length is None:
                raise Undecidable(
                    f"It is mapped over what step {source.step} returned, and that is no list or tuple."
                )
            yield name, length

    def _output(self, step: str, output: str) -> InputArtifact:
        if (found := self.steps[step].outputs.get(output)) is None:
            raise Undecidable(f"It depends on the output {output!r} of step {step}, which is not there.")
        return found

    def _end_mapped(self, step: StepRecord, elements: Sequence[StepRecord]) -> None:
        failed = [each.name for each in elements if each.status is ExecutionStatus.FAILED]
        step.close(
            ExecutionStatus.FAILED if failed else ExecutionStatus.COMPLETED,
            f"{', '.join(failed)} failed." if failed else "",
        )
        step.seconds = sum(each.seconds or 0.0 for each in elements)

    def _inputs(self, step: StepRecord) -> tuple[dict[str, InputArtifact], dict[str, list[InputArtifact]]]:
        inputs, collected = dict[str, InputArtifact](), dict[str, list[InputArtifact]]()
        for name, source in step.values.spec.inputs.items():
            given = self.steps[source.step]
            if given.is_skipped:
                continue  # the function's own default takes its place
            if given.elements is None:
                element = step.element if source.is_mapped else None
                inputs[name] = given.outputs[source.output].model_copy(update={"element": element})
            elif source.is_mapped:
                inputs[name] = given.elements[step.element or 0].outputs[source.output]
            else:
                collected[name] = [each.outputs[source.output] for each in given.elements]
        return inputs, collected

    def close(self) -> None:
        """When nothing runs any more: close what was not started, and write all of it into the folder."""
        for step in self.steps.values():
            if any(each.status is ExecutionStatus.FAILED for each in step.elements or ()):
                self._end_mapped(step, step.elements or ())
            elif not step.status.is_finished:
                step.close(ExecutionStatus.STOPPED, NOT_STARTED)
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
