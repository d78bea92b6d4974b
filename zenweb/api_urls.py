"""Every REST route, served under /api/v1/."""

from django.urls import include, path, re_path

from zenweb.api.errors import not_found

urlpatterns = [
    path("", include("zenweb.accounts.api.urls")),
    path("", include("templates_app.api.urls")),
    path("", include("runs_app.api.urls")),
    re_path(r"^(?P<path>.*)$", not_found),
]
