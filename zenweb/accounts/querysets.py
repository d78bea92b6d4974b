"""How projects and the roles in them are read."""

from typing import TYPE_CHECKING, Any, Self

from django.apps import apps
from django.db import models
from django.db.models import Q

from zenweb.enums import Role
from zenweb.prepared import Given

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from zenweb.accounts.models import User


def role_grants() -> "RoleGrantQuerySet":
    found: RoleGrantQuerySet = apps.get_model("accounts", "RoleGrant").objects.all()
    return found


class ProjectQuerySet(models.QuerySet[Any]):
    def with_role(self, user: "User", least: Role) -> Self:
        """Where the user is at least this; what was given on single templates does not count."""
        if user.is_superuser:
            return self
        granted = role_grants().held_by(user).filter(role__gte=least, project__isnull=False)
        return self.filter(Q(default_role__gte=least) | Q(pk__in=granted.values("project")))

    def visible_to(self, user: "User | AnonymousUser") -> Self:
        """Where the user is anybody, or may see a run template."""
        if not (user.is_authenticated and user.is_active):
            return self.none()
        templates = apps.get_model("templates_app", "RunTemplate").objects.visible_to(user)
        with_templates = Q(pk__in=templates.values("project"))
        if user.is_bound:
            return self.filter(with_templates)
        if user.is_superuser:
            return self
        own = self.model.objects.with_role(user, Role.VIEWER)
        return self.filter(Q(pk__in=own.values("pk")) | with_templates)


class RoleGrantQuerySet(models.QuerySet[Any]):
    def held_by(self, user: "User | Given") -> Self:
        """Given to the user (or to whose id is given), or to a group of theirs."""
        groups = apps.get_model("accounts", "User").groups.through.objects.filter(user=user)
        return self.filter(Q(user=user) | Q(group__in=groups.values("group")))

    def with_relations(self) -> Self:
        return self.select_related("user", "group", "project", "template")
