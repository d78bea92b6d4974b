"""/api/v1/…: signing in, who one is, and keys."""

from django.urls import path

from zenweb.accounts.api import api_keys, audit, service_accounts, views

urlpatterns = [
    path("info", views.info),
    path("version", views.version),
    path("login", views.login),
    path("device_authorization", views.device_authorization),
    path("current-user", views.current_user),
    path("current-user/api_keys", api_keys.ApiKeyList.as_view()),
    path("current-user/api_keys/<str:key>", api_keys.ApiKeyDetail.as_view()),
    path("current-user/api_keys/<str:key>/rotate", api_keys.ApiKeyRotation.as_view()),
    path("api_token", views.api_token),
    path("service_accounts", service_accounts.ServiceAccountList.as_view()),
    path("service_accounts/<str:account>", service_accounts.ServiceAccountDetail.as_view()),
    path("service_accounts/<str:account>/api_keys", api_keys.ApiKeyList.as_view()),
    path("service_accounts/<str:account>/api_keys/<str:key>", api_keys.ApiKeyDetail.as_view()),
    path("service_accounts/<str:account>/api_keys/<str:key>/rotate", api_keys.ApiKeyRotation.as_view()),
    path("audit_events", audit.AuditEventList.as_view()),
    path("audit_events/export", audit.AuditEventExport.as_view()),
    path("audit_events/<str:event>", audit.AuditEventDetail.as_view()),
    path("projects", views.projects),
    path("projects/<str:name_or_id>", views.project),
]
