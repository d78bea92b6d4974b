"""A run configuration is read and written as attributes or items, and sent without what is not set."""

import datetime
import math
import uuid
from dataclasses import dataclass

import pytest
from pydantic import BaseModel, Field, Secret, SecretBytes, SecretStr, ValidationError

from zenweb.config.pipeline_run_configuration import PipelineRunConfiguration
from zenweb.config.run_configuration import parse_yaml, wire_configuration
from zenweb.exceptions import ValidationFailed


@pytest.fixture
def config():
    return PipelineRunConfiguration(steps={"trainer": {}, "report": {"parameters": {"title": "Weekly"}}})


def test_a_parameter_set_through_attributes_is_sent(config):
    config.steps["trainer"].parameters["learning_rate"] = 0.1
    assert config.to_wire()["steps"]["trainer"] == {"parameters": {"learning_rate": 0.1}}


def test_a_parameter_set_through_items_is_sent(config):
    config["steps"]["trainer"]["parameters"]["learning_rate"] = 0.1
    assert config.steps["trainer"].parameters == {"learning_rate": 0.1}
    assert config["steps"]["report"]["parameters"]["title"] == "Weekly"


def test_a_step_assigned_as_plain_data_becomes_a_section(config):
    config["steps"]["loader"] = {"enable_cache": False}
    assert config.steps["loader"].enable_cache is False
    assert config.to_wire()["steps"]["loader"] == {"enable_cache": False}


def test_what_is_not_set_is_left_out_but_parameters_keep_their_nulls(config):
    config.steps["trainer"].parameters = {"depth": None, "options": {}}
    config.run_name = "nightly"
    config.enable_cache = False
    assert config.to_wire() == {
        "run_name": "nightly",
        "enable_cache": False,
        "steps": {
            "trainer": {"parameters": {"depth": None, "options": {}}},
            "report": {"parameters": {"title": "Weekly"}},
        },
    }


def test_a_misspelt_step_is_a_key_error_that_names_the_one_meant(config):
    with pytest.raises(KeyError, match="Did you mean 'trainer'"):
        config.steps["trianer"]


def test_a_misspelt_key_is_refused_when_set_and_when_made(config):
    with pytest.raises(KeyError, match="Did you mean 'run_name'"):
        config["runname"] = "x"
    with pytest.raises(ValidationError, match="stepz"):
        PipelineRunConfiguration(stepz={})


def test_everything_a_client_may_put_into_parameters_has_its_json_form():
    artifact, day = uuid.uuid4(), datetime.date(2026, 3, 1)
    parameters = {"artifact": artifact, "day": day, "key": SecretStr("open sesame"), "sizes": (1, 2)}
    assert wire_configuration({"steps": {"trainer": {"parameters": parameters}}})["steps"]["trainer"] == {
        "parameters": {"artifact": str(artifact), "day": "2026-03-01", "key": "open sesame", "sizes": [1, 2]}
    }


@pytest.mark.parametrize("value", [math.nan, object()])
def test_what_json_cannot_carry_is_refused_at_its_place(value):
    with pytest.raises(ValidationFailed) as refused:
        wire_configuration({"steps": {"trainer": {"parameters": {"x": value}}}})
    assert [error.pointer for error in refused.value.errors] == ["/steps/trainer/parameters/x"]


class Login(BaseModel):
    key: SecretStr = SecretStr("open sesame")
    rate: float = Field(0.5, alias="RATE")


@dataclass
class Store:
    login: Login
    token: SecretBytes
    spare: tuple[SecretStr, ...] = (SecretStr("one"), SecretStr("two"))
    words: frozenset[SecretStr] = frozenset([SecretStr("three")])
    pin: Secret[int] = Secret[int](4)  # noqa: RUF009  # it cannot be changed
    name: str = "**********"


def test_the_secrets_within_models_and_dataclasses_are_sent_open():
    sent = wire_configuration({"parameters": {"stores": [Store(Login(), SecretBytes(b"abc"))]}})
    assert sent["parameters"]["stores"] == [
        {
            "login": {"key": "open sesame", "RATE": 0.5},
            "token": "abc",
            "spare": ["one", "two"],
            "words": ["three"],
            "pin": 4,
            "name": "**********",
        }
    ]


class Pair(BaseModel, frozen=True):
    key: SecretStr = SecretStr("open sesame")


class Pairs(BaseModel):
    known: frozenset[Pair] = frozenset([Pair()])


def test_a_secret_that_cannot_be_laid_open_is_refused_and_not_sent_masked():
    with pytest.raises(
        ValidationFailed, match="A Pairs holds a secret in a way that cannot be sent"
    ) as refused:
        wire_configuration({"parameters": {"pairs": Pairs()}})
    assert refused.value.errors[0].pointer == "/parameters/pairs"


def test_a_number_that_json_does_not_have_is_refused_at_its_place_in_a_model():
    with pytest.raises(ValidationFailed, match="JSON has no number nan") as refused:
        wire_configuration({"parameters": {"login": Login(RATE=math.nan)}})
    assert refused.value.errors[0].pointer == "/parameters/login/RATE"


def test_plain_data_is_sent_as_it_is_so_that_the_server_hears_of_wrong_keys():
    assert wire_configuration({"stepz": {}}) == {"stepz": {}}
    assert wire_configuration(None) == {}


def test_yaml_is_read_as_version_1_2():
    read = parse_yaml("country: NO\nrate: 1e-5\nat: 12:30\nday: 2026-03-01\n", "run.yaml")
    assert read == {"country": "NO", "rate": 1e-5, "at": "12:30", "day": "2026-03-01"}


def test_a_configuration_is_read_from_a_yaml_file(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("steps:\n  trainer:\n    parameters: {learning_rate: 0.5}\n")
    assert PipelineRunConfiguration.from_yaml(path).steps["trainer"].parameters == {"learning_rate": 0.5}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("steps: [1, 2", "run.yaml, line 1"),
        ("run_name: a\nrun_name: b\n", "line 2: The key 'run_name' is there twice"),
        ("- just\n- a list\n", "holds list"),
        ("stepz: {}\n", "/stepz"),
        ("x: !!python/object/apply:os.getcwd []\n", "The tag .* is not taken here"),
    ],
)
def test_a_yaml_file_that_is_no_configuration_says_why(tmp_path, text, reason):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ValidationFailed, match=reason):
        PipelineRunConfiguration.from_yaml(path)


def test_a_missing_yaml_file_is_named():
    with pytest.raises(ValidationFailed, match="cannot be read"):
        PipelineRunConfiguration.from_yaml("nowhere.yaml")
