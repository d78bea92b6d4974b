"""ZenWeb: freeze a Python pipeline as a run template and start it from a form, REST, Python or the command line."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zenweb.artifacts.artifact_config import ArtifactConfig
    from zenweb.artifacts.utils import load_artifact, save_artifact
    from zenweb.config.choices import Choices
    from zenweb.config.defaults import Default, last_successful, now, today, yesterday
    from zenweb.config.files import File
    from zenweb.exceptions import ParameterError
    from zenweb.execution.context import get_step_context
    from zenweb.metadata import log_metadata
    from zenweb.pipelines import pipeline
    from zenweb.steps import step, unmapped

__version__ = "0.1.0"
__all__ = [
    "ArtifactConfig",
    "Choices",
    "Default",
    "File",
    "ParameterError",
    "get_step_context",
    "last_successful",
    "load_artifact",
    "log_metadata",
    "now",
    "pipeline",
    "save_artifact",
    "step",
    "today",
    "unmapped",
    "yesterday",
]

# Loaded when first asked for: the server's own modules are in this package too and need none of them.
_HOMES = {
    "ArtifactConfig": "zenweb.artifacts.artifact_config",
    "Choices": "zenweb.config.choices",
    "Default": "zenweb.config.defaults",
    "File": "zenweb.config.files",
    "ParameterError": "zenweb.exceptions",
    "get_step_context": "zenweb.execution.context",
    "last_successful": "zenweb.config.defaults",
    "load_artifact": "zenweb.artifacts.utils",
    "log_metadata": "zenweb.metadata",
    "now": "zenweb.config.defaults",
    "pipeline": "zenweb.pipelines",
    "save_artifact": "zenweb.artifacts.utils",
    "step": "zenweb.steps",
    "today": "zenweb.config.defaults",
    "unmapped": "zenweb.steps",
    "yesterday": "zenweb.config.defaults",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
