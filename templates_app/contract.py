"""What a template promises to whoever calls it, and what a newer version of it takes back."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from templates_app.curated_schema import is_required, parameters_of, path_of_key
from templates_app.schema_narrowing import EACH, Narrowing, narrowings
from templates_app.schema_places import holds_secret, is_same
from zenweb.pointers import pointer_to

LONGEST_VALUE = 100  # characters of a default that is told


@dataclass(frozen=True)
class Contract:
    """What a version may be given, as its owner shaped it, and what it runs."""

    config_schema: dict[str, Any]
    spec: Mapping[str, Any]

    @property
    def outputs(self) -> dict[tuple[str, str], str]:
        """The type of each, by step and name."""
        return {
            (step["name"], output["name"]): str(output.get("type", "")).removeprefix("builtins.")
            for step in self.spec.get("steps", ())
            for output in step.get("outputs", ())
        }


@dataclass(frozen=True)
class ContractChange:
    """Something that is another way now; `breaks`: what was right before may be refused, or missed, by it."""

    path: tuple[str, ...]
    sentence: str
    breaks: bool

    @property
    def pointer(self) -> str:
        return pointer_to(self.path)

    @property
    def place(self) -> str:
        """`trainer.learning_rate`, as people call it."""
        match self.path:
            case ("steps", step):
                return step
            case ("steps", step, "parameters" | "outputs", name, *rest):
                return ".".join([step, name, *rest])
            case ("parameters", name, *rest):
                return ".".join([name, *rest])
        return ".".join(self.path)


def contract_changes(before: Contract, now: Contract) -> list[ContractChange]:
    """What is narrower or gone comes first, what is only told after it. Nothing is said of what stays or is wider."""
    found = [
        *_narrowed(before, now),
        *_asked_for_by_new_steps(before, now),
        *_outputs(before, now),
        *_other_defaults(before, now),
        *_new_parameters(before, now),
    ]
    return sorted(found, key=lambda change: not change.breaks)


def _narrowed(before: Contract, now: Contract) -> Iterator[ContractChange]:
    for found in narrowings(before.config_schema, now.config_schema):
        yield ContractChange(found.path, _worded(found), True)


def _worded(found: Narrowing) -> str:
    match found.path:
        case ("steps", _) if found.is_gone:
            return gettext("This step is gone.")
        case (*_, last) if last == EACH:
            return gettext("Each: %(sentence)s") % {"sentence": found.sentence}
    return found.sentence


def _asked_for_by_new_steps(before: Contract, now: Contract) -> Iterator[ContractChange]:
    """The schema lets one leave out a step, and then its required parameters are missed all the same."""
    known = {step for step, _ in parameters_of(before.config_schema)} | _steps(before)
    for step, name in parameters_of(now.config_schema):
        if step not in known and is_required(now.config_schema, (step, name)):
            sentence = gettext("It has to be given now, and was not there before.")
            yield ContractChange(path_of_key((step, name)), sentence, True)


def _steps(contract: Contract) -> set[str]:
    return {step["name"] for step in contract.spec.get("steps", ())}


def _outputs(before: Contract, now: Contract) -> Iterator[ContractChange]:
    there = now.outputs
    for (step, name), kind in before.outputs.items():
        path = ("steps", step, "outputs", name)
        if (step, name) not in there:
            yield ContractChange(path, gettext("This output is gone."), True)
        elif there[step, name] != kind:
            sentence = gettext("This output is of the type %(now)s now (before: %(before)s).")
            yield ContractChange(path, sentence % {"now": there[step, name], "before": kind}, False)


def _other_defaults(before: Contract, now: Contract) -> Iterator[ContractChange]:
    former = parameters_of(before.config_schema)
    for key, schema in parameters_of(now.config_schema).items():
        old = former.get(key)
        if old is None or "default" not in old or "default" not in schema:
            continue
        if not is_same(old["default"], schema["default"]) and not holds_secret([schema], now.config_schema):
            told = {"now": _shown(schema["default"]), "before": _shown(old["default"])}
            sentence = gettext("It starts from %(now)s now (before: %(before)s).") % told
            yield ContractChange(path_of_key(key), sentence, False)


def _new_parameters(before: Contract, now: Contract) -> Iterator[ContractChange]:
    former = parameters_of(before.config_schema)
    for key in parameters_of(now.config_schema):
        if key not in former and not is_required(now.config_schema, key):
            sentence = gettext("This parameter is new, and may be left out.")
            yield ContractChange(path_of_key(key), sentence, False)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
