"""Estimators of scikit-learn, and of the libraries that build on it (XGBoost, LightGBM, CatBoost)."""

import platform
from typing import Any

from zenweb.artifacts.materializers.base import Materializer
from zenweb.artifacts.materializers.pickles import read_pickle, write_pickle
from zenweb.artifacts.previews import MAX_TABLE_ROWS, PreviewDraft, displayed, table_preview
from zenweb.enums import ArtifactType


class EstimatorMaterializer(Materializer):
    """cloudpickle, as scikit-learn recommends for models that are loaded by the code that trained them."""

    ASSOCIATED_TYPES = ("sklearn.base.BaseEstimator",)
    ASSOCIATED_ARTIFACT_TYPE = ArtifactType.MODEL

    def save(self, value: Any, uri: str) -> None:
        write_pickle(value, uri)

    def load(self, uri: str) -> Any:
        return read_pickle(uri)

    def metadata(self, value: Any) -> dict[str, Any]:
        return super().metadata(value) | {
            "parameters": displayed(value.get_params(deep=False)),
            "python_version": platform.python_version(),
        }

    def preview(self, value: Any) -> PreviewDraft:
        parameters = value.get_params(deep=False)
        rows = [[name, parameters[name]] for name in sorted(parameters)[:MAX_TABLE_ROWS]]
        return table_preview(["parameter", "value"], rows, total_rows=len(parameters))
