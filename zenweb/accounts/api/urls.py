"""/api/v1/…: signing in, and who one is."""

from django.urls import path

from zenweb.accounts.api import views

urlpatterns = [
    path("info", views.info),
    path("version", views.version),
    path("login", views.login),
    path("current-user", views.current_user),
    path("api_token", views.api_token),
    path("projects", views.projects),
    path("projects/<str:name_or_id>", views.project),
]
