"""Signing in, with what was typed into a form before."""

from django.contrib import messages
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpResponse
from django.utils.translation import gettext_lazy

from zenweb.accounts import interrupted_forms

LOST = gettext_lazy(
    "What had been typed into the form is not here: somebody else had typed it, or it "
    "was too long ago. Nothing was started."
)


class SignIn(LoginView):
    """Signs in, and hands on the draft that came with it."""

    redirect_authenticated_user = True

    def get_context_data(self, **context: object) -> dict[str, object]:
        draft = self.request.POST.get(interrupted_forms.DRAFT_FIELD, "")
        return super().get_context_data(**{interrupted_forms.DRAFT_FIELD: draft, **context})

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        answer = super().form_valid(form)
        draft = self.request.POST.get(interrupted_forms.DRAFT_FIELD, "")
        if draft and not interrupted_forms.keep_for(self.request, form.get_user(), draft):
            messages.warning(self.request, LOST)
        return answer
