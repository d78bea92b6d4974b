"""What calling a step does, inside of a pipeline function and outside."""

import logging
import pickle
import re
from typing import Annotated

import pytest

from zenweb import pipeline, step
from zenweb.config.draft import NoOutput, StepOutput
from zenweb.exceptions import AuthoringError


@step
def double(value: int) -> int:
    """Twice the value."""
    return 2 * value


@step(name="divider", enable_cache=False)
def divide(value: int, by: int) -> tuple[Annotated[int, "quotient"], Annotated[int, "rest"]]:
    return divmod(value, by)


@step
def announce(value: int) -> None: ...


@step
def without_annotation(value):
    return value


@step
def after_other(id: int, after: int) -> int:  # noqa: A002  # what users call their parameters
    return id + after


seen = {}


@pipeline
def look_at_results():
    seen["one"] = double(1)
    seen["two"] = divide(7, by=2)
    seen["none"] = announce(3)
    seen["unannotated"] = without_annotation(1)


def test_a_step_outside_of_a_pipeline_is_the_plain_function():
    assert double(21) == 42
    assert double.__doc__ == "Twice the value."


def test_inside_of_a_pipeline_a_step_returns_what_stands_for_its_outputs():
    look_at_results.compile()
    assert isinstance(seen["one"], StepOutput)
    assert [output.output_name for output in seen["two"]] == ["quotient", "rest"]
    assert isinstance(seen["none"], NoOutput)
    assert seen["unannotated"].output_name == "output"


@pytest.mark.parametrize(
    "use",
    [
        bool,
        list,
        len,
        "{:.2f}".format,
        str,
        "{}".format,
        lambda x: f"{x}",
        lambda x: f"{x:>5}",
        lambda x: "%s" % x,  # noqa: UP031  # what is tested
        hash,
        lambda x: x in {"rf", "svm"},
        lambda x: x in ["rf", "svm"],
        {"rf": 1}.get,
        lambda x: str(x) in {"rf", "svm"},
        lambda x: {"rf": 1}.get(f"{x}"),
        lambda x: f"{x}-x" == "rf-x",
        lambda x: bool(str(x)),
        lambda x: "rf" in f"kind={x}",
        lambda x: "".join([str(x)]),
        lambda x: str(x).strip(),
        lambda x: str(x).encode(),
        lambda x: re.match("rf", str(x)),
        lambda x: x + 1,
        lambda x: x == 1,
        lambda x: x.shape,
        lambda x: x["a"],
    ],
)
def test_working_with_an_output_before_it_has_a_value_is_explained(use):
    look_at_results.compile()
    with pytest.raises(AuthoringError, match="What step 'double' returns has no value yet"):
        use(seen["one"])


def test_an_output_is_shown_by_repr_and_logged_as_what_it_is(capsys, caplog):
    look_at_results.compile()
    one, text = seen["one"], "<output 'output' of step 'double'>"
    print(repr(one), f"{one!r}", [one])  # noqa: T201  # what is tested
    assert capsys.readouterr().out == f"{text} {text} [{text}]\n"
    logging.getLogger("x").warning("got %s, %r", one, one)
    logging.getLogger("x").warning(one)
    assert caplog.messages == [f"got {text}, {text}", text]


def test_who_prints_an_output_is_told_how():
    look_at_results.compile()
    with pytest.raises(
        AuthoringError, match=r"To see in print what it stands for, say print\(repr\(output\)\)"
    ):
        print(seen["one"])  # noqa: T201  # what is tested


def test_options_change_in_a_copy_or_in_place():
    renamed = double.with_options(name="twice", retry={"max_retries": 2})
    assert (renamed.name, double.name) == ("twice", "double")
    assert divide.with_options(extra={"a": 1}).with_options(extra={"b": 2}).options["extra"] == {
        "a": 1,
        "b": 2,
    }
    assert step(double.entrypoint).configure(queue="gpu").options == {"queue": "gpu"}


def test_an_unknown_option_is_refused_with_the_one_meant():
    with pytest.raises(
        AuthoringError, match=r"@step has no option 'enable_cash'. Did you mean 'enable_cache'"
    ):
        step(enable_cash=True)(double.entrypoint)
    with pytest.raises(AuthoringError, match=r"@pipeline has no option 'nmae'. Did you mean 'name'"):
        look_at_results.with_options(nmae="x")


def test_a_function_that_is_async_is_told_what_to_do():
    async def fetch(): ...

    with pytest.raises(
        AuthoringError, match=r"and fetch\(\) is async: have a plain one call it with asyncio.run\(\)"
    ):
        step(fetch)


def test_only_plain_functions_become_steps():
    async def later() -> None: ...

    for candidate in (later, double, "double"):
        with pytest.raises(AuthoringError, match="@step wants a plain function"):
            step(candidate)


def test_steps_and_pipelines_are_pickled_by_reference():
    assert pickle.loads(pickle.dumps([double, look_at_results])) == [double, look_at_results]


@pipeline
def shadowed_keywords():
    after_other(id=1, after=2)


def test_a_step_may_have_parameters_called_id_and_after():
    [only] = shadowed_keywords.compile().steps
    assert only.parameters == {"id": 1, "after": 2}
