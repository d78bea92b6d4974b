"""Hooks: functions that run after a step has failed or succeeded, and the `module.function` that names one."""

import inspect
import keyword
import sys
from collections.abc import Callable, Mapping
from typing import Any

from zenweb.config.source import importable_name
from zenweb.exceptions import AuthoringError

FAILURE, SUCCESS = "failure_hook_source", "success_hook_source"
HOOK_OPTIONS = {"on_failure": FAILURE, "on_success": SUCCESS}
"""What decorators call them, and what a configuration does."""
LONGEST_PATH = 500
_HOW = "name it as 'module.function', such as 'run.notify' for notify in run.py"


def hook_path(value: object) -> str:
    """`module.function` from that text, from ZenML's {module, attribute}, or from the function. Raises ValueError."""
    if callable(value):
        return path_of_function(value)
    path = value
    if isinstance(value, Mapping) and value.keys() >= {"module", "attribute"}:
        path = f"{value['module']}.{value['attribute']}"
    if not isinstance(path, str) or not is_path(path):
        raise ValueError(f"This names no hook: {_HOW}.")
    return path


def path_of_function(function: Callable[..., Any]) -> str:
    """The `module.function` by which a step's process finds it. Raises ValueError where it cannot."""
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    name = getattr(function, "__qualname__", "")
    if module is None or not name.isidentifier() or getattr(module, name, None) is not function:
        raise ValueError(
            f"{_name_of(function)!r} cannot be imported by the step's process: define it with `def` at the top level "
            "of a module, outside of functions and classes."
        )
    return f"{importable_name(module)}.{name}"


def is_path(path: str) -> bool:
    names = path.split(".")
    is_good = all(name.isidentifier() and not keyword.iskeyword(name) for name in names)
    return is_good and len(names) > 1 and len(path) <= LONGEST_PATH


def takes_exception(hook: Callable[..., Any]) -> bool:
    """Whether a failure hook is handed the exception: it has a place for one argument."""
    return any(
        parameter.kind in _POSITIONAL or parameter.kind is parameter.VAR_POSITIONAL
        for parameter in _parameters(hook)
    )


def check_hook(owner: str, option: str, hook: Callable[..., Any]) -> None:
    """Refuse a hook that could not be called. Raises AuthoringError."""
    required = [
        parameter
        for parameter in _parameters(hook)
        if parameter.default is parameter.empty and parameter.kind not in _VARIADIC
    ]
    most = 1 if option == "on_failure" else 0
    if len(required) > most or any(parameter.kind is parameter.KEYWORD_ONLY for parameter in required):
        may = "no argument or one, the exception" if most else "no argument"
        raise AuthoringError(f"{owner}: {option} takes a function of {may}; {_name_of(hook)!r} wants others.")


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _parameters(hook: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(hook).parameters.values())
    except (TypeError, ValueError):  # written in C without a signature
        return []


def _name_of(hook: Callable[..., Any]) -> str:
    return str(getattr(hook, "__name__", hook))
