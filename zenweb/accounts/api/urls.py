"""/api/v1/…: signing in, who one is, and keys."""

from django.urls import path

from zenweb.accounts.api import api_keys, audit, projects, service_accounts, views

urlpatterns = [
    path("info", views.Info.as_view()),
    path("version", views.Version.as_view()),
    path("login", views.Login.as_view()),
    path("device_authorization", views.DeviceAuthorization.as_view()),
    path("current-user", views.CurrentUser.as_view()),
    path("current-user/api_keys", api_keys.ApiKeyList.as_view()),
    path("current-user/api_keys/<str:key>", api_keys.ApiKeyDetail.as_view()),
    path("current-user/api_keys/<str:key>/rotate", api_keys.ApiKeyRotation.as_view()),
    path("api_token", views.ApiToken.as_view()),
    path("service_accounts", service_accounts.ServiceAccountList.as_view()),
    path("service_accounts/<str:account>", service_accounts.ServiceAccountDetail.as_view()),
    path("service_accounts/<str:account>/api_keys", api_keys.ApiKeyList.as_view()),
    path("service_accounts/<str:account>/api_keys/<str:key>", api_keys.ApiKeyDetail.as_view()),
    path("service_accounts/<str:account>/api_keys/<str:key>/rotate", api_keys.ApiKeyRotation.as_view()),
    path("audit_events", audit.AuditEventList.as_view()),
    path("audit_events/export", audit.AuditEventExport.as_view()),
    path("audit_events/<str:event>", audit.AuditEventDetail.as_view()),
    path("projects", projects.ProjectList.as_view()),
    path("projects/<str:name_or_id>", projects.ProjectDetail.as_view()),
]
