"""What a server cannot be without is made once, and nobody's way in is lost."""

import pytest
from django.test import Client

from runs_app.management.commands.bootstrap import bootstrap
from zenweb.accounts.models import User
from zenweb.cli.data_folder import open_data_folder


def test_what_is_kept_signs_in(db, tmp_path):
    folder = open_data_folder(tmp_path)
    bootstrap(keep_in=folder)
    kept = folder.read_credentials()
    assert Client().login(username=kept.username, password=kept.password)
    bearer = Client(headers={"Authorization": f"Bearer {kept.api_key}"})
    assert bearer.get("/api/v1/current-user").json()["name"] == "admin"


def test_a_second_time_nothing_is_made_and_what_was_kept_stays(db, tmp_path):
    folder = open_data_folder(tmp_path)
    bootstrap(keep_in=folder)
    kept = folder.read_credentials()
    assert bootstrap(keep_in=folder)["created"] is False
    assert folder.read_credentials() == kept


def test_without_a_place_to_keep_the_secrets_no_user_is_made(db, tmp_path):
    folder = open_data_folder(tmp_path)
    folder.credentials_file.mkdir()
    with pytest.raises(OSError):
        bootstrap(keep_in=folder)
    assert not User.objects.exists()
