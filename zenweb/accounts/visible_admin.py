"""The admin shows staff what they see elsewhere; administrators see all."""

from typing import Any, cast

from django.contrib import admin
from django.db.models import ForeignKey, Model, Q, QuerySet
from django.http import HttpRequest

from zenweb.accounts.models import User


class VisibleAdmin(admin.ModelAdmin):
    """Of models whose rows say who sees them. Django's permissions open the list, roles say what is in it."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        found = super().get_queryset(request)
        return found if _user(request).is_superuser else _visible(found, _user(request))


class VisibleFilter(admin.RelatedFieldListFilter):
    """Offers what whoever looks sees: the names of all others stand in no list."""

    def field_choices(
        self, field: ForeignKey, request: HttpRequest, model_admin: admin.ModelAdmin
    ) -> list[tuple[str, str]]:
        seen = _visible(cast(type[Model], field.related_model)._default_manager.all(), _user(request))
        ordering = self.field_admin_ordering(field, request, model_admin)
        found: list[tuple[str, str]] = field.get_choices(
            include_blank=False, ordering=ordering, limit_choices_to=Q(pk__in=seen.order_by().values("pk"))
        )
        return found


def _visible(rows: Any, user: User) -> QuerySet[Any]:
    seen: QuerySet[Any] = rows.visible_to(user)
    return seen


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)
