"""What was typed into a form is not lost when the session has ended: it waits, signed, for its author to sign in.

Nothing of it is stored on the server until they have, so nobody who is not signed in can fill the database with
drafts. A draft belongs to the account that the form was shown to; it only ever fills a form, and launches nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from zenweb.accounts.forms import SignInForm
from zenweb.accounts.models import User

DRAFT_LIMIT = 100_000  # characters of all that was typed
DRAFT_AGE = timedelta(minutes=30)
FORM_AGE = timedelta(days=14)
AUTHOR_FIELD = "filled_by"
DRAFT_FIELD = "draft"
_AUTHOR, _DRAFT, _SESSION = "zenweb.form-author", "zenweb.form-draft", "form_draft"


@dataclass(frozen=True)
class Draft:
    """What somebody had typed into the form at an address."""

    path: str
    values: dict[str, list[str]]


def sign_author(request: HttpRequest) -> str:
    """For a hidden input of the form: whom it is shown to."""
    return signing.dumps(str(request.user.pk), salt=_AUTHOR)


def ask_to_sign_in(request: HttpRequest, values: Mapping[str, list[str]]) -> HttpResponse | None:
    """The sign-in page that carries what was typed; None when nothing can be kept: nobody knows whose it is."""
    try:
        author = signing.loads(request.POST.get(AUTHOR_FIELD, ""), salt=_AUTHOR, max_age=FORM_AGE)
    except signing.BadSignature:
        return None
    if sum(len(name) + sum(map(len, texts)) for name, texts in values.items()) > DRAFT_LIMIT:
        return None
    content = {"author": author, "path": request.get_full_path(), "values": dict(values)}
    draft = signing.dumps(content, salt=_DRAFT, compress=True)
    context = {"form": SignInForm(request), "next": request.get_full_path(), DRAFT_FIELD: draft}
    return render(request, "registration/login.html", context)


def keep_for(request: HttpRequest, user: User, text: str) -> bool:
    """Keep a draft for who has just signed in; False when it is not theirs, too old, or not from here."""
    try:
        content = signing.loads(text, salt=_DRAFT, max_age=DRAFT_AGE)
    except signing.BadSignature:
        return False
    if content["author"] != str(user.pk):
        return False
    request.session[_SESSION] = {
        "path": content["path"],
        "values": content["values"],
        "until": (timezone.now() + DRAFT_AGE).timestamp(),
    }
    return True


def take(request: HttpRequest) -> Draft | None:
    """The draft for the page that is asked for, once."""
    kept = request.session.get(_SESSION)
    if kept is None or kept["path"] != request.get_full_path():
        return None
    del request.session[_SESSION]
    if kept["until"] < timezone.now().timestamp():
        return None
    return Draft(kept["path"], kept["values"])
