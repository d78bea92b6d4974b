"""Addresses of the pages about what can be run."""

from django.urls import path

from templates_app import access_views, views

urlpatterns = [
    path("", views.home, name="home"),  # /
    path("templates/", views.list_run_templates, name="run-template-list"),  # /templates/?q=
    path("templates/<uuid:template_id>/form/", views.shape_form, name="run-template-form"),
    path("templates/<uuid:template_id>/form/export", views.export_form, name="run-template-form-export"),
    path("templates/<uuid:template_id>/access/", access_views.template_access, name="run-template-access"),
    path("projects/<uuid:project_id>/access/", access_views.project_access, name="project-access"),
    path("pipelines/", views.list_pipelines, name="pipeline-list"),  # /pipelines/?q=
    path("pipelines/run", views.choose_pipeline, name="pipeline-run"),  # /pipelines/run?q=
]
