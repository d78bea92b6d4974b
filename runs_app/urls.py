"""Addresses of the pages about runs."""

from django.urls import path

from runs_app import views

urlpatterns = [
    path(
        "templates/<uuid:template_id>/", views.run_template, name="run-template"
    ),  # /templates/<id>/?view=yaml&from=<run>&preset=<name>&steps.<step>.parameters.<name>=<value>
    path("templates/<uuid:template_id>/usage", views.show_usage, name="run-template-usage"),
    path(
        "templates/<uuid:template_id>/presets/<uuid:preset_id>/delete",
        views.delete_a_preset,
        name="preset-delete",
    ),
    path("runs/", views.list_runs, name="run-list"),  # /runs/?q=&status=&template=
    path("runs/<uuid:run_id>/", views.show_run, name="run"),
    path("runs/<uuid:run_id>/copy", views.copy_run, name="run-copy"),
    path("runs/<uuid:run_id>/stop", views.stop, name="run-stop"),
    path(
        "runs/<uuid:run_id>/repair", views.repair, name="run-repair"
    ),  # /runs/<id>/repair?from=&version=newest
    path("runs/<uuid:run_id>/new-template", views.new_template, name="run-new-template"),
    path("steps/<uuid:step_id>/elements", views.show_elements, name="step-elements"),  # ?status=&page=
    path("steps/<uuid:step_id>/log", views.show_log, name="step-log"),
    path("artifacts/<uuid:artifact_version_id>/preview", views.show_preview, name="artifact-preview"),
    path("artifacts/<uuid:artifact_version_id>/file", views.download_file, name="artifact-file"),
]
