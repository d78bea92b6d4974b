"""/account/…: one's own keys and sessions."""

from django.urls import path

from zenweb.accounts import views

urlpatterns = [
    path("", views.account, name="account"),  # /account/
    path("keys/<uuid:key_id>/rotate/", views.rotate_key, name="key-rotate"),  # /account/keys/ID/rotate/
    path("keys/<uuid:key_id>/revoke/", views.revoke_key, name="key-revoke"),
    path("keys/<uuid:key_id>/remove/", views.remove_key, name="key-remove"),
    path("password/", views.change_own_password, name="password-change"),  # /account/password/
    path("sessions/end/", views.sign_out_others, name="sessions-end"),  # /account/sessions/end/
    path("sessions/<slug:handle>/end/", views.sign_out_session, name="session-end"),
]
