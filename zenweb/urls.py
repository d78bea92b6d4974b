"""Every address of the server, by prefix."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from zenweb.accounts.views import SignIn, SignOut, device_login, sign_in_to_admin
from zenweb.api.errors import not_found
from zenweb.api.health import health, ready

handler400 = "zenweb.api.errors.answer_bad_request"
handler500 = "zenweb.api.errors.answer_unexpected"
urlpatterns = [
    path("api/v1/", include("zenweb.api_urls")),
    re_path(r"^api(/|$)", not_found),
    path("", include("templates_app.urls")),
    path("", include("runs_app.urls")),
    path("login/", SignIn.as_view(), name="login"),
    path("logout/", SignOut.as_view(), name="logout"),
    path("account/", include("zenweb.accounts.urls")),
    path("device/", device_login, name="device-login"),
    path("admin/login/", sign_in_to_admin),
    path("admin/logout/", SignOut.as_view()),  # nor another way out
    # Nor a page of its own for the password, which would end no session.
    path("admin/password_change/", RedirectView.as_view(pattern_name="password-change")),
    path("admin/", admin.site.urls),
    path("health", health, name="health"),
    path("ready", ready, name="ready"),
]
