"""What people type into the pages about what can be run."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from templates_app.names import NAME_LIMIT
from zenweb.accounts.models import Project
from zenweb.enums import GRANTABLE, Role

WHAT_ROLES_DO = {
    Role.NOBODY: gettext_lazy("Nobody: sees nothing"),
    Role.VIEWER: gettext_lazy("Viewer: sees it, its runs and results"),
    Role.RUNNER: gettext_lazy("Runner: may run it too"),
    Role.EDITOR: gettext_lazy("Editor: may change it too, and stop runs of others"),
    Role.OWNER: gettext_lazy("Owner: may delete it too, and say who is what"),
}


class SearchForm(forms.Form):
    """A word to look for."""

    q = forms.CharField(required=False, max_length=200)

    @property
    def text(self) -> str:
        return self.cleaned_data.get("q", "") if self.is_valid() else ""


class NewTemplateForm(forms.Form):
    """What a template made from a run is called."""

    name = forms.CharField(
        max_length=NAME_LIMIT,
        help_text=gettext_lazy("What people will look for, such as “Daily retraining”."),
    )
    description = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy(
            "What it does, in a line or two. Left empty, it is what the pipeline says of itself."
        ),
    )
    update = forms.BooleanField(
        required=False, label=gettext_lazy("Make it a new version of the template of this name")
    )
    drops_misfits = forms.BooleanField(
        required=False,
        label=gettext_lazy("Leave out what that template’s form fixes or bounds and this does not take"),
    )


class RoleForm(forms.Form):
    """Who becomes what."""

    holder = forms.CharField(
        max_length=200, label=gettext_lazy("Name of a user, or group: and the name of a group")
    )
    given_role = forms.TypedChoiceField(
        choices=[(role.value, WHAT_ROLES_DO[role]) for role in GRANTABLE],
        coerce=int,
        initial=Role.RUNNER.value,
        label=gettext_lazy("Role"),
    )

    @property
    def role(self) -> Role:
        return Role(self.cleaned_data["given_role"])


class DefaultRoleForm(forms.Form):
    """What everybody is in a project."""

    default_role = forms.TypedChoiceField(
        choices=[(role.value, WHAT_ROLES_DO[role]) for role in Role],
        coerce=int,
        label=gettext_lazy("Everybody who was given no other role"),
    )

    def __init__(self, data: Any = None, *, project: Project) -> None:
        super().__init__(data, initial={"default_role": project.default_role})

    @property
    def role(self) -> Role:
        return Role(self.cleaned_data["default_role"])
