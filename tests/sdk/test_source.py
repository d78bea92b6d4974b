"""Code is found by its source string, and importing it for its steps starts nothing."""

import importlib
import logging
import re
import subprocess
import sys
import textwrap
from uuid import UUID

import pytest

from zenweb.config.script_modules import about_missing
from zenweb.config.source import import_source, importing_for_execution, is_importing, source_of, source_root
from zenweb.exceptions import AuthoringError, SourceNotFound
from zenweb.execution.protocol import Assignment
from zenweb.execution.runner import describe, run_attempt
from zenweb.pipelines import Pipeline
from zenweb.steps import Step

MODULE = """
    from zenweb import pipeline, step

    @step
    def load() -> int:
        return 1

    fast_load = load.with_options(queue="fast")

    @pipeline
    def my_pipeline():
        load.with_options(timeout=3)()
        fast_load()
"""


@pytest.fixture
def write_module(tmp_path, monkeypatch):
    """Writes modules into a folder on the path; what they leave in sys.modules is gone afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        importlib.invalidate_caches()
        return path

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_pipeline_is_imported_by_its_source(write_module):
    write_module("pkg/deep/work.py", MODULE)
    found = import_source("pkg.deep.work.my_pipeline", Pipeline)
    assert source_of(found) == "pkg.deep.work.my_pipeline"


def test_a_copy_is_known_by_the_name_of_what_it_was_made_from_or_by_its_own(write_module):
    write_module("work.py", MODULE)
    steps = import_source("work.my_pipeline", Pipeline).compile().steps
    assert [step.source for step in steps] == ["work.load", "work.fast_load"]


def test_the_root_is_the_folder_that_has_to_be_on_the_path(write_module, tmp_path):
    write_module("work.py", MODULE)
    write_module("pkg/__init__.py", MODULE)
    write_module("pkg/deep/work.py", MODULE)
    for source in ("work.load", "pkg.load", "pkg.deep.work.load"):
        assert source_root(import_source(source, Step)) == tmp_path


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("my_pipeline", r"'my_pipeline' does not say what to import: write run.my_pipeline"),
        ("wrok.my_pipeline", r"There is no module 'wrok' here. Did you mean 'work'\?"),
        ("work.deeper.my_pipeline", r"There is no module 'work.deeper'"),
        ("work.my_pipelin", r"There is no pipeline 'my_pipelin' in work. Did you mean 'my_pipeline'\?"),
        ("work.load", r"'load' in work is a step, not a pipeline. There is: my_pipeline"),
        (
            "unimportable.x",
            r"'unimportable' cannot be imported: ZeroDivisionError: division by zero \(.*unimportable.py, line 1\)\. "
            r"What its steps do not need belongs under `if __name__ == \"__main__\":`\.$",
        ),
        ("lacking.x", r"'lacking' cannot be imported: ModuleNotFoundError: No module named 'no_such_thing'"),
        ("garbled.x", r"'garbled' cannot be imported: SyntaxError: .* \(.*garbled.py, line 2\)"),
        ("leaving.x", r"'leaving' cannot be imported: SystemExit: 3"),
    ],
)
def test_what_cannot_be_imported_says_why(write_module, source, message):
    write_module("work.py", MODULE)
    write_module("unimportable.py", "1 / 0")
    write_module("lacking.py", "import no_such_thing")
    write_module("garbled.py", "x = 1\ndef f(:\n")
    write_module("leaving.py", "raise SystemExit(3)")
    with pytest.raises(SourceNotFound, match=message):
        import_source(source, Pipeline)


def test_a_pipeline_from_an_installed_package_is_refused(write_module):
    write_module("venv/site-packages/installed.py", MODULE)
    module = importlib.util.spec_from_file_location(
        "installed", write_module("site-packages/installed.py", MODULE)
    )
    sys.modules["installed"] = importlib.util.module_from_spec(module)
    module.loader.exec_module(sys.modules["installed"])
    with pytest.raises(AuthoringError, match="imported from an installed package"):
        source_root(sys.modules["installed"].my_pipeline)


def test_lines_at_module_level_do_nothing_while_importing_for_execution(write_module, caplog):
    caplog.set_level(logging.INFO)
    write_module(
        "sample.py",
        MODULE
        + """
    from zenweb.client import Client

    run = Client().get_pipeline_run("<RUN_NAME_OR_ID>")
    Client().create_run_template(name="<TEMPLATE_NAME>", deployment_id=run.deployment_id)
    template = my_pipeline.create_run_template(name="<TEMPLATE_NAME>")
    config = template.config_template
    config.steps["my_step"].parameters["my_param"] = 3
    Client().trigger_pipeline(template_id=template.id, run_configuration=config)
    while not (run.is_finished and run.status.is_finished):
        run.refresh()
    for step_run in my_pipeline().steps:
        raise AssertionError(f"{step_run:>10}")
