"""A step that is given secrets and tells them wherever it can."""

import sys
import time
from typing import Annotated

from pydantic import BaseModel, Field, SecretStr

from zenweb import log_metadata, pipeline, step


class Login(BaseModel):
    user: str
    password: SecretStr


@step
def tells(
    token: SecretStr,
    login: Login | None = None,
    tokens: list[SecretStr] = [],
    how: str = "quietly",
    times: Annotated[int, Field(ge=1)] = 1,
) -> Annotated[int, "length"]:
    said = token.get_secret_value()
    if how == "loudly":
        print(f"the token is {said}; in JSON {[said]!r}")
        sys.stdout.write(said[:5])
        sys.stdout.flush()
        time.sleep(0.5)  # the worker has looked at it meanwhile
        print(said[5:])
        log_metadata({"token": said, "all": [said, {said: 1}]})
        log_metadata({"length": said}, infer_artifact=True)
    if how == "failing":
        print(said, file=sys.stderr)
        raise ValueError(f"{said} was refused")
    return len(said) + sum(len(each.get_secret_value()) for each in tokens)


@pipeline
def secretive_pipeline() -> None:
    tells()
