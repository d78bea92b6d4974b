"""The examples do what their forms promise. Steps called outside of a pipeline are plain functions."""

import importlib.util
import sys
from datetime import date
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from zenweb.artifacts import materializers
from zenweb.config.compiler import compile_pipeline

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(folder: str) -> ModuleType:
    """Both modules are called `run`, each in its own source root."""
    spec = importlib.util.spec_from_file_location(f"example_{folder}", EXAMPLES / folder / "run.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def training():
    return load("training")


@pytest.fixture(scope="module")
def quality():
    return load("quality_report")


@pytest.fixture(scope="module")
def iris(training):
    return training.loader(dataset="iris")


@pytest.fixture
def orders(quality):
    return quality.reader()


@pytest.fixture
def people(tmp_path):
    """A table as people have it: gaps, texts, yes and no, and the answer not in the last column."""
    ages = [25, 61, 33, 52, 18, 47, 29, 70] * 5
    table = pd.DataFrame(
        {
            "age": [None if number % 9 == 0 else age for number, age in enumerate(ages)],
            "city": ["Bern", "Kiel", None, "Graz"] * 10,
            "member": [True, False] * 20,
            "buys": ["yes" if age > 40 else "no" for age in ages],
            "extra": 1.5,
        }
    )
    table.to_csv(tmp_path / "people.csv", index=False)
    return tmp_path / "people.csv"


@pytest.mark.parametrize("dataset", ["breast cancer", "digits", "iris", "wine"])
def test_a_part_of_each_data_set_is_put_aside(training, dataset):
    train_set, test_set = training.loader(dataset=dataset, test_size=0.5)
    assert abs(len(train_set) - len(test_set)) <= 1
    assert set(train_set.iloc[:, -1]) == set(test_set.iloc[:, -1])


@pytest.mark.parametrize("model_type", ["gradient boosting", "random forest", "logistic regression"])
def test_each_model_learns_what_there_is_to_learn(training, iris, model_type, capsys):
    train_set, test_set = iris
    model = training.trainer(train_set, model_type=model_type, n_estimators=10, max_depth=None)
    metrics, per_class, figure = training.evaluator(model, test_set)
    assert metrics["accuracy"] > 0.85
    assert f"Accuracy: {metrics['accuracy']:.4f}" in capsys.readouterr().out
    assert per_class["class"].tolist() == ["setosa", "versicolor", "virginica"]
    assert per_class["rows"].sum() == len(test_set)
    assert figure.axes[0].get_xlabel() == "predicted"


def test_a_learning_rate_close_to_nothing_teaches_nothing(training, iris):
    train_set, test_set = iris
    model = training.trainer(train_set, learning_rate=1e-9, n_estimators=1)
    assert training.evaluator(model, test_set)[0]["accuracy"] < 0.5


def test_ones_own_csv_with_gaps_texts_and_flags_can_be_learnt_from(training, people):
    train_set, test_set = training.loader(csv_path=people, target_column="buys", test_size=0.3)
    assert list(train_set.columns) == ["age", "city", "member", "extra", "buys"]
    metrics, _, _ = training.evaluator(training.trainer(train_set, n_estimators=20), test_set)
    assert metrics["accuracy"] > 0.8


def test_without_a_choice_the_last_column_is_predicted(training, people):
    with pytest.raises(ValueError, match="'extra' has 1 different values"):
        training.loader(csv_path=people)


def test_a_column_that_is_not_there_is_named_with_those_that_are(training, people):
    with pytest.raises(ValueError, match=r"no column 'sells' .* It has: age, city, member, buys, extra"):
        training.loader(csv_path=people, target_column="sells")


def test_everything_the_training_makes_can_be_stored_without_a_warning(training, iris, tmp_path, caplog):
    train_set, test_set = iris
    model = training.trainer(train_set, n_estimators=5)
    values = [train_set, model, *training.evaluator(model, test_set)]
    saved = [
        materializers.save(value, None, str(tmp_path / str(number))) for number, value in enumerate(values)
    ]
    assert [artifact.preview.kind for artifact in saved] == ["table", "table", "json", "table", "image"]
    assert caplog.records == []


def test_gaps_are_counted_by_all_their_names(quality, orders):
    emails = orders["customer_email"].str.strip()
    found = quality.missing_values(orders, treat_as_missing=["N/A", " unknown"], tolerated_share=0.02)
    assert (
        found.set_index("column").loc["customer_email", "rows"] == emails.isin(["", "n/a", "unknown"]).sum()
    )
    assert "country" not in set(found["column"])


@pytest.mark.parametrize(("ignore_case", "rows"), [(True, 7), (False, 5)])
def test_repeated_orders_are_found(quality, orders, ignore_case, rows):
    found = quality.duplicates(orders, ignore_case=ignore_case)
    assert found["rows"].tolist() == [rows]


def test_rows_alike_in_every_column_are_found_without_a_key(quality, orders):
    assert quality.duplicates(orders, key_columns=[])["rows"].tolist() == [7]


@pytest.mark.parametrize("method", ["QUARTILES", "DEVIATIONS"])
def test_an_order_of_thousands_is_far_from_the_rest(quality, orders, method):
    found = quality.outliers(orders, columns=["quantity"], method=quality.OutlierMethod[method])
    line = found.loc[0, "first_line"]
    assert abs(int(orders["quantity"].iloc[line - 2])) > 20


def test_dates_that_are_none_and_dates_out_of_range_are_told_apart(quality, orders):
    found = quality.date_range(orders, earliest=date(2024, 1, 1), latest=date(2024, 12, 31))
    assert dict(zip(found["problem"], found["rows"], strict=True)) == {
        "not a date": 1,
        "before 2024-01-01": 3,
        "after 2024-12-31": 1,
    }


def test_without_a_latest_day_no_date_is_too_late(quality, orders):
    assert not quality.date_range(orders, latest=None)["problem"].str.startswith("after").any()


def test_the_report_joins_all_checks_worst_first(quality, orders):
    nothing = quality.findings([])
    page, found = quality.report(
        orders, quality.missing_values(orders), quality.duplicates(orders), nothing, nothing, title="<Orders>"
    )
    assert found["rows"].is_monotonic_decreasing
    assert set(found["check"]) == {"missing values", "duplicates"}
    assert "<h1>&lt;Orders&gt;</h1>" in page
    assert page.count("<tr>") == len(found) + 1


def test_a_faultless_table_is_called_fine(quality, orders):
    nothing = quality.findings([])
    page, found = quality.report(orders, nothing, nothing, nothing, nothing)
    assert "rows are fine" in page
    assert len(found) == 0


def test_findings_fail_the_run_where_that_is_asked_for(quality, orders):
    nothing = quality.findings([])
    with pytest.raises(ValueError, match="duplicates in order_id"):
        quality.report(orders, nothing, quality.duplicates(orders), nothing, nothing, fail_on_findings=True)


def test_an_unknown_column_is_named_with_those_that_are_there(quality, orders):
    with pytest.raises(ValueError, match=r"no column 'colour'. The table has: order_id"):
        quality.outliers(orders, columns=["colour"])


@pytest.mark.parametrize(
    ("folder", "name"), [("training", "training_pipeline"), ("quality_report", "quality_report_pipeline")]
)
def test_each_parameter_is_explained_to_who_fills_in_the_form(folder, name, request):
    example = request.getfixturevalue({"training": "training", "quality_report": "quality"}[folder])
    spec = compile_pipeline(getattr(example, name), {})
    for step in spec.steps:
        assert step.description
        for parameter, schema in step.parameters_schema["properties"].items():
            assert schema.get("description"), f"{step.name}.{parameter}"
