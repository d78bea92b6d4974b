"""Roles in the admin, beside the project or run template that they are given on."""

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.translation import gettext

from templates_app.grants import MOST_GRANTS, Granted, check_may_grant, grant_role, revoke_role
from zenweb.accounts.audited_admin import AuditedAdmin
from zenweb.accounts.models import RoleGrant, User
from zenweb.enums import Role
from zenweb.exceptions import NotAllowed


class RoleGrantForm(forms.ModelForm):
    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if not self.errors and (given.get("user") is None) == (given.get("group") is None):
            self.add_error("user", gettext("Say which user, or which group."))
        return given


class RoleGrantFormSet(BaseInlineFormSet):
    def clean(self) -> None:
        super().clean()
        given = [form for form in self.forms if form.has_changed() or form.instance.pk]
        if len(given) - len(self.deleted_forms) > MOST_GRANTS:
            sentence = gettext("At most %(most)s roles can be given here: give them to groups.")
            raise forms.ValidationError(sentence % {"most": MOST_GRANTS})


class RoleGrantInline(admin.TabularInline):
    """For whoever may say who is what to it; nobody else is shown who is."""

    model = RoleGrant
    form = RoleGrantForm
    formset = RoleGrantFormSet
    fields = ("user", "group", "role")
    autocomplete_fields = ("user", "group")
    extra = 1

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None or may_grant(request, obj)  # None: whether there is a table at all

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_view_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_view_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_view_permission(request, obj)


class GrantingAdmin(AuditedAdmin):
    """Of what roles are given on: they are given and taken away as everywhere else."""

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        if formset.model is not RoleGrant:
            super().save_formset(request, form, formset, change)
            return
        actor = cast(User, request.user)
        formset.save(commit=False)
        moved = [row for row, fields in formset.changed_objects if {"user", "group"} & set(fields)]
        for former in RoleGrant.objects.filter(pk__in=[row.pk for row in [*formset.deleted_objects, *moved]]):
            revoke_role(actor=actor, grant=former)
        for row in [*(row for row, _ in formset.changed_objects), *formset.new_objects]:
            grant_role(actor=actor, on=formset.instance, to=row.user or row.group, role=Role(row.role))


def may_grant(request: HttpRequest, thing: Granted) -> bool:
    try:
        check_may_grant(cast(User, request.user), thing)
    except NotAllowed:
        return False
    return True
