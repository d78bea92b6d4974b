"""docs/command-line.md has every command and option, as it is."""

import re

from tests.cli.reference import BEGIN, PAGE, reference


def test_every_command_is_documented(pytestconfig):
    page = (pytestconfig.rootpath / PAGE).read_text(encoding="utf-8")
    assert page.partition(BEGIN)[2] == reference(), "Run `make docs`."


def test_every_option_says_what_it_is_for():
    assert not re.findall(r"^\| `.*` \|  .*", reference(), re.MULTILINE)
