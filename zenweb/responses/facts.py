"""What the server tells that has no address of its own."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from zenweb.exceptions import FieldError, ValidationFailed


@dataclass(frozen=True)
class LogPiece:
    """Some of what an attempt of a step printed."""

    step: str
    attempt: int
    text: str


@dataclass(frozen=True)
class PlannedStep:
    """What a repair does with one step: run it again or keep its artifacts, and why."""

    name: str
    runs_again: bool
    reason: str


@dataclass(frozen=True)
class RepairPlan:
    """What a repair would do."""

    steps: list[PlannedStep]

    @property
    def again(self) -> list[str]:
        """The names of the steps that would run again."""
        return [step.name for step in self.steps if step.runs_again]

    @property
    def kept(self) -> list[str]:
        """The names of the steps whose artifacts would be kept."""
        return [step.name for step in self.steps if not step.runs_again]


@dataclass(frozen=True)
class Preflight:
    """What a run would come to, as things are now."""

    configuration: dict[str, Any]
    """What would run, with every default; a secret is shown as bullets."""
    cached: list[str]
    """The steps that would not run: their results are there already."""
    running: list[str]
    notes: dict[str, str]
    """By step, how often it runs or what decides whether it does, in a sentence; nothing of those that simply run."""
    expected_seconds: float | None
    """From how long the steps took before; None: they have not completed so far."""
    obstacles: list[str]
    """Why it would not start at once, in sentences."""
    runs_ahead: int
    differences: dict[str, tuple[Any, Any]]
    """By the parameter's path: its value in the last completed run, and now. None: there is none."""
    warnings: list[str]

    @classmethod
    def read(cls, answer: dict[str, Any]) -> "Preflight":
        expected = answer["expected_seconds"]
        environment = ["Its packages are installed first."] if answer["makes_environment"] else []
        return cls(
            configuration=answer["configuration"],
            cached=[step["name"] for step in answer["steps"] if step["from_cache"]],
            running=[step["name"] for step in answer["steps"] if not step["from_cache"]],
            notes={step["name"]: step["note"] for step in answer["steps"] if step.get("note")},
            expected_seconds=expected["typical"] if expected else None,
            obstacles=[*answer["obstacles"], *environment],
            runs_ahead=answer["runs_ahead"],
            differences={each["parameter"]: (each["before"], each["now"]) for each in answer["differences"]},
            warnings=answer["warnings"],
        )


@dataclass(frozen=True)
class Judgement:
    """What a configuration comes to that may be run."""

    configuration: dict[str, Any]
    """As of `Preflight`."""
    warnings: list[str]

    @classmethod
    def read(cls, answer: dict[str, Any]) -> "Judgement":
        """Raises ValidationFailed for a configuration that is refused."""
        if not answer["valid"]:
            raise ValidationFailed(
                [FieldError(each["pointer"], each["message"]) for each in answer["errors"]]
            )
        return cls(answer["configuration"], answer["warnings"])


@dataclass(frozen=True)
class RunEvent:
    """One line of a run's history, in words."""

    created: datetime
    step: str | None
    sentence: str
