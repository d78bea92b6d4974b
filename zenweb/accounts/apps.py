"""Users, their keys, and the projects things live in."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "zenweb.accounts"
    label = "accounts"
