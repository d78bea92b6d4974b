"""A run configuration given on the command line: a YAML file, and single values over it."""

import functools
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import click

from zenweb.cli.names import PRESETS
from zenweb.exceptions import ValidationFailed
from zenweb.written_numbers import number_of

# Reading YAML takes a third of the time that a command takes to start: those that read none do without.

OPTIONS = (
    click.option(
        "--config",
        "config_path",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A run configuration in YAML.",
    ),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="PATH=VALUE",
        help="One value, such as trainer.learning-rate=0.1 or steps.trainer.enable_cache=false; may be given several "
        "times. @FILE uploads a file of this machine: loader.data=@orders.csv.",
    ),
    click.option(
        "--set-env",
        "secrets",
        multiple=True,
        metavar="PATH=VARIABLE",
        help="One text, taken from an environment variable: for secrets, which others would see on the command line.",
    ),
)
preset_option = click.option(
    "--preset",
    metavar="NAME",
    shell_complete=PRESETS,
    help="Start from the values of this preset, or of the last-good run.",
)


@dataclass(frozen=True)
class GivenValues:
    """What was typed for the configuration of a run."""

    config_path: Path | None = None
    settings: Sequence[str] = ()
    secrets: Sequence[str] = ()

    @property
    def has_short_names(self) -> bool:
        """Whether some are called as their flags are: whoever reads them has to know the flags."""
        return any(map(is_short, (*self.settings, *self.secrets)))

    def spelt_out(self, spell: Callable[[str], str]) -> Self:
        """With the paths that `spell` gives for the names of flags."""
        return type(self)(self.config_path, [*map(spell, self.settings)], [*map(spell, self.secrets)])

    def read(self) -> dict[str, Any]:
        return read_values(self.config_path, self.settings, self.secrets)


def takes_values(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a command that takes values for a run, which it gets together: as `given`."""

    @functools.wraps(function)
    def with_values(
        *args: Any,
        config_path: Path | None,
        settings: Sequence[str],
        secrets: Sequence[str],
        **others: Any,
    ) -> Any:
        return function(*args, given=GivenValues(config_path, settings, secrets), **others)

    return functools.reduce(lambda taking, option: option(taking), reversed(OPTIONS), with_values)


def read_values(
    config_path: Path | None, settings: Sequence[str], secrets: Sequence[str] = ()
) -> dict[str, Any]:
    """The file's values with the single ones over them, and those of environment variables over all."""
    configuration = _read(config_path) if config_path else {}
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals or not all(parts := _parts(path)):
            raise ValidationFailed(
                f"--set {setting}: write it as PATH=VALUE, such as steps.trainer.parameters.learning_rate=0.1."
            )
        _put(configuration, parts, _value(text), setting)
    for setting in secrets:
        path, equals, variable = setting.partition("=")
        if not equals or not all(parts := _parts(path)):
            raise ValidationFailed(
                f"--set-env {setting}: write it as PATH=VARIABLE, such as steps.trainer.parameters.key=TRAINER_KEY."
            )
        if variable not in os.environ:
            raise ValidationFailed(f"--set-env {setting}: there is no environment variable {variable}.")
        _put(configuration, parts, os.environ[variable], setting)
    return configuration


def _read(path: Path) -> dict[str, Any]:
    from zenweb.config.run_configuration import read_yaml  # noqa: PLC0415  # see above

    return read_yaml(path)


def is_short(setting: str) -> bool:
    """Whether it is a flag's name that stands there, such as trainer.rate, and not the path in a configuration."""
    from zenweb.config.run_configuration import PipelineRunConfiguration  # noqa: PLC0415  # see above

    return setting.partition("=")[0].partition(".")[0] not in PipelineRunConfiguration.model_fields


def _parts(path: str) -> list[str]:
    """The keys of a path; a step's name may hold points, a parameter's may not."""
    step, middle, parameter = path.removeprefix("steps.").partition(".parameters.")
    if path.startswith("steps.") and middle:
        return ["steps", step, "parameters", *parameter.split(".")]
    return path.split(".")


def _value(text: str) -> Any:
    """JSON where it is JSON (numbers, true, lists, "5" for the text 5), @ and a file, else the text as it stands."""
    if text.startswith("@"):
        from zenweb.local_files import LocalFile  # noqa: PLC0415  # see above

        return LocalFile.at(text[1:]).path
    try:
        return json.loads(text, parse_float=number_of)
    except ValueError:
        return text


def _put(configuration: dict[str, Any], path: Sequence[str], value: Any, setting: str) -> None:
    here = configuration
    for key in path[:-1]:
        if here.get(key) is None:
            here[key] = {}
        here = here[key]
        if not isinstance(here, dict):
            raise ValidationFailed(f"--set {setting}: {key} already has a value that has no parts.")
    here[path[-1]] = value
