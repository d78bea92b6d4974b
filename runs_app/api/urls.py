"""/api/v1/…: what was run, and running it."""

from django.urls import path

from runs_app.api import choices, files, presets, repairs, schedules, snapshots, validation, views

urlpatterns = [
    path("run_templates/<str:name_or_id>/runs", views.TemplateRuns.as_view()),
    path("run_templates/<str:name_or_id>/validate", validation.TemplateValidation.as_view()),
    path("run_templates/<str:name_or_id>/choices", choices.TemplateChoices.as_view()),
    path("run_templates/<str:name_or_id>/presets", presets.PresetList.as_view()),
    path("run_templates/<str:name_or_id>/presets/<str:preset>", presets.PresetDetail.as_view()),
    path("pipeline_deployments/<str:deployment_id>/runs", views.DeploymentRuns.as_view()),
    path("pipeline_snapshots/<str:name_or_id>/runs", snapshots.SnapshotRuns.as_view()),
    path("schedules", schedules.ScheduleList.as_view()),
    path("schedules/<str:name_or_id>", schedules.ScheduleDetail.as_view()),
    path("runs", views.RunList.as_view()),
    path("runs/<str:name_or_id>", views.RunDetail.as_view()),
    path("runs/<str:name_or_id>/status", views.RunStatus.as_view()),
    path("runs/<str:name_or_id>/dag", views.RunDag.as_view()),
    path("runs/<str:name_or_id>/pipeline-configuration", views.RunPipelineConfiguration.as_view()),
    path("runs/<str:name_or_id>/refresh", views.RunRefresh.as_view()),
    path("runs/<str:name_or_id>/stop", views.RunStop.as_view()),
    path("runs/<str:name_or_id>/repair", repairs.RunRepair.as_view()),
    path("runs/<str:name_or_id>/events", views.RunEvents.as_view()),
    path("runs/<str:name_or_id>/lease", views.LocalLease.as_view()),
    path("runs/<str:name_or_id>/logs", views.RunLogs.as_view()),
    path("runs/<str:name_or_id>/steps", views.RunSteps.as_view()),
    path("runs/<str:name_or_id>/steps/<str:step_name>/start", views.LocalStepStart.as_view()),
    path("runs/<str:name_or_id>/steps/<str:step_name>/end", views.LocalStepEnd.as_view()),
    path("steps", views.StepList.as_view()),
    path("steps/<str:step_id>", views.StepDetail.as_view()),
    path("steps/<str:step_id>/status", views.StepStatus.as_view()),
    path("steps/<str:step_id>/logs", views.StepLogs.as_view()),
    path("run-metadata", views.RunMetadata.as_view()),
    path("artifacts", views.ArtifactList.as_view()),
    path("artifacts/<str:name_or_id>", views.ArtifactDetail.as_view()),
    path("artifact_versions", views.ArtifactVersionList.as_view()),
    path("artifact_versions/<str:version_id>", views.ArtifactVersionDetail.as_view()),
    path("artifact_versions/<str:version_id>/visualize", views.ArtifactVersionVisualization.as_view()),
    path("artifact_versions/<str:version_id>/content", files.ArtifactVersionContent.as_view()),
    path("uploads", files.UploadList.as_view()),
]
