"""Flags of a run template, read from its schema: `--trainer.learning-rate`; and the configuration they make."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zenweb.cli.value_types import Kind, ValueType
from zenweb.cli.values import is_short
from zenweb.config.config_schema import humanised
from zenweb.config.json_schema import FORM_HINTS, SECTIONS
from zenweb.exceptions import FieldError

Path = tuple[str, ...]
DEEPEST = 5  # parts of parts that have flags of their own
MOST_FLAGS = 2000
PARAMETER = 4  # keys that lead to a step's parameter: steps, trainer, parameters, learning_rate
PIPELINE_PARAMETER = 2


@dataclass(frozen=True)
class Flag:
    """One value of a run, as it is typed."""

    path: Path
    """The keys that lead to it in a run configuration."""
    names: Sequence[str]
    """What may be typed, such as `--trainer.learning-rate`; the first is the usual one."""
    type: ValueType
    group: str
    """The heading in help that it stands under."""
    is_required: bool = False
    is_shown: bool = True
    """Locked and hidden ones are not in help."""

    @property
    def name(self) -> str:
        return self.names[0]

    @property
    def parameter(self) -> Path:
        """Where the whole is that it is a part of."""
        return self.path[: PARAMETER if self.path[0] == "steps" else PIPELINE_PARAMETER]

    @property
    def is_whole(self) -> bool:
        return self.path == self.parameter

    @property
    def is_repeatable(self) -> bool:
        return self.type.kind in {Kind.LIST, Kind.NAMES}

    @property
    def is_typed(self) -> bool:
        """It has a flag: no value that holds a secret besides others is typed, only the parts of it are."""
        return self.type.kind is Kind.SECRET or not self.type.holds_secret


def flags_of(config_schema: Mapping[str, Any], own: Collection[str] = ()) -> list[Flag]:
    """Every flag, in the order of the form. What is in `own` is taken: there the longer spellings are left."""
    found = [*_pipeline_flags(config_schema), *_step_flags(config_schema)][:MOST_FLAGS]
    taken, named = set(own), dict[Path, Flag]()
    for flag in sorted(found, key=lambda flag: len(flag.path)):  # what is whole goes before what is a part
        names = [name for name in flag.names if not set(spellings(name, flag)) & taken]
        if names:
            taken.update(spelt for name in names for spelt in spellings(name, flag))
            named[flag.path] = replace(flag, names=names)
    return _in_order([named[flag.path] for flag in found if flag.path in named], config_schema)


def spellings(name: str, flag: Flag) -> tuple[str, ...]:
    """What is typed for a name: of a switch, also its opposite."""
    return (name, f"--no-{name[2:]}") if flag.type.kind is Kind.SWITCH else (name,)


def spelt_out(flags: Iterable[Flag], setting: str) -> str:
    """Of `trainer.rate=0.1`: steps.trainer.parameters.rate=0.1, where that is the name of a flag."""
    name, equals, value = setting.partition("=")
    flag = next((flag for flag in flags if f"--{name}" in flag.names), None)
    return f"{'.'.join(flag.path)}{equals}{value}" if flag else setting


def own_spelt_out(parameters: Iterable[str], setting: str) -> str:
    """The same where only the names of a pipeline's own parameters are known: `n-models=3` is parameters.n_models=3."""
    name, equals, value = setting.partition("=")
    first, *parts = name.split(".")
    own = next((each for each in parameters if first in {each, _dashed(each)}), None)
    if own is None or not is_short(setting):
        return setting
    return f"{'.'.join(['parameters', own, *(part.replace('-', '_') for part in parts)])}{equals}{value}"


def configuration_with(
    configuration: Mapping[str, Any], given: Iterable[tuple[Flag, Any]], starts: Mapping[Path, Any]
) -> dict[str, Any]:
    """The configuration with these values in it; a part of a value is laid over the rest, as that `starts`."""
    made: dict[str, Any] = _copied(configuration)
    for flag, value in sorted(given, key=lambda each: len(each[0].path)):
        if not flag.is_whole and not isinstance(_found(made, flag.parameter), dict):
            _put(made, flag.parameter, _copied(starts.get(flag.parameter) or {}))
        _put(made, flag.path, value)
    return made


def defaults_of(flags: Iterable[Flag]) -> dict[Path, Any]:
    """What values start as whose parts are given alone."""
    return {
        flag.path: default
        for flag in flags
        if flag.is_whole and isinstance(default := flag.type.words.get("default"), dict)
    }


def named_by_flags(
    errors: Iterable[FieldError], flags: Sequence[Flag], elsewhere: Mapping[str, Any]
) -> list[FieldError]:
    """Errors with the flag in place of the pointer, but for what was given `elsewhere`: in a file, say."""
    return [_named(error, flags, elsewhere) for error in errors]


def _named(error: FieldError, flags: Sequence[Flag], elsewhere: Mapping[str, Any]) -> FieldError:
    path = tuple(key.replace("~1", "/").replace("~0", "~") for key in error.pointer.split("/")[1:])
    if _found(elsewhere, path) is not None:
        return error
    leading = [flag for flag in flags if flag.path == path[: len(flag.path)]]
    if not leading:
        return error
    flag = max(leading, key=lambda flag: len(flag.path))
    rest = "".join(f"[{key}]" if key.isdecimal() else f".{key}" for key in path[len(flag.path) :])
    return FieldError(f"{flag.name}{rest}", error.message)


