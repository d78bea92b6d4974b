"""/api/v1/…: what can be run."""

from django.urls import path

from templates_app.api import curation, grants, snapshots, versions, views

urlpatterns = [
    path("pipelines", views.PipelineList.as_view()),
    path("pipelines/<str:name_or_id>", views.PipelineDetail.as_view()),
    path("stacks", views.StackList.as_view()),
    path("stacks/<str:name_or_id>", views.StackDetail.as_view()),
    path("code_archives/<str:sha256>", views.CodeArchiveDetail.as_view()),
    path("pipeline_deployments", views.DeploymentList.as_view()),
    path("pipeline_deployments/<str:deployment_id>", views.DeploymentDetail.as_view()),
    path("pipeline_snapshots", snapshots.SnapshotList.as_view()),
    path("pipeline_snapshots/<str:name_or_id>", snapshots.SnapshotDetail.as_view()),
    path("pipeline_builds/<str:deployment_id>", snapshots.BuildDetail.as_view()),
    path("run_templates", views.RunTemplateList.as_view()),
    path("run_templates/<str:name_or_id>", views.RunTemplateDetail.as_view()),
    path("run_templates/<str:name_or_id>/curation", curation.RunTemplateCuration.as_view()),
    path("run_templates/<str:name_or_id>/versions", versions.VersionList.as_view()),
    path("run_templates/<str:name_or_id>/versions/<str:version>", versions.VersionDetail.as_view()),
    path("run_templates/<str:name_or_id>/versions/<str:version>/restore", versions.VersionRestore.as_view()),
    path("run_templates/<str:name_or_id>/role_grants", grants.TemplateRoleGrantList.as_view()),
    path(
        "run_templates/<str:name_or_id>/role_grants/<str:grant_id>", grants.TemplateRoleGrantDetail.as_view()
    ),
    path("projects/<str:name_or_id>/role_grants", grants.ProjectRoleGrantList.as_view()),
    path("projects/<str:name_or_id>/role_grants/<str:grant_id>", grants.ProjectRoleGrantDetail.as_view()),
]
