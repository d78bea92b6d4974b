"""Users, groups and keys in the admin."""

import json
from enum import StrEnum
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html

from zenweb.accounts.audit_export import export
from zenweb.accounts.audited_admin import AuditedAdmin, record
from zenweb.accounts.models import ApiKey, AuditEvent, AuditEventQuerySet, RoleGrant, User
from zenweb.accounts.read_only_admin import ReadOnlyAdmin, ReadOnlyInline
from zenweb.accounts.services import check_new_api_key, create_api_key, rotate_api_key, update_api_key
from zenweb.accounts.visible_admin import VisibleAdmin
from zenweb.enums import AuditChannel, AuditVerb, KeyAccess
from zenweb.exceptions import ZenWebError

admin.site.site_header = admin.site.site_title = "ZenWeb administration"
admin.site.index_title = "Manage"
COPY_NOW = "Copy the key now, it is not shown again: "
STANDING = ("is_staff", "is_superuser", "groups", "user_permissions")
"""What makes somebody more than they are."""
ENTRANCE = ("email", "is_active", "is_service_account")
"""What keeps somebody out of their account, or lets another into it; so does the password."""


class RoleGrantInline(ReadOnlyInline):
    """What was given to a user or group; it is given on the page of the project or run template."""

    model = RoleGrant
    fields = ("project", "template", "role")
    readonly_fields = fields
    show_change_link = False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser


@admin.register(User)
class ZenWebUserAdmin(AuditedAdmin, UserAdmin):
    list_display = ("username", "email", "is_service_account", "is_staff", "is_active", "last_login")
    list_filter = ("is_service_account", "is_staff", "is_superuser", "is_active", "groups")
    fieldsets = (
        *(UserAdmin.fieldsets or ()),
        ("Service account", {"fields": ("is_service_account", "description")}),
    )
    inlines = (RoleGrantInline,)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Who could change an administrator could become one."""
        is_above = obj is not None and obj.is_superuser and not request.user.is_superuser
        return super().has_change_permission(request, obj) and not is_above

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        is_above = obj is not None and obj.is_superuser and not request.user.is_superuser
        return super().has_delete_permission(request, obj) and not is_above

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        fields = tuple(super().get_readonly_fields(request, obj))
        if request.user.is_superuser:
            return fields
        is_another = obj is not None and obj.pk != request.user.pk
        return (*fields, *STANDING, *(ENTRANCE if is_another else ()))

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> list[tuple[Any, Any]]:
        """With the button that sets a password for those only who may."""
        found = super().get_fieldsets(request, obj)
        if obj is None or request.user.is_superuser:
            return list(found)
        return [
            (title, {**parts, "fields": [name for name in parts["fields"] if name != "password"]})
            for title, parts in found
        ]

    @transaction.atomic
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        """Django's page saves the password by itself. For administrators: one's own is changed on the account page."""
        if not request.user.is_superuser:
            raise PermissionDenied
        user = self.get_object(request, unquote(id))
        answer = super().user_change_password(request, id, form_url)
        changed = User.objects.filter(pk=user.pk).exclude(password=user.password).first() if user else None
        if changed is not None:
            record(request, AuditVerb.CHANGE_PASSWORD, changed)
        return answer


admin.site.unregister(Group)


@admin.register(Group)
class ZenWebGroupAdmin(AuditedAdmin, GroupAdmin):
    """Django's, told by the audit."""

    inlines = (RoleGrantInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Group | None = None) -> tuple[str, ...]:
        """Who could give a group permissions could have any: by the groups that they are in."""
        fields = tuple(super().get_readonly_fields(request, obj))
        return fields if request.user.is_superuser else (*fields, "permissions")


class NewApiKeyForm(ModelForm):
    """Refuses what the service refuses that makes the key."""

    actor: User

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                check_new_api_key(
                    self.actor,
                    cleaned["user"],
                    cleaned["name"],
                    cleaned["description"],
                    KeyAccess(cleaned["access"]),
                    list(cleaned["templates"]) or None,
                    cleaned["expires_at"],
                )
            except ZenWebError as error:
                raise ValidationError(str(error)) from error
        return cleaned


