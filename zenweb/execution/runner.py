"""Runs one attempt of one step: inputs in, user code, outputs out; tells each thing as an event."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from zenweb.artifacts import materializers
from zenweb.artifacts.unmaterialized_artifact import UnmaterializedArtifact
from zenweb.config.files import FILES
from zenweb.config.json_values import typed_value
from zenweb.config.parameters import parameter_adapters
from zenweb.config.script_modules import about_name_error, told_left_out
from zenweb.config.signatures import declared_outputs, declared_parameters
from zenweb.exceptions import AuthoringError, FileNotUsable, ParameterError, ZenWebError
from zenweb.execution import context
from zenweb.execution.files import AttemptFiles
from zenweb.execution.hooks import Hooks
from zenweb.execution.protocol import (
    Assignment,
    Completed,
    Event,
    Failed,
    InputArtifact,
    Loading,
    OutputSaved,
    Started,
    StepException,
    StoredArtifact,
)
from zenweb.execution.refusals import refusal_of
from zenweb.execution.saving import store_value
from zenweb.steps import Step

MESSAGE_LIMIT = 2_000
PARAMETER_LIMIT = 200
TRACEBACK_LIMIT = 50_000
Emit = Callable[[Event], None]


@dataclass(frozen=True)
class Anatomy:
    """What a step's signature says, read once: reading it takes longer than most of what an attempt does."""

    adapters: dict[str, TypeAdapter[Any]]
    hints: dict[str, Any]
    outputs: dict[str, Any]


@cache
def _anatomy(function: Callable[..., Any]) -> Anatomy:
    return Anatomy(
        adapters=parameter_adapters(function),
        hints={name: declared.hint for name, declared in declared_parameters(function).items()},
        outputs={output.name: output.hint for output in declared_outputs(function)},
    )


def prepare_steps(code_root: str) -> None:
    """Read the signatures of all steps that were imported from this folder, before anybody waits for one."""
    files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
    ours = [sys.modules[name] for name, file in files.items() if file.startswith(code_root)]
    for step in [value for module in ours for value in vars(module).values() if isinstance(value, Step)]:
        with suppress(ZenWebError):  # said by the attempt that runs it
            _anatomy(step.entrypoint)


def run_attempt(
    step: Step[..., Any], assignment: Assignment, emit: Emit, *, is_timed: bool = True
) -> BaseException | None:
    """Run the step and its hook.

    Emits `loading` if it has inputs, `started`, an `output` each, then `completed` or `failed`.

    What the step raised is returned, not raised: it is a result like any other. `is_timed`: somebody ends this
    process when the step's time is up.
    """
    try:
        hooks = Hooks.of(assignment, is_timed)
    except Exception as error:  # noqa: BLE001  # its module may raise anything
        emit(Failed(exception=describe(error)))
        return error
    owner = os.getpid()
    with context.running(assignment, emit) as running:
        try:
            saved = _run(step, assignment, emit)
            _leave_to(owner)
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is recorded
            _leave_to(owner, error)
            failed = Failed(exception=describe(error))
            hooks.after_failure(error)
            emit(failed)
            return error
        hooks.after_success()
        for name, artifact in saved.items():
            emit(OutputSaved(name=name, artifact=_noted(artifact, running.notes.outputs.get(name, {}))))
    emit(Completed())
    return None


def _run(step: Step[..., Any], assignment: Assignment, emit: Emit) -> dict[str, StoredArtifact]:
    if assignment.inputs or assignment.collected or assignment.files:
        emit(Loading())
    arguments = _arguments(step, assignment)
    emit(Started())
    if told := told_left_out():
        print(told, end="", file=sys.stderr, flush=True)  # noqa: T201  # into the step's log
    result = step.entrypoint(**arguments)
    return {name: _save(assignment, step, name, value) for name, value in _outputs(assignment, result)}


def _leave_to(owner: int, error: BaseException | None = None) -> None:
    """End a copy of this process that user code made: only the one that was given the attempt tells how that ended."""
    if os.getpid() == owner:
        return
    code = 1 if error else 0
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        traceback.print_exception(error)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(code & 0xFF)


def describe(error: BaseException) -> StepException:
    """An exception as text, its traceback without the frames that are ZenWeb's own."""
    advice = about_name_error(error)
    if advice:
        error.add_note(advice)
    trace = "".join(traceback.format_exception(type(error), error, _own_frames_skipped(error.__traceback__)))
    return StepException(
        type=type(error).__qualname__,
        message=_shortened(f"{_message(error)}. {advice}" if advice else _message(error), MESSAGE_LIMIT),
        traceback=trace[-TRACEBACK_LIMIT:],
        parameter=str(error.parameter)[:PARAMETER_LIMIT] if isinstance(error, ParameterError) else "",
    )


def _message(error: BaseException) -> str:
    try:
        said = str(error)
    except Exception:  # noqa: BLE001  # the error's own code, which may raise anything
        return "<exception str() failed>"  # as Python's tracebacks say it
    return said or type(error).__name__


def _arguments(step: Step[..., Any], assignment: Assignment) -> dict[str, Any]:
    anatomy = _anatomy(step.entrypoint)
    given = {FILES: AttemptFiles(assignment.files)}
    parameters = {
        name: _value(name, anatomy.adapters[name], value, given)
        for name, value in assignment.parameters.items()
    }
    inputs = {name: _load(anatomy.hints[name], given) for name, given in assignment.inputs.items()}
    collected = {
        name: [_load(_member_of(anatomy.hints[name]), each) for each in given]
        for name, given in assignment.collected.items()
    }
    return parameters | inputs | collected


def _member_of(hint: Any) -> Any:
    return next(iter(get_args(hint)), Any)


def _value(name: str, adapter: TypeAdapter[Any], value: Any, given: dict[str, Any]) -> Any:
    try:
        return typed_value(adapter, value, given)
    except FileNotUsable as error:
        raise FileNotUsable(f"Parameter {name!r}: {error}") from error
    except ValidationError as error:
        refused = refusal_of(name, value, error)
    raise refused


def _load(hint: Any, given: InputArtifact) -> Any:
    if hint is UnmaterializedArtifact:
        return given.unloaded()
    value = materializers.load(given.uri, given.materializer)
    return value if given.element is None else value[given.element]


def _outputs(assignment: Assignment, result: Any) -> Sequence[tuple[str, Any]]:
    names = [output.name for output in assignment.outputs]
    if len(names) <= 1:
        return [(name, result) for name in names]
    if not isinstance(result, tuple | list) or len(result) != len(names):
        found = (
            f"{len(result)} values" if isinstance(result, tuple | list) else f"one {type(result).__name__}"
        )
        raise AuthoringError(
            f"Step {assignment.step_name!r} declares {len(names)} outputs ({', '.join(names)}) but returned {found}."
        )
    return list(zip(names, result, strict=True))


def _save(assignment: Assignment, step: Step[..., Any], name: str, value: Any) -> StoredArtifact:
    hint = _anatomy(step.entrypoint).outputs.get(name)
    return store_value(value, hint, f"{assignment.artifact_uri}/{name}")


def _noted(artifact: StoredArtifact, values: dict[str, Any]) -> StoredArtifact:
    """With what user code noted about it, beside or instead of what its materializer has."""
    return artifact.model_copy(update={"metadata": {**artifact.metadata, **values}}) if values else artifact


def _own_frames_skipped(trace: TracebackType | None) -> TracebackType | None:
    while (
        trace is not None
        and trace.tb_frame.f_globals.get("__name__") == __name__
        and trace.tb_next is not None
    ):
        trace = trace.tb_next
    return trace


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
