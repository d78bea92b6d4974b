"""What a checker has to find: every line that says so, and no other."""

from zenweb import pipeline, step
from zenweb.client import Client


@step(retry="twice")  # wrong
def first() -> int:
    return 1


@step(retries={"max_retries": 2})  # wrong
def second() -> int:
    return 2


@step(timeout="an hour")  # wrong
def third() -> int:
    return 3


@pipeline(tags="nightly")  # wrong
def pipeline_of_tags() -> None: ...


@pipeline(steps=[first])  # wrong
def pipeline_of_steps() -> None: ...


@step
def fourth() -> int:
    return 4


@pipeline
def plain_pipeline(size: int = 3) -> None: ...


text: str = fourth()  # wrong
fourth.with_options(enable_cache="no")  # wrong
fourth.configure(colour="red")  # wrong
plain_pipeline.create_run_template()  # wrong
Client().create_run_template("name", deployment_id=3)  # wrong
Client().trigger_pipeline(template_id=3.5)  # wrong
Client().get_run_template("name").nmae  # wrong
