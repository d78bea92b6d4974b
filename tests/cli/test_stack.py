"""`zenweb stack`."""

from click.testing import CliRunner

from zenweb.cli.main import main


def test_the_list_marks_the_active_stack(alices):
    lines = alices("stack", "list").stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["celery", "celery"], ["*", "default"]]


def test_the_active_stack_is_remembered(alices):
    assert "on workers" in alices("stack", "set", "celery").stdout
    assert alices("stack", "describe").stdout.splitlines()[0].split() == ["name", "celery"]


def test_a_stack_that_does_not_exist_is_refused(alices):
    result = alices("stack", "set", "gpu")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "gpu" in result.stderr


def test_without_a_server_it_says_how_to_connect(zenweb):
    result = zenweb("stack", "list")
    assert result.exit_code == 1
    assert "zenweb login URL" in result.stderr


def test_a_server_that_does_not_answer_has_its_own_exit_code(config_folder, monkeypatch):
    # Nobody listens on port 9 of this machine.
    monkeypatch.setenv("ZENWEB_SERVER_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ZENWEB_API_KEY", "key")
    monkeypatch.setattr("zenweb.transport.PAUSES", ())
    result = CliRunner().invoke(main, ["stack", "list"])
    assert (result.exit_code, result.stderr.count("\n")) == (4, 1)
