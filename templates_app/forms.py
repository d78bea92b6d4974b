"""What people type into the pages about what can be run."""

from django import forms


class SearchForm(forms.Form):
    """A word to look for."""

    q = forms.CharField(required=False, max_length=200)

    @property
    def text(self) -> str:
        return self.cleaned_data.get("q", "") if self.is_valid() else ""
