"""Users, projects and keys in the admin."""

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone

from zenweb.accounts.models import ApiKey, Project, User
from zenweb.accounts.services import create_api_key

admin.site.site_header = admin.site.site_title = "ZenWeb administration"
admin.site.index_title = "Manage"


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


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    list_display = ("name", "user", "created", "expires_at", "last_used_at", "revoked_at")
    list_filter = ("revoked_at", "expires_at")
    search_fields = ("name", "user__username")
    autocomplete_fields = ("user",)
    readonly_fields = ("created", "last_used_at", "revoked_at")
    actions = ("revoke",)

    def get_exclude(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        return ["secret_hash"]

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "user", "name") if obj else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: ApiKey, form: ModelForm, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        made, text = create_api_key(
            user=obj.user, name=obj.name, description=obj.description, expires_at=obj.expires_at
        )
        obj.__dict__.update(made.__dict__)
        messages.warning(request, f"Copy the key now, it is not shown again: {text}")

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        revoked = queryset.filter(revoked_at__isnull=True).update(revoked_at=timezone.now())
        self.message_user(request, f"{revoked} key(s) revoked.")
