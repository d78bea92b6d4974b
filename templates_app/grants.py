"""Who is what: roles are given on projects and run templates, and taken away."""

from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext

from templates_app.models import RunTemplate
from templates_app.permissions import check_may
from zenweb.accounts.actions import Action
from zenweb.accounts.audit import facts_of, record_audit
from zenweb.accounts.models import Project, RoleGrant, User
from zenweb.accounts.permissions import check_may_in_project
from zenweb.enums import GRANTABLE, AuditVerb, Role
from zenweb.exceptions import DoesNotExist, FieldError, ValidationFailed

MOST_GRANTS = 1000  # on one thing
GROUP_MARK = "group:"

Granted = Project | RunTemplate
Holder = User | Group


def grants_on(thing: Granted) -> "QuerySet[RoleGrant]":
    grants: QuerySet[RoleGrant] = RoleGrant.objects.with_relations().filter(**_on(thing))
    return grants


@transaction.atomic
def grant_role(*, actor: User, on: Granted, to: Holder, role: Role) -> RoleGrant:
    """Say what somebody is to it from now on, whatever they were. Raises ValidationFailed, NotAllowed."""
    check_may_grant(actor, on)
    if role not in GRANTABLE:
        raise ValidationFailed([FieldError("/role", gettext("To take a role away, delete what gave it."))])
    key = _on(on) | _to(to)
    former = RoleGrant.objects.select_for_update(of=("self",)).filter(**key).first()
    if former is None and grants_on(on).count() >= MOST_GRANTS:
        sentence = gettext("At most %(most)s roles can be given here: give them to groups.")
        raise ValidationFailed(sentence % {"most": MOST_GRANTS})
    before = facts_of(former) if former else None
    grant, _ = RoleGrant.objects.update_or_create(defaults={"role": role}, **key)
    verb = AuditVerb.CHANGE if former else AuditVerb.CREATE
    record_audit(actor=actor, verb=verb, thing=grant, before=before, after=facts_of(grant))
    return grant


@transaction.atomic
def revoke_role(*, actor: User, grant: RoleGrant) -> None:
    """Take a role away; what everybody is, and what was given elsewhere, stays."""
    check_may_grant(actor, grant.thing)
    record_audit(actor=actor, verb=AuditVerb.DELETE, thing=grant, before=facts_of(grant))
    grant.delete()


def check_may_grant(actor: User, on: Granted) -> None:
    """Whether somebody may see and change who is what to it."""
    if isinstance(on, RunTemplate):
        check_may(actor, Action.GRANT, on)
    else:
        check_may_in_project(actor, Action.MANAGE_PROJECT, on)


def find_holder(name: str) -> Holder:
    """The user or, with `group:` before the name, the group. Raises DoesNotExist."""
    if name.startswith(GROUP_MARK):
        group = Group.objects.filter(name=name.removeprefix(GROUP_MARK)).first()
        if group is None:
            sentence = gettext("There is no group %(name)r.")
            raise DoesNotExist(sentence % {"name": name.removeprefix(GROUP_MARK)})
        return group
    user = User.objects.filter(username=name, is_active=True).first()
    if user is None:
        sentence = gettext(
            "There is no account %(name)r. If you mean a group, write “group:” before its name."
        )
        raise DoesNotExist(sentence % {"name": name})
    return user


def _on(thing: Granted) -> dict[str, Any]:
    return {"template" if isinstance(thing, RunTemplate) else "project": thing}


def _to(holder: Holder) -> dict[str, Any]:
    return {"user" if isinstance(holder, User) else "group": holder}
