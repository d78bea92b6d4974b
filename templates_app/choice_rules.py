"""Which parameters are chosen among what a worker is told: a keyword of ours, of which JSON Schema knows nothing."""

from dataclasses import dataclass
from typing import Any

from zenweb.config.choices import LONGEST_CACHE, LONGEST_TIMEOUT


@dataclass(frozen=True)
class Rules:
    """What the keyword says: parameters that the choices depend on, and for how long an answer holds and may take."""

    depends_on: tuple[str, ...]
    cache: float
    timeout: float
    """Seconds, both."""

    @classmethod
    def read(cls, said: Any) -> "Rules":
        """Raises ValueError for what no SDK writes."""
        if not _are_rules(said):
            raise ValueError(f"{said!r} are no rules for choices")
        return cls(tuple(said["depends_on"]), float(said["cache"]), float(said["timeout"]))


class ChoiceRules:
    """`{"depends_on": ["region"], "cache": 60, "timeout": 10}`, as jsonschema-rs asks for it.

    What may be chosen is not known here: it is asked for when a run is launched.
    """

    def __init__(self, parent: Any, rules: Any, path: Any) -> None:
        self.rules = Rules.read(rules)

    def validate(self, instance: Any) -> None:
        """Any value may be one of those that are offered."""


def _are_rules(said: Any) -> bool:
    if not isinstance(said, dict) or said.keys() != {"depends_on", "cache", "timeout"}:
        return False
    names = said["depends_on"]
    return (
        isinstance(names, list)
        and all(isinstance(name, str) for name in names)
        and _is_within(said["cache"], 0, LONGEST_CACHE)
        and _is_within(said["timeout"], 0.001, LONGEST_TIMEOUT)
    )


def _is_within(number: Any, least: float, most: float) -> bool:
    return isinstance(number, int | float) and not isinstance(number, bool) and least <= number <= most