""",
    )
    with importing_for_execution():
        assert is_importing()
        assert import_source("sample.load", Step)() == 1
    assert not is_importing()
    assert caplog.messages[0] == "Client() skipped: its module is only imported for its steps"
    assert any("my_pipeline.create_run_template" in message for message in caplog.messages)


LOOKING_AT_THE_RUN = {
    "compares": 'assert run.status == "completed"',
    "leaves with its code": 'import sys; sys.exit(0 if run.status == "completed" else 1)',
    "leaves": "raise SystemExit",
    "decides": 'if run.steps["load"].output.load() < 0.5: raise AssertionError',
    "computes": "print(max([each.output.load() for each in run.steps.values()]) + 1)",
    "shows": "print(f'{run.id}: {run.status}')",
    "shows in colour": "import rich; rich.print(run.status)",
    "notes": "import logging; logging.getLogger('x').warning('%s', run.status)",
    "computes for each": "scores = [float(each.output.load()) for each in run.steps.values()]",
    "unpacks": "first, second = run.steps",
    "reports what it takes for a failure": "try: assert run\n    except Exception: raise AssertionError",
    "waits for ever": "while True: run = run.refresh()",
    "runs it for each": "for rate in (1, 2):\n        run = my_pipeline()\n        print(run.id)",
    "shows each": "for name, each in [('first', my_pipeline())]:\n        print(name, each.status)",
    "goes through pipelines": "for each in (my_pipeline,): print(each().id)",
    "goes through runs": "runs = [my_pipeline() for _ in range(2)]\n    for each in runs: print(each.wait().status)",
    "keeps what each gave": "for rate in (1, 2):\n        gave = my_pipeline().outputs\n        print(gave)",
}


@pytest.mark.parametrize("line", LOOKING_AT_THE_RUN.values(), ids=LOOKING_AT_THE_RUN)
def test_a_script_that_looks_at_its_own_run_is_imported_for_its_steps(write_module, line):
    write_module("script.py", f"{MODULE}\n    run = my_pipeline().wait()\n    {line}\n")
    with importing_for_execution():
        assert import_source("script.load", Step)() == 1
        assert len(import_source("script.my_pipeline", Pipeline).compile().steps) == 2


MORE_BELOW = """
    from __future__ import annotations
    from zenweb import pipeline, step

    @pipeline
    def my_pipeline():
        below()

    run = my_pipeline()
    score = float(run.steps["below"].output.load())
    if score < 0.5:
        def helper(): ...
    WORDS = ["one"]
    rounded = round(score)
    later = my_pipeline()
    raise AssertionError

    @step
    def below(names: Unknown = None) -> int:
        return len(WORDS)

    def using() -> None:
        helper()
"""


ABOVE = """
    import json, logging, sys
    from zenweb import pipeline, step

    CONFIG, FEATURES, THRESHOLD = {"rate": 0.1}, ["a"], 0.5

    @step
    def load() -> int:
        return 1

    @pipeline
    def my_pipeline():
        load()

    def main():
        assert my_pipeline().status == "completed"
        CONFIG["rate"] = 0.9

    run = my_pipeline()
