"""What the admin makes, changes and deletes, the audit tells like everything else."""

from typing import Any, cast

from django.contrib import admin
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from zenweb.accounts.audit import facts_of, record_audit, record_deletion
from zenweb.accounts.models import User
from zenweb.enums import AuditVerb


class AuditedAdmin(admin.ModelAdmin):
    """Django's; what it does to a row and the audit's event are one transaction."""

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        before = facts_of(type(obj)._base_manager.get(pk=obj.pk)) if change else None
        super().save_model(request, obj, form, change)
        record(request, AuditVerb.CHANGE if change else AuditVerb.CREATE, obj, before, facts_of(obj))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """What it belongs to and what it may do stand in tables of their own, such as a user's groups."""
        lists = [field.name for field in form.instance._meta.many_to_many if field.name in form.cleaned_data]
        before = _names_in(form.instance, lists)
        super().save_related(request, form, formsets, change)
        record(request, AuditVerb.CHANGE, form.instance, before, _names_in(form.instance, lists))

    @transaction.atomic
    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        record_deletion(actor=cast(User, request.user), thing=obj)
        super().delete_model(request, obj)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for obj in queryset:
            record_deletion(actor=cast(User, request.user), thing=obj)
        super().delete_queryset(request, queryset)


def record(
    request: HttpRequest,
    verb: AuditVerb,
    obj: Model,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Tell what whoever is signed in to the admin did."""
    record_audit(actor=cast(User, request.user), verb=verb, thing=obj, before=before, after=after)


def _names_in(obj: Model, lists: list[str]) -> dict[str, list[str]]:
    return {name: sorted(str(each) for each in getattr(obj, name).all()) for name in lists}
