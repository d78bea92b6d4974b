"""Roles are given and taken away, over REST and on their pages, by owners alone."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from templates_app import grants
from templates_app.grants import grant_role, revoke_role
from templates_app.models import RunTemplate
from templates_app.permissions import role_on
from tests.accounts.conftest import ask, give, rest_of
from zenweb.accounts.models import Project, RoleGrant, User
from zenweb.enums import Role
from zenweb.exceptions import NotAllowed, ValidationFailed

PLACES = ("/run_templates/daily-retraining/role_grants", "/projects/default/role_grants")


@pytest.fixture
def owners(template: RunTemplate, alice: User) -> Client:
    """Alice over REST, an owner of the template and the project."""
    RoleGrant.objects.filter(user=alice, project=template.project).update(role=Role.OWNER)
    return rest_of(alice)


# -- the verbs --------------------------------------------------------------------------------------------------------


def test_a_role_that_is_given_takes_the_place_of_the_one_before(
    template: RunTemplate, alice: User, bob: User
) -> None:
    for role in (Role.EDITOR, Role.VIEWER):
        grant = grant_role(actor=alice, on=template, to=bob, role=role)
    assert [str(each) for each in template.role_grants.all()] == ["bob: viewer"]
    revoke_role(actor=alice, grant=grant)
    assert not template.role_grants.exists()


def test_nobody_is_no_role_that_could_be_given(template: RunTemplate, alice: User, bob: User) -> None:
    with pytest.raises(ValidationFailed, match="delete what gave it"):
        grant_role(actor=alice, on=template, to=bob, role=Role.NOBODY)


def test_so_many_roles_and_no_more_are_given_on_one_thing(
    template: RunTemplate, alice: User, bob: User, boss: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grants, "MOST_GRANTS", 1)
    grant_role(actor=alice, on=template, to=bob, role=Role.EDITOR)
    grant_role(actor=alice, on=template, to=bob, role=Role.VIEWER)  # no further one
    with pytest.raises(ValidationFailed, match="give them to groups"):
        grant_role(actor=alice, on=template, to=boss, role=Role.VIEWER)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.RUNNER, Role.EDITOR])
def test_who_is_no_owner_gives_and_takes_nothing(
    template: RunTemplate, alice: User, bob: User, role: Role
) -> None:
    Project.objects.update(default_role=Role.NOBODY)
    grant = give(bob, template, role)
    with pytest.raises(NotAllowed, match="needs the role Owner"):
        grant_role(actor=bob, on=template, to=bob, role=Role.OWNER)
    with pytest.raises(NotAllowed):
        revoke_role(actor=bob, grant=grant)
    assert role_on(bob, RunTemplate.objects.get()) == role


def test_owners_of_a_template_give_nothing_in_its_project(template: RunTemplate, alice: User) -> None:
    with pytest.raises(NotAllowed):
        grant_role(actor=alice, on=template.project, to=alice, role=Role.OWNER)


# -- REST -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", PLACES)
def test_roles_are_given_listed_and_taken_away_over_rest(owners: Client, bob: User, place: str) -> None:
    Group.objects.create(name="data science")
    bobs = ask(owners, "POST", place, {"user": "bob", "role": "viewer"}).json()
    ask(owners, "POST", place, {"group": "data science", "role": "editor"})
    listed = ask(owners, "GET", f"{place}?sort_by=asc:role").json()["items"]
    found = {(item["name"], item["body"]["role"]) for item in listed}
    assert {("bob", "viewer"), ("data science", "editor")} <= found
    assert ask(owners, "DELETE", f"{place}/{bobs['id']}").json() is None
    assert ask(owners, "GET", f"{place}/{bobs['id']}").status_code == 404


WRONG: dict[str, tuple[Any, str, str]] = {
    "neither user nor group": ({"role": "viewer"}, "/user", "which user, or which group"),
    "both": ({"user": "bob", "group": "crew", "role": "viewer"}, "/user", "which user, or which group"),
    "unknown user": ({"user": "nobody", "role": "viewer"}, "/user", "no account 'nobody'"),
    "unknown group": ({"group": "none", "role": "viewer"}, "/group", "no group 'none'"),
    "a group as a user": ({"user": "crew", "role": "viewer"}, "/user", "no account 'crew'"),
    "unknown role": ({"user": "bob", "role": "king"}, "/role", "'viewer'"),
    "no role": ({"user": "bob"}, "/role", ""),
    "nobody": ({"user": "bob", "role": "nobody"}, "/role", "'viewer'"),
    "switched off": ({"user": "gone", "role": "viewer"}, "/user", "no account 'gone'"),
}


@pytest.mark.parametrize(("body", "pointer", "sentence"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_at_its_place(
    owners: Client, bob: User, body: Any, pointer: str, sentence: str
) -> None:
    Group.objects.create(name="crew")
    User.objects.create_user(username="gone", is_active=False)
    before = RoleGrant.objects.count()
    for place in PLACES:
        answer = ask(owners, "POST", place, body)
        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["pointer"]) == (422, pointer)
        assert sentence in error["message"]
    assert RoleGrant.objects.count() == before


@pytest.mark.parametrize("place", PLACES)
def test_who_may_not_is_not_told_whether_there_is_such_an_account(
    owners: Client, bob: User, place: str
) -> None:
    answers = [
        ask(rest_of(bob), "POST", place, {"user": name, "role": "owner"}) for name in ("alice", "nobody")
    ]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[0].json() == answers[1].json()


def test_a_grant_on_one_thing_is_not_found_on_another(
    owners: Client, template: RunTemplate, bob: User
) -> None:
    grant = give(bob, template, Role.VIEWER)
    assert ask(owners, "DELETE", f"{PLACES[1]}/{grant.pk}").status_code == 404
    assert RoleGrant.objects.filter(pk=grant.pk).exists()


# -- pages, which work without a script -------------------------------------------------------------------------------


@pytest.fixture
def pages(client: Client, owners: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


@pytest.fixture(params=["template", "project"])
def thing(request: pytest.FixtureRequest, template: RunTemplate) -> RunTemplate | Project:
    return template if request.param == "template" else template.project


def address(thing: RunTemplate | Project) -> str:
    name = "run-template-access" if isinstance(thing, RunTemplate) else "project-access"
    return reverse(name, args=[thing.pk])


def given_on(thing: RunTemplate | Project, **to: Any) -> list[str]:
    return [str(grant) for grant in thing.role_grants.filter(**to)]


@pytest.mark.parametrize("name", ["bob", "group:crew"])
def test_a_role_is_given_and_taken_away_on_the_page(
    pages: Client, thing: RunTemplate | Project, bob: User, name: str
) -> None:
    crew = Group.objects.create(name="crew")
    to = {"user": bob} if name == "bob" else {"group": crew}
    given = pages.post(address(thing), {"do": "grant", "holder": name, "given_role": "30"}, follow=True)
    assert "has the role Editor now." in given.text
    assert given_on(thing, **to) == [f"{name.removeprefix('group:')}: editor"]
    grant = thing.role_grants.get(**to)
    taken = pages.post(address(thing), {"do": "revoke", "grant": str(grant.pk)}, follow=True)
    assert "has this role no more." in taken.text
    assert given_on(thing, **to) == []


@pytest.mark.parametrize(
    ("typed", "field", "sentence"),
    [
        ({"holder": "nobody", "given_role": "30"}, "holder", "There is no account"),
        ({"holder": "group:none", "given_role": "30"}, "holder", "There is no group"),
        ({"holder": "", "given_role": "30"}, "holder", "required"),
        ({"holder": "bob", "given_role": "0"}, "given_role", "valid choice"),
    ],
)
def test_a_name_that_is_wrong_comes_back_at_its_field(
    pages: Client, thing: RunTemplate | Project, bob: User, typed: dict[str, str], field: str, sentence: str
) -> None:
    page = pages.post(address(thing), {"do": "grant", **typed})
    assert page.status_code == 422
    assert sentence in str(page.context["form"].errors[field])
    assert f'value="{typed["holder"]}"' in page.text
    assert given_on(thing, user=bob) == []


def test_a_template_is_restricted_and_opened_again(pages: Client, template: RunTemplate) -> None:
    for choice, is_restricted in (("yes", True), ("no", False)):
        pages.post(address(template), {"do": "restrict", "restricted": choice})
        template.refresh_from_db()
        assert template.is_restricted is is_restricted


def test_everybodys_role_in_a_project_is_set(pages: Client, template: RunTemplate) -> None:
    pages.post(address(template.project), {"do": "default", "default_role": "10"})
    assert Project.objects.get().default_role == Role.VIEWER
    assert pages.post(address(template.project), {"do": "default", "default_role": "7"}).status_code == 422
    assert Project.objects.get().default_role == Role.VIEWER


@pytest.mark.parametrize("grant", ["", "nonsense", "00000000-0000-4000-8000-000000000000"])
def test_a_role_that_was_taken_away_meanwhile_is_not_there(
    pages: Client, thing: RunTemplate | Project, grant: str
) -> None:
    assert pages.post(address(thing), {"do": "revoke", "grant": grant}).status_code == 404


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"do": "grant", "holder": "bob", "given_role": "40"},
        {"do": "restrict", "restricted": "yes"},
        {"do": "default", "default_role": "40"},
    ],
)
def test_who_may_not_is_led_back_with_a_sentence(
    client: Client, thing: RunTemplate | Project, bob: User, sent: dict[str, str]
) -> None:
    client.force_login(bob)
    page = client.post(address(thing), sent, follow=True)
    assert page.redirect_chain
    assert "one needs the role Owner" in page.text
    assert (given_on(thing, user=bob), RunTemplate.objects.get().is_restricted) == ([], False)
    assert Project.objects.get().default_role == Role.RUNNER


def test_who_does_not_see_it_finds_no_page(client: Client, thing: RunTemplate | Project, bob: User) -> None:
    Project.objects.update(default_role=Role.NOBODY)
    client.force_login(bob)
    assert client.get(address(thing)).status_code == 404
