"""Users, projects and keys in the admin."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone

from zenweb.accounts.models import ApiKey, Project, User
from zenweb.accounts.services import check_new_api_key, create_api_key, rotate_api_key
from zenweb.enums import KeyAccess
from zenweb.exceptions import ZenWebError

admin.site.site_header = admin.site.site_title = "ZenWeb administration"
admin.site.index_title = "Manage"
COPY_NOW = "Copy the key now, it is not shown again: "


@admin.register(User)
class ZenWebUserAdmin(UserAdmin):
    list_display = ("username", "email", "is_service_account", "is_staff", "is_active", "last_login")
    list_filter = ("is_service_account", "is_staff", "is_superuser", "is_active", "groups")
    fieldsets = (
        *(UserAdmin.fieldsets or ()),
        ("Service account", {"fields": ("is_service_account", "description")}),
    )


@admin.register(Project)
class ProjectAdmin(admin.ModelAdmin):
    list_display = ("name", "display_name", "created")
    search_fields = ("name", "display_name")


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
class ApiKeyAdmin(admin.ModelAdmin):
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
        revoked = queryset.filter(revoked_at__isnull=True).update(revoked_at=timezone.now())
        self.message_user(request, f"{revoked} key(s) revoked.")
