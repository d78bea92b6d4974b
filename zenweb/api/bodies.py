"""Request bodies: JSON becomes a typed value at the door, or an error that names every place."""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails
from rest_framework.request import Request

from zenweb.exceptions import FieldError, ValidationFailed
from zenweb.pointers import pointer_to

NO_OBJECT = frozenset({"model_type", "model_attributes_type", "dataclass_type", "dict_type"})
Model = TypeVar("Model", bound=BaseModel)


class Body(BaseModel):
    """A request body; keys that ZenML's clients send and nobody needs are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True)


def read_body(model: type[Model], request: Request) -> Model:
    """The body as the model; raises ValidationFailed with every error and its pointer."""
    try:
        return model.model_validate(request.data if request.data is not None else {})
    except ValidationError as error:
        raise ValidationFailed(
            [FieldError(pointer_to(entry["loc"]), in_plain_words(entry)) for entry in error.errors()]
        ) from error


def in_plain_words(error: ErrorDetails) -> str:
    """What pydantic says of a place, without the names of our classes."""
    if error["type"] in NO_OBJECT:
        return "This must be an object with named values."
    return error["msg"]
