"""Who is not signed in sees the sign-in page and comes back to where they wanted to go."""

import pytest
from django.test import Client
from django.urls import reverse

from templates_app.models import RunTemplate
from zenweb.accounts.models import User

PASSWORD = "alice has a long password"


@pytest.mark.parametrize("name", ["home", "run-template-list", "run-list", "pipeline-list"])
def test_a_stranger_is_asked_to_sign_in(db: None, client: Client, name: str) -> None:
    assert client.get(reverse(name)).url == f"{reverse('login')}?next={reverse(name)}"


def test_signing_in_leads_to_the_page_one_wanted(client: Client, alice: User) -> None:
    form = {"username": "alice", "password": PASSWORD, "next": reverse("run-list")}
    assert client.post(reverse("login"), form).url == reverse("run-list")


def test_signing_in_never_leads_to_another_site(client: Client, alice: User) -> None:
    form = {"username": "alice", "password": PASSWORD, "next": "https://evil.example/"}
    assert client.post(reverse("login"), form).url == "/"


def test_a_wrong_password_is_told_without_saying_which_half_was_wrong(client: Client, alice: User) -> None:
    page = client.post(reverse("login"), {"username": "alice", "password": "x"})
    assert "do not belong together" in page.text
    assert 'value="alice"' in page.text


def test_signing_out_takes_a_post(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.get(reverse("logout")).status_code == 405
    client.post(reverse("logout"))
    assert client.get(reverse("run-list")).status_code == 302


def test_only_staff_sees_the_way_to_the_admin(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert reverse("admin:index") not in client.get(reverse("run-list")).text
    User.objects.update(is_staff=True)
    assert reverse("admin:index") in client.get(reverse("run-list")).text


def test_a_page_that_does_not_exist_says_so_to_people(client: Client, template: RunTemplate) -> None:
    page = client.get("/no/such/page")
    assert page.status_code == 404
    assert "There is nothing here" in page.text