"""
MATTERING = {
    "augments": 'FEATURES += ["b"]',
    "augments a name of its own": "count = 0\n    count += 1",
    "changes by a call": "CONFIG.update(rate=0.9)",
    "changes by a call within another": "print(CONFIG.update(rate=0.9))",
    "changes what a key holds": 'CONFIG["rate"] = 0.9',
    "changes what an attribute holds": "load.rate = 0.9",
    "gives a name again": "THRESHOLD = 0.7",
    "gives a name again by a walrus": "print(THRESHOLD := 0.7)",
    "decides": "if True: THRESHOLD = 0.7",
    "decides what a new name holds": "if CONFIG: RATE = 0.7",
    "tries": "try: import no_such_thing as fast\n    except ImportError: fast = None",
    "loops": "for THRESHOLD in (0.7,): pass",
    "keeps by another name": 'if run.status == "failed":\n        same = CONFIG\n        same["rate"] = 0.9',
    "gives Python's name": "if run.status: max = min",
    "deletes": "del THRESHOLD",
    "runs something": "main()",
    "goes through others by the name of a run": "print([run.update(rate=0.9) for run in [CONFIG]])",
    "changes what has a run's name before": "if run.status: last = run\n    last = CONFIG\n    last.update(rate=0.9)",
    "sorts by something of its own": "print(sorted(FEATURES, key=CONFIG.pop))",
}


@pytest.mark.parametrize("line", MATTERING.values(), ids=MATTERING)
def test_a_script_is_refused_where_what_is_left_out_may_matter_to_its_steps(write_module, line):
    write_module("script.py", f"{ABOVE}\n    assert run.status == 'completed'\n    {line}\n")
    with importing_for_execution(), pytest.raises(SourceNotFound) as refused:
        import_source("script.load", Step)
    assert re.fullmatch(
        r"script\.py cannot be imported for its steps: from line 21 on it is not run, since that line asks for "
        r"my_pipeline\(\)\.status, which was skipped, but line 2[2-5] \(`.+`\) may change what steps see\. "
        r'Put that line above the call that was skipped, or under `if __name__ == "__main__":`\.',
        str(refused.value),
    )


@pytest.mark.parametrize(
    "line",
    [
        'if run.status == "completed": THRESHOLD = 0.7',
        'if run.status in {"completed"}: THRESHOLD = 0.7',
        'THRESHOLD = {"completed": 0.7}.get(run.status, 0.1)',
        'if str(run.status) == "completed": THRESHOLD = 0.7',
        'if f"{run.status}" == "completed": THRESHOLD = 0.7',
        "THRESHOLD = float(run.steps['load'].output.load())",
        "assert run.status; THRESHOLD = 0.7",
        "main()",
        "THRESHOLD = 0.7 if run.status else CONFIG.pop('rate')",
    ],
)
def test_a_line_that_asks_for_what_was_skipped_and_does_more_is_refused(write_module, line):
    write_module("script.py", f"{ABOVE}\n    {line}\n")
    with (
        importing_for_execution(),
        pytest.raises(SourceNotFound, match=r"line 21 \(`.*may change what steps"),
    ):
        import_source("script.load", Step)


@pytest.mark.parametrize(
    "line",
    [
        'THRESHOLD = float(open("missing").read())',
        'RATE = json.loads(open("missing").read())["rate"]',
        "json.dumps({'score': run.steps})",
        'assert run.status == "completed"; RATE = json.loads("{")',
    ],
)
def test_only_asking_for_what_was_skipped_ends_a_script(write_module, line):
    write_module("script.py", f"{ABOVE}\n    {line}\n")
    with (
        importing_for_execution(),
        pytest.raises(
            SourceNotFound, match=r"cannot be imported: .*What its steps do not need belongs under"
        ),
    ):
        import_source("script.load", Step)


HARMLESS = {
    "shows": "print(f'{run.status} {len(FEATURES)}'); logging.info('done')",
    "runs another": "run = my_pipeline.with_options(enable_cache=False)()",
    "asks another": "assert my_pipeline().status",
    "loops over it": "for each in run.steps.values(): print(each.output.load())",
    "decides by it": "if run.status == 'failed': sys.exit(1)",
    "tries it": "try: assert run.status\n    except AssertionError: raise RuntimeError('no') from None",
    "is for the script alone": "if __name__ == '__main__': THRESHOLD = 0.7",
    "sets it": "run.note = 1",
}


@pytest.mark.parametrize("line", HARMLESS.values(), ids=HARMLESS)
def test_lines_that_only_show_or_look_at_a_run_are_left_out_of_a_script(write_module, line):
    write_module("script.py", f"{ABOVE}\n    assert run.status == 'completed'\n    {line}\n    NEW = 1\n")
    with importing_for_execution():
        assert import_source("script.load", Step)() == import_source("script.NEW") == 1


@pytest.mark.parametrize("below", ["", "assert run.status", "sys.exit(0)"])
def test_a_script_that_catches_its_own_end_is_refused(write_module, below):
    caught = "try: assert run.status\n    except: THRESHOLD = 0.9"
    write_module("script.py", f"{ABOVE}\n    {caught}\n    {below}\n")
    with (
        importing_for_execution(),
        pytest.raises(SourceNotFound, match=r"it asks for my_pipeline\(\)\.status.* Catch Exception, or put"),
    ):
        import_source("script.load", Step)


def test_a_steps_log_says_from_which_line_on_its_script_was_not_run(write_module, tmp_path, capsys):
    write_module("script.py", f"{ABOVE}\n    assert run.status == 'completed'\n")
    with importing_for_execution():
        found = import_source("script.load", Step)
    assignment = Assignment(
        run_id=UUID(int=1),
        run_name="r",
        pipeline_name="p",
        step_run_id=UUID(int=2),
        step_name="load",
        attempt=1,
        source="script.load",
        parameters={},
        inputs={},
        outputs=[],
        artifact_uri=str(tmp_path),
    )
    capsys.readouterr()
    assert run_attempt(found, assignment, lambda _: None) is None
    assert "script.py was not run from line 21 on, but for what it defines there" in capsys.readouterr().err


def test_a_script_that_leaves_only_where_it_is_imported_is_refused_if_more_follows(write_module):
    write_module("script.py", f"{ABOVE}\n    if not sys.argv[5:]: sys.exit(2)\n    THRESHOLD = 0.7\n")
    with (
        importing_for_execution(),
        pytest.raises(SourceNotFound, match=r"ended with SystemExit: 2, but line 22"),
    ):
        import_source("script.load", Step)


def test_what_a_script_defines_below_the_line_that_looks_at_its_run_is_there(write_module):
    write_module("script.py", MORE_BELOW)
    with importing_for_execution():
        assert import_source("script.below", Step)() == 1
        assert import_source("script.my_pipeline", Pipeline).entrypoint.__globals__["later"] is not None


@pytest.mark.parametrize("name", ["score", "helper", "rounded"])
def test_what_is_left_out_of_a_script_is_told_where_it_is_missed(write_module, name):
    write_module("script.py", MORE_BELOW)
    with (
        importing_for_execution(),
        pytest.raises(SourceNotFound, match=rf"There is no step '{name}' in script\.") as missed,
    ):
        import_source(f"script.{name}", Step)
    assert str(missed.value).endswith(
        " script.py was not run from line 10 on, but for what it defines there, since that line asks for "
        "my_pipeline().steps['below'].output.load(), which was skipped. "
        f"Define '{name}' above that line, or put what a worker is not to run under `if __name__ == \"__main__\":`."
    )


def test_a_function_that_misses_what_was_left_out_says_so_and_one_that_never_had_it_does_not(write_module):
    write_module("script.py", f"{MORE_BELOW}\n    def mistyped(): hepler()\n")
    with importing_for_execution():
        module = importlib.import_module("script") if import_source("script.below", Step) else None
    with pytest.raises(NameError) as missed:
        module.using()
    assert re.search(
        r"name 'helper' is not defined\. script.py was not run from line 10", describe(missed.value).message
    )
    assert "script.py was not run" in describe(missed.value).traceback
    with pytest.raises(NameError) as mistyped:
        module.mistyped()
    assert describe(mistyped.value).message.startswith("name 'hepler' is not defined")
    assert "not run" not in describe(mistyped.value).message


def test_a_module_that_imports_such_a_script_is_imported_as_a_whole(write_module):
    write_module("script.py", f"{MODULE}\n    assert my_pipeline().status\n")
    write_module("other.py", "from script import load\n\nwhole = load.with_options(queue='slow')")
    with importing_for_execution():
        assert import_source("other.whole", Step)() == 1


def test_what_was_skipped_is_no_value_for_a_step(write_module):
    write_module(
        "script.py", f"{MODULE}\n    run = my_pipeline()\n    def ask(): return run.status == 'failed'"
    )
    with importing_for_execution():
        ask = import_source("script.ask")
    with pytest.raises(
        AuthoringError, match=r"Nobody knows my_pipeline\(\)\.status here: .* Ask for it in the step"
    ):
        ask()


SCRIPT = """
    import sys
    from zenweb import pipeline, step
    from zenweb.config.source import import_source, source_of, source_root

    class Thing: ...

    @step
    def load() -> Thing:
        return Thing()

    @pipeline
    def my_pipeline():
        load()

    spec = my_pipeline.compile()
    print(spec.source, spec.steps[0].source, spec.steps[0].outputs[0].type, source_root(my_pipeline).name)
    print(import_source(spec.steps[0].source) is load)
