"""Signing in (with what was typed into a form before), one's own account, and confirming a program's sign-in."""

from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView, redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext, gettext_lazy, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from zenweb.accounts import interrupted_forms
from zenweb.accounts.audit import record_audit
from zenweb.accounts.device_login import decide_device_login, find_device_login, shown_code
from zenweb.accounts.forms import RETAIN_PERIODS, ApiKeyForm, CodeForm, PasswordForm, RotationForm, SignInForm
from zenweb.accounts.models import ApiKey, User
from zenweb.accounts.services import (
    change_password,
    create_api_key,
    delete_api_key,
    rotate_api_key,
    update_api_key,
)
from zenweb.accounts.sessions import end_other_sessions, end_session, note_origin, sessions_of
from zenweb.enums import AuditVerb
from zenweb.exceptions import DoesNotExist, TooManyTries, ZenWebError

LOST = gettext_lazy(
    "What had been typed into the form is not here: somebody else had typed it, or it "
    "was too long ago. Nothing was started."
)
CHANGED = gettext_lazy(
    "Your password is changed. Every other browser is signed out, and so is every program that had signed in with the "
    "former one. API keys go on working."
)


class SignIn(LoginView):
    """Signs in, and hands on the draft that came with it."""

    redirect_authenticated_user = True
    authentication_form = SignInForm

    def get_context_data(self, **context: object) -> dict[str, object]:
        draft = self.request.POST.get(interrupted_forms.DRAFT_FIELD, "")
        return super().get_context_data(**{interrupted_forms.DRAFT_FIELD: draft, **context})

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        answer = super().form_valid(form)
        note_origin(self.request)
        draft = self.request.POST.get(interrupted_forms.DRAFT_FIELD, "")
        if draft and not interrupted_forms.keep_for(self.request, form.get_user(), draft):
            messages.warning(self.request, LOST)
        return answer


class SignOut(LogoutView):
    """Signs out, and has the audit tell it."""

    @transaction.atomic
    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if request.user.is_authenticated:
            user = cast(User, request.user)
            record_audit(actor=user, verb=AuditVerb.SIGN_OUT, thing=user)
        return super().post(request, *args, **kwargs)


@require_safe
def sign_in_to_admin(request: HttpRequest) -> HttpResponse:
    """The admin has no sign-in of its own, which would be a second door."""
    if request.user.is_authenticated:
        raise PermissionDenied
    return redirect_to_login(request.GET.get("next", "/admin/"))


@dataclass(frozen=True)
class NewText:
    """A key's text, shown this once."""

    name: str
    text: str


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """One's keys and sessions; sent, its form makes a key."""
    user = cast(User, request.user)
    form = ApiKeyForm(user, request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            key, text = create_api_key(user=user, actor=user, **form.values)
        except ZenWebError as error:
            form.refuse(error)
        else:
            return _account_page(request, ApiKeyForm(user), NewText(key.name, text))
    return _account_page(request, form)


@login_required
@never_cache
@require_POST
def rotate_key(request: HttpRequest, key_id: UUID) -> HttpResponse:
    user, form = cast(User, request.user), RotationForm(request.POST)
    key = get_object_or_404(ApiKey.objects.filter(user=user), pk=key_id)
    if not form.is_valid():
        return redirect("account")
    try:
        key, text = rotate_api_key(actor=user, api_key=key, retain_period=form.retain_period)
    except ZenWebError as error:
        messages.error(request, str(error))
        return redirect("account")
    return _account_page(request, ApiKeyForm(user), NewText(key.name, text))


@login_required
@require_POST
def revoke_key(request: HttpRequest, key_id: UUID) -> HttpResponse:
    user = cast(User, request.user)
    key = get_object_or_404(ApiKey.objects.filter(user=user), pk=key_id)
    update_api_key(actor=user, api_key=key, is_active=False)
    messages.info(request, gettext("The key %(name)s works no longer.") % {"name": key.name})
    return redirect("account")


@login_required
@require_POST
def remove_key(request: HttpRequest, key_id: UUID) -> HttpResponse:
    user = cast(User, request.user)
    delete_api_key(actor=user, api_key=get_object_or_404(ApiKey.objects.filter(user=user), pk=key_id))
    return redirect("account")


@login_required
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def change_own_password(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    form = PasswordForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        given = {name: form.cleaned_data[name] for name in ("current", "new")}
        try:
            change_password(actor=user, kept_session=request.session.session_key or "", **given)
        except ZenWebError as error:
            form.refuse(error)
        else:
            update_session_auth_hash(request, user)
            messages.success(request, CHANGED)
            return redirect("account")
    return render(request, "accounts/password.html", {"form": form}, status=422 if form.errors else 200)


@login_required
@require_POST
def sign_out_session(request: HttpRequest, handle: str) -> HttpResponse:
    if end_session(cast(User, request.user), handle):
        messages.info(request, gettext("That browser is signed out."))
    return redirect("account")


@login_required
@require_POST
def sign_out_others(request: HttpRequest) -> HttpResponse:
    ended = end_other_sessions(request, cast(User, request.user))
    sentence = ngettext(
        "%(number)s other browser is signed out.", "%(number)s other browsers are signed out.", ended
    )
    messages.info(request, sentence % {"number": ended})
    return redirect("account")


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def device_login(request: HttpRequest) -> HttpResponse:
    """A program asks to be signed in: see what it is, and confirm or refuse it."""
    user = cast(User, request.user)
    sent = request.POST if request.method == "POST" else request.GET
    form = CodeForm(sent if "code" in sent else None)
    context: dict[str, Any] = {"form": form}
    if form.is_bound and form.is_valid():
        try:
            login = find_device_login(actor=user, user_code=form.cleaned_data["code"])
            context |= {"login": login, "code": shown_code(login.user_code)}
            if request.POST.get("do") in {"confirm", "refuse"}:
                is_confirmed = request.POST["do"] == "confirm"
                decide_device_login(actor=user, login=login, is_confirmed=is_confirmed)
                context["is_confirmed"] = is_confirmed
                return render(request, "accounts/device_login_decided.html", context)
        except (DoesNotExist, TooManyTries) as error:
            context.pop("login", None)
            form.add_error("code", str(error))
    return render(request, "accounts/device_login.html", context, status=422 if form.errors else 200)


def _account_page(request: HttpRequest, form: ApiKeyForm, new_text: NewText | None = None) -> HttpResponse:
    user = cast(User, request.user)
    context = {
        "form": form,
        "new_text": new_text,
        "keys": user.api_keys.prefetch_related("templates").order_by("-created"),
        "sessions": sessions_of(user),
        "this_session": request.session.session_key,
        "retain_periods": RETAIN_PERIODS,
    }
    return render(request, "accounts/account.html", context, status=422 if form.errors else 200)
