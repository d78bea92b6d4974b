"""What people type to sign in, to make a key, and to confirm a program's code."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from zenweb.accounts.addresses import client_address
from zenweb.accounts.models import NAME_LIMIT, ApiKey, User
from zenweb.accounts.services import bindable_templates, sign_in
from zenweb.enums import KeyAccess
from zenweb.exceptions import CredentialsNotValid, ValidationFailed, ZenWebError

MOST_OFFERED = 100  # run templates; REST takes those that are not among them
LONGEST_PASSWORD = 1000  # characters: hashing takes the longer the longer it is
NEVER = "never"
LIFETIMES = [
    ("30", gettext_lazy("in 30 days")),
    ("90", gettext_lazy("in 90 days")),
    ("365", gettext_lazy("in a year")),
    (NEVER, gettext_lazy("never")),
]
RETAIN_PERIODS = [
    ("0", gettext_lazy("stops at once")),
    ("60", gettext_lazy("works for another hour")),
    ("1440", gettext_lazy("works for another day")),
    ("10080", gettext_lazy("works for another week")),
]


class SignInForm(AuthenticationForm):
    """Django's, through the one door that counts wrong passwords."""

    request: HttpRequest

    def clean(self) -> dict[str, Any]:
        username, password = (self.cleaned_data.get(name) for name in ("username", "password"))
        if username is not None and password:
            address = client_address(self.request)
            try:
                self.user_cache = sign_in(username=username, password=password, address=address).user
            except CredentialsNotValid as error:
                raise ValidationError(str(error), code="invalid_login") from error
        return self.cleaned_data


class ApiKeyForm(forms.Form):
    """A key as it is to be."""

    name = forms.CharField(
        max_length=NAME_LIMIT,
        help_text=gettext_lazy("What it is for, such as “nightly job”. Runs that it starts say this name."),
    )
    days = forms.ChoiceField(choices=LIFETIMES, initial="90", label=gettext_lazy("It ends"))
    access = forms.ChoiceField(
        choices=ApiKey._meta.get_field("access").choices,
        initial="run",
        widget=forms.RadioSelect,
        label=gettext_lazy("What it may do"),
    )
    templates = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=gettext_lazy("Only for certain run templates"),
    )

    def __init__(self, user: User, data: Any = None) -> None:
        super().__init__(data)
        self.offered = list(bindable_templates(user).listed().order_by("name").only("name")[:MOST_OFFERED])
        self.fields["templates"].choices = [(str(each.pk), each.name) for each in self.offered]

    @property
    def values(self) -> dict[str, Any]:
        """For the service that makes it."""
        cleaned = self.cleaned_data
        chosen = [each for each in self.offered if str(each.pk) in cleaned["templates"]]
        days = cleaned["days"]
        return {
            "name": cleaned["name"],
            "access": KeyAccess(cleaned["access"]),
            "templates": chosen or None,
            "expires_at": timezone.now() + timedelta(days=int(days)) if days != NEVER else None,
        }

    def refuse(self, error: ZenWebError) -> None:
        """Show at its field what the service does not take."""
        if not isinstance(error, ValidationFailed):
            self.add_error("name", str(error))
            return
        for one in error.errors:
            field = one.pointer.lstrip("/")
            self.add_error(field if field in self.fields else None, one.message)


class RotationForm(forms.Form):
    """For how long the former secret goes on working."""

    minutes = forms.ChoiceField(choices=RETAIN_PERIODS)

    @property
    def retain_period(self) -> timedelta:
        return timedelta(minutes=int(self.cleaned_data["minutes"]))


class PasswordForm(forms.Form):
    """Another password for oneself."""

    current = forms.CharField(
        label=gettext_lazy("Your password now"),
        strip=False,
        max_length=LONGEST_PASSWORD,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    new = forms.CharField(
        label=gettext_lazy("New password"),
        help_text=gettext_lazy(
            "At least 10 characters, not one that many people use, and not like your name."
        ),
        strip=False,
        max_length=LONGEST_PASSWORD,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    again = forms.CharField(
        label=gettext_lazy("New password again"),
        strip=False,
        max_length=LONGEST_PASSWORD,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean(self) -> dict[str, Any]:
        new, again = (self.cleaned_data.get(name) for name in ("new", "again"))
        if new is not None and again is not None and new != again:
            self.add_error("again", gettext("These two are not the same."))
        return self.cleaned_data

    def refuse(self, error: ZenWebError) -> None:
        """Show at its field what the service does not take."""
        if not isinstance(error, ValidationFailed):
            self.add_error("current", str(error))
            return
        for one in error.errors:
            self.add_error(one.pointer.lstrip("/"), one.message)


class CodeForm(forms.Form):
    """The code that a program shows."""

    code = forms.CharField(max_length=40)