@admin.register(ApiKey)
class ApiKeyAdmin(VisibleAdmin, AuditedAdmin):
    """Keys are made, replaced and revoked here; what one may do stays as it was made."""

    fields = (
        "user",
        "name",
        "description",
        "access",
        "templates",
        "is_bound",
        "expires_at",
        "created",
        "last_used_at",
        "rotated_at",
        "former_until",
        "revoked_at",
    )
    list_display = (
        "name",
        "user",
        "access",
        "is_bound",
        "created",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    list_filter = ("access", "revoked_at", "expires_at")
    list_select_related = ("user",)
    search_fields = ("name", "user__username")
    autocomplete_fields = ("user", "templates")
    readonly_fields = ("is_bound", "created", "last_used_at", "rotated_at", "former_until", "revoked_at")
    actions = ("replace", "revoke")

    def get_form(
        self, request: HttpRequest, obj: ApiKey | None = None, change: bool = False, **options: Any
    ) -> type[ModelForm]:
        base = ModelForm if obj else type("Form", (NewApiKeyForm,), {"actor": request.user})
        return super().get_form(request, obj, change=change, **{"form": base, **options})

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        made = ("user", "name", "access", "templates", "expires_at")
        return (*self.readonly_fields, *made) if obj else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: ApiKey, form: ModelForm, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        made, text = create_api_key(
            user=obj.user,
            name=obj.name,
            description=obj.description,
            expires_at=obj.expires_at,
            access=KeyAccess(obj.access),
            templates=form.cleaned_data["templates"] or None,
            actor=request.user,
        )
        obj.__dict__.update(made.__dict__)
        messages.warning(request, f"{COPY_NOW}{text}")

    @admin.action(description="Replace the selected keys: show new ones, end these", permissions=["change"])
    def replace(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset.select_related("user"):
            try:
                _, text = rotate_api_key(actor=request.user, api_key=key)
            except ZenWebError as error:
                self.message_user(request, f"{key.name}: {error}", messages.ERROR)
            else:
                self.message_user(request, f"{key.user} {key.name}. {COPY_NOW}{text}", messages.WARNING)

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        keys = list(queryset.filter(revoked_at__isnull=True).select_related("user"))
        for key in keys:
            update_api_key(actor=request.user, api_key=key, is_active=False)
        self.message_user(request, f"{len(keys)} key(s) revoked.")


class ChoiceFilter(admin.SimpleListFilter):
    """One of what there may be: what there is would have to be searched for among all events."""

    choices_of: type[StrEnum]

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [(each.value, each.value.replace("_", " ")) for each in self.choices_of]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        return queryset.filter(**{self.parameter_name: self.value()}) if self.value() else queryset


class VerbFilter(ChoiceFilter):
    title = parameter_name = "verb"
    choices_of = AuditVerb


class ChannelFilter(ChoiceFilter):
    title = parameter_name = "channel"
    choices_of = AuditChannel


@admin.register(AuditEvent)
class AuditEventAdmin(VisibleAdmin, ReadOnlyAdmin):
    """What was done. Nothing of it is changed or deleted."""

    list_display = (
        *("created", "user_name", "verb", "noun", "thing_name", "channel", "address", "api_key_name"),
    )
    list_filter = (VerbFilter, ChannelFilter, "created")
    search_fields = ("user_name", "thing_name", "=thing_id", "=address", "api_key_name")
    show_full_result_count = False
    list_per_page = 50
    fields = (
        *("id", "created", "user_name", "user_id", "verb", "noun", "thing_name", "thing_id", "channel"),
        *("address", "api_key_name", "api_key_id", "template_id", "project_id", "was", "became"),
    )
    readonly_fields = ("was", "became")
    actions = ("take_along",)

    @admin.display(description="before")
    def was(self, event: AuditEvent) -> str:
        return _as_text(event.before)

    @admin.display(description="after")
    def became(self, event: AuditEvent) -> str:
        return _as_text(event.after)

    @admin.action(description="Save the selected events as CSV", permissions=["view"])
    def take_along(self, request: HttpRequest, queryset: AuditEventQuerySet) -> HttpResponse | None:
        try:
            return export(queryset, request.user.pk)
        except ZenWebError as error:
            self.message_user(request, str(error), messages.ERROR)
            return None


def _as_text(facts: Any) -> str:
    return (
        "-"
        if facts is None
        else format_html("<pre>{}</pre>", json.dumps(facts, indent=2, ensure_ascii=False))
    )
