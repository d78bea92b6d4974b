"""What somebody is to projects and single templates, all at once: to name what they may see where it is looked for.

Queries that name it are several times as fast to make as those that ask for it within, and easier to plan.
"""

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.apps import apps
from django.db.models import UUIDField
from django.http import HttpRequest, HttpResponse

from zenweb.accounts.querysets import role_grants
from zenweb.enums import Role
from zenweb.prepared import Given, Prepared

if TYPE_CHECKING:
    from zenweb.accounts.models import User

MOST_NAMED = 500  # projects and templates
REMEMBERED = 1.0  # seconds, within one request that changes nothing
# One more than are named shows that there are too many.
OPEN_PROJECTS: Prepared[Any] = Prepared(
    lambda: (
        apps.get_model("accounts", "Project")
        .objects.filter(default_role__gt=Role.NOBODY)
        .only("default_role")[: MOST_NAMED + 1]
    )
)
GRANTS: Prepared[Any] = Prepared(
    lambda: (
        role_grants()
        .held_by(Given("user", UUIDField()))
        .only("project", "template", "role")[: MOST_NAMED + 1]
    )
)


@dataclass(frozen=True)
class Standing:
    """Roles by the ids of projects, and of the templates that they were given on."""

    projects: Mapping[UUID, int]
    templates: Mapping[UUID, int]

    def projects_with(self, least: Role) -> list[UUID]:
        return [project for project, role in self.projects.items() if role >= least]

    def templates_with(self, least: Role) -> list[UUID]:
        return [template for template, role in self.templates.items() if role >= least]


@dataclass
class _Known:
    """What was found out for one request."""

    at: float
    standings: dict[UUID, Standing | None]


_known: ContextVar[_Known | None] = ContextVar("standings", default=None)


def standing_of(user: "User") -> Standing | None:
    """Of somebody who is no administrator; None where it is too much to be named."""
    known = _known.get()
    if known is None:
        return _find(user)
    if time.monotonic() - known.at > REMEMBERED:  # whoever waited may have become somebody else meanwhile
        known.at, known.standings = time.monotonic(), {}
    if user.pk not in known.standings:
        known.standings[user.pk] = _find(user)
    return known.standings[user.pk]


def remember_standings(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: a request that changes nothing asks once what somebody is."""

    def answer(request: HttpRequest) -> HttpResponse:
        is_reading = request.method in {"GET", "HEAD"}
        token = _known.set(_Known(time.monotonic(), {}) if is_reading else None)
        try:
            return get_response(request)
        finally:
            _known.reset(token)

    return answer


def _find(user: "User") -> Standing | None:
    projects: dict[UUID, int] = {project.pk: project.default_role for project in OPEN_PROJECTS.ask()}
    templates = dict[UUID, int]()
    for grant in GRANTS.ask(user=user.pk):
        if grant.project_id:
            projects[grant.project_id] = max(grant.role, projects.get(grant.project_id, Role.NOBODY))
        else:
            templates[grant.template_id] = max(grant.role, templates.get(grant.template_id, Role.NOBODY))
    return Standing(projects, templates) if len(projects) + len(templates) <= MOST_NAMED else None
