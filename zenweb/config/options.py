"""The options of `@step` and `@pipeline`: the one list behind the decorators, `with_options` and `configure`."""

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypedDict

from zenweb.config import zenml_alias
from zenweb.config.suggestions import suggestion
from zenweb.exceptions import AuthoringError

if TYPE_CHECKING:  # pydantic must not load with the decorators
    from os import PathLike

    from zenweb.config.spec import StepRetry


logger = logging.getLogger(__name__)


class StepOptions(TypedDict, total=False):
    """What `@step`, `with_options` and `configure` of a step take."""

    name: str
    enable_cache: bool
    retry: "StepRetry | Mapping[str, int]"
    timeout: float | timedelta
    """Seconds."""
    queue: str
    priority: int
    process: str
    """`spawn`: each attempt in an interpreter of its own, instead of forked (`fork`) from one that has imported."""
    parameters: dict[str, Any]
    settings: dict[str, Any]
    """`{"resources": {"queue", "gpu_count", "cpu_count", "memory"}}`, as ZenML's ResourceSettings; nothing else yet."""
    extra: dict[str, Any]
    output_materializers: Any
    on_failure: "Callable[..., Any] | str"
    """Called with nothing or with the exception when the step has failed for good; or its `module.function`."""
    on_success: "Callable[..., Any] | str"


# Known to the step object only: a spec does not carry them, so that a step's process has them from its import.
PROCESS_OPTIONS = frozenset({"extra", "output_materializers"})


class PipelineOptions(TypedDict, total=False):
    """What `@pipeline`, `with_options` and `configure` of a pipeline take."""

    name: str
    enable_cache: bool
    retry: "StepRetry | Mapping[str, int]"
    """For the steps that have none of their own; so are `queue`, `priority` and the hooks."""
    queue: str
    priority: int
    on_failure: "Callable[..., Any] | str"
    on_success: "Callable[..., Any] | str"
    timeout: float | timedelta
    """Seconds that a whole run may take from the start of its first step."""
    execution_mode: str
    """What a failed step means for the others: continue_on_failure (default), stop_on_failure or fail_fast."""
    requirements: "Iterable[str] | str | PathLike[str]"
    """Packages beside ZenWeb that the steps need on workers; or a requirements file, seen from the code's folder."""
    tags: list[str]
    settings: dict[str, Any]
    run_name: str
    parameters: dict[str, Any]
    steps: dict[str, Any]
    """Per step: parameters, enable_cache, retry, timeout, queue, priority; as in a run configuration."""
    config_path: "str | PathLike[str]"
    """A run configuration in YAML; what is said in code as well, is taken from the code."""


# What ZenML has beside these. Code that says `zenml` is not to be edited, so it may say them; nothing comes of it.
ONLY_ZENMLS = frozenset(
    {
        *(
            "cache_policy",
            "enable_artifact_metadata",
            "enable_artifact_visualization",
            "enable_pipeline_logs",
        ),
        *("enable_step_logs", "environment", "experiment_tracker", "model", "secrets", "step_operator"),
        "substitutions",
    }
)


def checked_options(owner: str, known: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Those that count. One that does not exist is refused, naming the one that was probably meant."""
    names, kept = list(known.__annotations__), dict[str, Any]()
    for option, value in given.items():
        if option in names:
            kept[option] = value
        elif option in ONLY_ZENMLS and zenml_alias.is_active():
            logger.warning("%s, %s: accepted, no effect", owner, option)
        else:
            raise AuthoringError(f"{owner} has no option {option!r}.{suggestion(option, names)}")
    return kept


def merged(options: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The options with the changes laid over them; dicts are joined, anything else is replaced."""
    joined = {
        name: {**options[name], **value}
        for name, value in changes.items()
        if isinstance(value, dict) and isinstance(options.get(name), dict)
    }
    return {**options, **changes, **joined}
