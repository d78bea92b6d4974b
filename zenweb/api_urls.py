"""Every REST route, served under /api/v1/."""

from django.urls import include, path, re_path

from zenweb.api.descriptions import DescriptionPage, JSONDescription, YAMLDescription
from zenweb.api.errors import not_found

urlpatterns = [
    path("", include("zenweb.accounts.api.urls")),
    path("", include("templates_app.api.urls")),
    path("", include("runs_app.api.urls")),
    path("openapi.json", JSONDescription.as_view(), name="openapi"),
    path("openapi.yaml", YAMLDescription.as_view()),
    path("docs", DescriptionPage.as_view(), name="api-docs"),
    re_path(r"^(?P<path>.*)$", not_found),
]