"""


@pytest.mark.parametrize(
    ("arguments", "module", "root"),
    [
        (["pkg/job-1.py"], "job-1", "pkg"),
        (["-m", "pkg.job"], "pkg.job", "code"),
        (["-m", "pkg"], "pkg.__main__", "code"),
    ],
)
def test_what_runs_as_main_is_stored_under_its_real_name_and_not_imported_twice(
    write_module, tmp_path, pytestconfig, arguments, module, root
):
    for name in ("job-1.py", "job.py", "__main__.py"):
        write_module(f"code/pkg/{name}", SCRIPT)
    environment = {"PYTHONPATH": str(pytestconfig.rootpath)}
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=tmp_path / "code", env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [f"{module}.my_pipeline", f"{module}.load", f"{module}.Thing", root, "True"]


def test_a_file_named_like_one_of_pythons_own_modules_is_told_so(write_module, tmp_path):
    file = write_module("random.py", MODULE)
    with pytest.raises(
        SourceNotFound, match=r"Python's own module 'random', .* of your random.py: rename the file"
    ):
        import_source("random.my_pipeline", Pipeline)
    file.unlink()
    with pytest.raises(SourceNotFound) as refusal:
        import_source("random.my_pipeline", Pipeline)
    assert "rename" not in str(refusal.value)


def test_what_is_something_else_is_called_by_its_article(write_module):
    write_module("work.py", MODULE + "\n    b3 = 3\n")
    with pytest.raises(SourceNotFound, match=r"'b3' in work is an int, not a pipeline"):
        import_source("work.b3", Pipeline)


def test_a_loop_that_was_not_run_to_its_end_leaves_no_first_value_behind(write_module):
    write_module("script.py", f"{MODULE}\n    for rate in (1, 2):\n        print(my_pipeline().id)\n")
    with importing_for_execution():
        import_source("script.load", Step)
        assert not hasattr(sys.modules["script"], "rate")
        assert "Define 'rate' above that line" in about_missing("script", "rate")
