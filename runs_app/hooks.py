"""The hooks that a run configuration names: each has to be in a module of the pipeline's own code."""

import uuid
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from templates_app.models import CodeArchive
from zenweb.config.code_archive import names_in
from zenweb.config.hooks import FAILURE, SUCCESS, hook_path
from zenweb.config.suggestions import did_you_mean
from zenweb.exceptions import FieldError

Configuration = dict[str, Any]


def find_errors(code_archive_id: uuid.UUID, configuration: Configuration) -> list[FieldError]:
    """What is wrong with the hooks of a configuration. Whoever may run a template may not have it call anything else.

    Nothing is imported here: whether the module has such a function, the step says before it begins.
    """
    errors = []
    for pointer, value in _named(configuration):
        try:
            module = hook_path(value).rpartition(".")[0]
        except ValueError as error:
            errors.append(FieldError(pointer, str(error)))
            continue
        known = _modules(code_archive_id)
        if module not in known:
            sentence = f"There is no module {module!r} in the pipeline's code.{did_you_mean(module, known)}"
            errors.append(FieldError(pointer, sentence))
    return errors


def without_hooks(configuration: Any) -> Any:
    """The configuration as far as it can be checked by who has not got the pipeline's code."""
    if not isinstance(configuration, dict):
        return configuration
    steps = configuration.get("steps")
    return {
        key: {name: without_hooks(step) for name, step in steps.items()}
        if key == "steps" and isinstance(steps, dict)
        else value
        for key, value in configuration.items()
        if key not in {FAILURE, SUCCESS}
    }


def with_paths(section: Configuration) -> Configuration:
    """A section whose hooks are `module.function`, however they were given."""
    return {key: hook_path(value) if key in {FAILURE, SUCCESS} else value for key, value in section.items()}


def _named(configuration: Configuration) -> Iterator[tuple[str, Any]]:
    places = [("", configuration)]
    steps = configuration.get("steps")
    if isinstance(steps, dict):
        places += [(f"/steps/{name}", step) for name, step in steps.items() if isinstance(step, dict)]
    for pointer, section in places:
        for key in (FAILURE, SUCCESS):
            if section.get(key) is not None:
                yield f"{pointer}/{key}", section[key]


@lru_cache(maxsize=64)
def _modules(archive_id: uuid.UUID) -> frozenset[str]:
    content = CodeArchive.objects.values_list("content", flat=True).get(pk=archive_id)
    names = [name.removesuffix(".py") for name in names_in(bytes(content)) if name.endswith(".py")]
    return frozenset(name.removesuffix("/__init__").replace("/", ".") for name in names)
