"""What a role lets one do: every check asks this table, and docs/permissions.md is made of it."""

from dataclasses import dataclass
from enum import Enum, StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from zenweb.enums import Role


class Scope(StrEnum):
    """On what one needs the role."""

    TEMPLATE = "template"
    PROJECT = "project"


@dataclass(frozen=True)
class Power:
    scope: Scope
    least: Role
    words: Promise
    """After "to"."""
    for_own: Role | None = None
    """The role that will do where it is about a thing of one's own."""


class Action(Enum):
    """What is done with a run template and what belongs to it, or in a project."""

    SEE = Power(
        Scope.TEMPLATE,
        Role.VIEWER,
        gettext_lazy("see a run template, its shared presets, its runs, their logs and their results"),
    )
    RUN = Power(
        Scope.TEMPLATE,
        Role.RUNNER,
        gettext_lazy(
            "run a run template, try values, upload files for it, and keep presets and schedules of it"
        ),
    )
    SEE_VALUES = Power(
        Scope.TEMPLATE,
        Role.RUNNER,
        gettext_lazy("see the values of a run or schedule, and run or repair it again with them"),
        for_own=Role.VIEWER,
    )
    MANAGE_RUNS = Power(
        Scope.TEMPLATE,
        Role.EDITOR,
        gettext_lazy("stop, tag, annotate or delete a run"),
        for_own=Role.VIEWER,
    )
    MANAGE_KEPT = Power(
        Scope.TEMPLATE,
        Role.EDITOR,
        gettext_lazy("change or delete a shared preset or a schedule"),
        for_own=Role.VIEWER,
    )
    EDIT = Power(
        Scope.TEMPLATE,
        Role.EDITOR,
        gettext_lazy("change a run template, its form and its versions"),
    )
    DELETE = Power(Scope.TEMPLATE, Role.OWNER, gettext_lazy("delete a run template"))
    GRANT = Power(
        Scope.TEMPLATE,
        Role.OWNER,
        gettext_lazy("say who may do what with a run template, and see what was done with it"),
    )
    AUTHOR = Power(
        Scope.PROJECT,
        Role.EDITOR,
        gettext_lazy("register pipelines, run them without a template, and make run templates of them"),
    )
    EDIT_PIPELINE = Power(
        Scope.PROJECT,
        Role.OWNER,
        gettext_lazy("change or delete a pipeline"),
        for_own=Role.EDITOR,
    )
    MANAGE_PROJECT = Power(
        Scope.PROJECT,
        Role.OWNER,
        gettext_lazy("change a project, and say who may do what in it"),
    )

    @property
    def least(self) -> Role:
        return self.value.least

    @property
    def words(self) -> str:
        return str(self.value.words)

    def is_for(self, role: Role, *, is_own: bool = False) -> bool:
        """Whether somebody of this role may do it; `is_own`: with a thing of their own."""
        least = self.value.for_own if is_own and self.value.for_own is not None else self.value.least
        return role >= least
