"""What people type into the pages about what can be run."""

from django import forms
from django.utils.translation import gettext_lazy

from templates_app.names import NAME_LIMIT


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
