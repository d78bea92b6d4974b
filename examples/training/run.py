"""Train a classifier on a table and see how well it does on rows that it has never seen."""

from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from matplotlib.figure import Figure
from pydantic import Field
from sklearn.base import ClassifierMixin
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    accuracy_score,
    balanced_accuracy_score,
    classification_report,
    f1_score,
)
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from zenweb import File, pipeline, step

DATASETS = {
    "breast cancer": load_breast_cancer,
    "digits": load_digits,
    "iris": load_iris,
    "wine": load_wine,
}
MOST_CLASSES = 50
MAX_SEED = 2**32 - 1


@step
def loader(
    dataset: Literal["breast cancer", "digits", "iris", "wine"] = "breast cancer",
    csv_path: Annotated[Path | None, Field(title="CSV file"), File(types=[".csv"])] = None,
    target_column: str | None = None,
    test_size: Annotated[float, Field(ge=0.05, le=0.5)] = 0.25,
    random_state: Annotated[int, Field(ge=0, le=MAX_SEED)] = 42,
) -> tuple[Annotated[pd.DataFrame, "train_set"], Annotated[pd.DataFrame, "test_set"]]:
    """Get the data and put some rows aside for the test.

    Args:
        dataset: Which of the data sets to learn from. Each is small enough to train on in seconds.
        csv_path: Your own data instead: a CSV file with one example per row and the names of the columns in the first
            line. Leave empty to use the data set chosen above.
        target_column: The column of your CSV file that is to be predicted. Leave empty to take the last one.
        test_size: How much of the data is kept back to test the model: 0.25 is every fourth row.
        random_state: Chooses which rows are kept back. The same number chooses the same rows again.
    """
    table = read_csv(csv_path, target_column) if csv_path else read_dataset(dataset)
    print(
        f"{len(table):,} rows, {table.shape[1] - 1} columns to learn from, predicting '{table.columns[-1]}'"
    )
    train_set, test_set = train_test_split(
        table, test_size=test_size, random_state=random_state, stratify=table.iloc[:, -1]
    )
    return train_set, test_set


@step
def trainer(
    train_set: pd.DataFrame,
    model_type: Literal["gradient boosting", "random forest", "logistic regression"] = "gradient boosting",
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.1,
    n_estimators: Annotated[int, Field(title="Number of trees", ge=1, le=2000)] = 100,
    max_depth: Annotated[int, Field(ge=1, le=50)] | None = 3,
    random_state: Annotated[int, Field(ge=0, le=MAX_SEED)] = 42,
) -> Annotated[Pipeline, "model"]:
    """Train the model on the rows that were not put aside.

    Args:
        model_type: What kind of model learns. Gradient boosting is often the most accurate, a random forest forgives
            most, logistic regression is the simplest.
        learning_rate: How far each new tree of gradient boosting corrects those before it. Smaller learns more
            carefully and needs more trees. The other models do not use it.
        n_estimators: How many trees gradient boosting or a random forest grows. More take longer.
        max_depth: How many questions a tree may ask one after the other. Leave empty for as many as it takes.
        random_state: Fixes what is left to chance while training. The same number gives the same model again.
    """
    trees = {"n_estimators": n_estimators, "max_depth": max_depth, "random_state": random_state}
    classifiers: dict[str, ClassifierMixin] = {
        "gradient boosting": GradientBoostingClassifier(learning_rate=learning_rate, **trees),
        "random forest": RandomForestClassifier(**trees),
        "logistic regression": LogisticRegression(max_iter=1000, random_state=random_state),
    }
    features, target = split_target(train_set)
    model = make_pipeline(preparation(), classifiers[model_type]).fit(features, target)
    print(
        f"Trained {model_type} on {len(train_set):,} rows, of which it gets {model.score(features, target):.1%} right"
    )
    return model


@step
def evaluator(
    model: Pipeline, test_set: pd.DataFrame
) -> tuple[
    Annotated[dict[str, float], "metrics"],
    Annotated[pd.DataFrame, "report_per_class"],
    Annotated[Figure, "confusion_matrix"],
]:
    """Test the model on the rows that were put aside."""
    features, target = split_target(test_set)
    predicted = model.predict(features)
    metrics = {
        "accuracy": float(accuracy_score(target, predicted)),
        "balanced_accuracy": float(balanced_accuracy_score(target, predicted)),
        "f1": float(f1_score(target, predicted, average="macro")),
        "test_rows": len(test_set),
    }
    print(f"Accuracy: {metrics['accuracy']:.4f} on {len(test_set):,} rows the model had not seen")
    return metrics, report_per_class(target, predicted), confusion_matrix(target, predicted)


@pipeline
def training_pipeline() -> None:
    """Train a classifier and measure how often it is right.

    Choose one of the data sets that come along or give your own CSV file, choose a model, and see its accuracy, a
    report on each class and which classes it takes for which.
    """
    train_set, test_set = loader()
    model = trainer(train_set)
    evaluator(model, test_set)


# In every table the last column is what is to be predicted.


def read_dataset(name: str) -> pd.DataFrame:
    data = DATASETS[name](as_frame=True)
    table: pd.DataFrame = data.data
    return table.assign(target=[str(data.target_names[number]) for number in data.target])


def read_csv(path: Path, target_column: str | None) -> pd.DataFrame:
    table = pd.read_csv(path)
    target = target_column or str(table.columns[-1])
    if target not in table:
        raise ValueError(f"There is no column '{target}' in {path.name}. It has: {', '.join(table.columns)}.")
    classes = table[target].nunique()
    if not 2 <= classes <= MOST_CLASSES:
        raise ValueError(
            f"The column '{target}' has {classes:,} different values. A classifier needs between 2 and {MOST_CLASSES}."
        )
    flags = table.select_dtypes("bool").columns
    table = table.dropna(subset=[target]).astype(dict.fromkeys(flags, "int64") | {target: "str"})
    return table[[*table.columns.drop(target), target]]


def split_target(table: pd.DataFrame) -> tuple[pd.DataFrame, "pd.Series[str]"]:
    return table.iloc[:, :-1], table.iloc[:, -1]


def preparation() -> ColumnTransformer:
    """Fills gaps, brings numbers to one scale and turns texts into numbers."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    texts = make_pipeline(
        SimpleImputer(strategy="most_frequent"),
        OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=30, sparse_output=False),
    )
    return make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (texts, make_column_selector(dtype_exclude="number")),
    )


def report_per_class(target: "pd.Series[str]", predicted: object) -> pd.DataFrame:
    report = classification_report(target, predicted, output_dict=True, zero_division=0)
    classes = {name: scores for name, scores in report.items() if name in set(target)}
    table = pd.DataFrame.from_dict(classes, orient="index").rename(columns={"support": "rows"})
    return table.astype({"rows": "int64"}).round(3).reset_index(names="class")


def confusion_matrix(target: "pd.Series[str]", predicted: object) -> Figure:
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots()
    ConfusionMatrixDisplay.from_predictions(
        target, predicted, ax=axes, cmap="Blues", colorbar=False, xticks_rotation=45
    )
    axes.set(title="What the model takes for what", xlabel="predicted", ylabel="true")
    return figure


if __name__ == "__main__":
    training_pipeline()