def _pipeline_flags(config_schema: Mapping[str, Any]) -> Iterator[Flag]:
    section = _object(_object(config_schema.get("properties")).get("parameters"))
    for name, schema in _object(section.get("properties")).items():
        value = ValueType(_with_type(schema), config_schema)
        names = (f"--{_dashed(name)}", f"--{name}", f"--parameters.{_dashed(name)}", f"--parameters.{name}")
        yield from _with_parts(
            Flag(
                path=("parameters", name),
                names=_unique(names),
                type=value,
                group="The pipeline itself",
                is_required=name in section.get("required", ()),
                is_shown=_is_shown(schema),
            )
        )


def _step_flags(config_schema: Mapping[str, Any]) -> Iterator[Flag]:
    sections = _object(_object(_object(config_schema.get("properties")).get("steps")).get("properties"))
    for step, section in sections.items():
        parameters = _object(_object(section.get("properties")).get("parameters"))
        for name, schema in _object(parameters.get("properties")).items():
            yield from _with_parts(
                Flag(
                    path=("steps", step, "parameters", name),
                    names=_unique(
                        (
                            f"--{_dashed(step)}.{_dashed(name)}",
                            f"--{step}.{name}",
                            f"--{_dashed(step)}.{name}",
                            f"--steps.{step}.parameters.{name}",
                            f"--steps.{_dashed(step)}.parameters.{_dashed(name)}",
                        )
                    ),
                    type=ValueType(_object(schema), config_schema),
                    group=f"Step {step}",
                    is_required=name in parameters.get("required", ()),
                    is_shown=_is_shown(schema),
                )
            )


def _is_shown(schema: Any) -> bool:
    hints = _object(_object(schema).get(FORM_HINTS))
    return not (hints.get("hidden") or hints.get("locked"))


def _with_parts(flag: Flag, depth: int = 0) -> Iterator[Flag]:
    yield flag
    if depth == DEEPEST:
        return
    defaults = _object(flag.type.words.get("default"))
    for name, value in flag.type.members.items():
        own = {"default": defaults[name]} if name in defaults else {}
        member = ValueType({**value.schema, **own}, value.root)
        part = replace(
            flag,
            path=(*flag.path, name),
            names=_unique(f"{whole}.{each}" for whole in flag.names for each in (_dashed(name), name)),
            type=member,
            is_required=False,  # where the whole has a value, its parts have
        )
        yield from _with_parts(part, depth + 1)


def _in_order(flags: list[Flag], config_schema: Mapping[str, Any]) -> list[Flag]:
    """The pipeline's own, those of the form's sections under their titles, then by steps."""
    groups: dict[str, str] = {}
    for section in config_schema.get(SECTIONS, ()):
        groups |= dict.fromkeys(section.get("parameters", ()), str(section.get("title") or ""))
    order = {name: place for place, name in enumerate(groups)}
    steps = _object(_object(_object(config_schema.get("properties")).get("steps")).get("properties"))
    places = {step: place for place, step in enumerate(steps)}

    def key(flag: Flag) -> tuple[int, int]:
        if (name := _curated_name(flag)) in order:
            return (1, order[name])
        return (2, places[flag.path[1]]) if flag.path[0] == "steps" else (0, 0)

    return sorted(
        (replace(flag, group=groups.get(_curated_name(flag), flag.group)) for flag in flags), key=key
    )


def _curated_name(flag: Flag) -> str:
    """What a curation calls the parameter: `trainer.learning_rate`, or `days` where it is the pipeline's own."""
    _, owner, *rest = flag.parameter
    return f"{owner}.{rest[-1]}" if rest else owner


def _with_type(schema: Any) -> dict[str, Any]:
    """Of a parameter whose schema says no type, that of its default."""
    words = dict(_object(schema))
    if not words.keys() & {"type", "anyOf", "oneOf", "$ref", "enum", "const"}:
        match words.get("default"):
            case bool():
                words["type"] = "boolean"
            case int() | float():
                words["type"] = "number"
            case str():
                words["type"] = "string"
    return words


def _dashed(name: str) -> str:
    return re.sub(r"[\s_]+", "-", name)


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _put(configuration: dict[str, Any], path: Path, value: Any) -> None:
    here = configuration
    for key in path[:-1]:
        if not isinstance(here.get(key), dict):
            here[key] = {}
        here = here[key]
    here[path[-1]] = value


def _found(configuration: Any, path: Path) -> Any:
    here = configuration
    for key in path:
        here = here.get(key) if isinstance(here, dict) else None
    return here


def _copied(value: Any) -> Any:
    """Deep through objects, which are changed; lists are only read."""
    return {key: _copied(member) for key, member in value.items()} if isinstance(value, Mapping) else value


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def label_of(flag: Flag) -> str:
    """What its form calls it, where that is more than its name says."""
    title = str(flag.type.schema.get("title") or "")
    return "" if title.lower() == humanised(flag.path[-1]).lower() else title
