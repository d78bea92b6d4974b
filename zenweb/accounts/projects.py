"""What is done with projects: they are made and changed."""

import re

from django.db import transaction
from django.utils.translation import gettext

from zenweb.accounts.actions import Action
from zenweb.accounts.audit import facts_of, record_audit
from zenweb.accounts.models import Project, User
from zenweb.accounts.permissions import check_is_administrator, check_may_in_project
from zenweb.entity import is_id
from zenweb.enums import AuditVerb, Role
from zenweb.exceptions import EntityExists, FieldError, ValidationFailed

NAME = re.compile(r"[\w-][\w .-]{0,199}")


@transaction.atomic
def create_project(
    *, actor: User, name: str, display_name: str = "", default_role: Role = Role.NOBODY
) -> Project:
    """A space of its own, in which nobody is anything unless it is said. Raises ValidationFailed, EntityExists."""
    check_is_administrator(actor)
    check_new_name(name)
    check_display_name(display_name)
    project = Project.objects.create(name=name, display_name=display_name or name, default_role=default_role)
    record_audit(actor=actor, verb=AuditVerb.CREATE, thing=project, after=facts_of(project))
    return project


@transaction.atomic
def update_project(
    *, actor: User, project: Project, display_name: str | None = None, default_role: Role | None = None
) -> Project:
    """Change what is given; None leaves a thing as it is. Its name stays: clients have it in their settings."""
    check_may_in_project(actor, Action.MANAGE_PROJECT, project)
    project = Project.objects.select_for_update().get(pk=project.pk)
    before = facts_of(project)
    if display_name is not None:
        check_display_name(display_name)
        project.display_name = display_name
    if default_role is not None:
        project.default_role = default_role
    project.save(update_fields=["display_name", "default_role", "updated"])
    record_audit(actor=actor, verb=AuditVerb.CHANGE, thing=project, before=before, after=facts_of(project))
    return project


def check_new_name(name: str) -> None:
    """Whether a project may be made that is called this. Raises ValidationFailed, EntityExists."""
    if not NAME.fullmatch(name) or is_id(name):
        sentence = gettext(
            "A project is called by 1 to 200 letters, digits, blanks, '_', '-' and '.', and by nothing like an id."
        )
        raise ValidationFailed([FieldError("/name", sentence)])
    if Project.objects.filter(name=name).exists():
        raise EntityExists(gettext("A project called %(name)r already exists.") % {"name": name})


def check_display_name(display_name: str) -> None:
    if len(display_name) > 200 or not (display_name.isprintable()):
        sentence = gettext("A project is shown with at most 200 characters on one line.")
        raise ValidationFailed([FieldError("/display_name", sentence)])
