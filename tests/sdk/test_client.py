"""The client asks for the right things in the right order. Only the network is replaced."""

import json
import uuid

import httpx
import pytest

from zenweb.client import Client
from zenweb.config.pipeline_run_configuration import PipelineRunConfiguration
from zenweb.enums import ExecutionStatus
from zenweb.exceptions import DoesNotExist, ServerUnreachable, ValidationFailed
from zenweb.transport import Transport

RUN, TEMPLATE, PIPELINE, DEPLOYMENT, STEP, ARTIFACT = (str(uuid.UUID(int=number)) for number in range(1, 7))
API = "/api/v1"


def entity(id_, name, body=None, metadata=None, resources=None):
    return {"id": id_, "name": name, "body": body or {}, "metadata": metadata, "resources": resources}


def page(*items, index=1, total_pages=1):
    return {
        "items": list(items),
        "total": len(items),
        "index": index,
        "total_pages": total_pages,
        "max_size": 20,
    }


def run(status="initializing", **keys):
    return (
        entity(RUN, "nightly", {"status": status, "deployment_id": DEPLOYMENT, "url": f"/runs/{RUN}"}) | keys
    )


def template(runnable=True, id_=TEMPLATE, hydrated=False):
    config = {"run_name": "x", "steps": {"trainer": {"parameters": {"learning_rate": 0.1}}}}
    metadata = {"config_template": config, "config_schema": {"type": "object"}, "description": None}
    return entity(
        id_, "daily", {"runnable": runnable, "hidden": False, "version": 1}, metadata if hydrated else None
    )


@pytest.fixture
def server():
    """A network that answers by method and path; several answers to one are given one after the other."""
    return FakeServer()


class FakeServer:
    def __init__(self):
        self.answers, self.requests = {}, []
        self.client = Client(Transport("http://server", "key", httpx.MockTransport(self._answer)))

    def on(self, method, path, *answers):
        self.answers[method, API + path] = list(answers)

    def bodies(self, method, path):
        wanted = [
            r
            for r in self.requests
            if (r.method, r.url.raw_path.decode().partition("?")[0]) == (method, API + path)
        ]
        return [json.loads(request.content) if request.content else None for request in wanted]

    def _answer(self, request):
        self.requests.append(request)
        answers = self.answers.get((request.method, request.url.raw_path.decode().partition("?")[0]))
        if not answers:
            return httpx.Response(404, json={"detail": ["KeyError", f"There is no {request.url.path}."]})
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, text=json.dumps(answer))


def test_a_filter_that_the_server_does_not_know_is_told(server, caplog):
    server.on(
        "GET", "/runs", page(run()) | {"warnings": ["There is no filter 'statuss', so it was ignored."]}
    )
    assert len(server.client.list_pipeline_runs(statuss="failed")) == 1
    assert "There is no filter 'statuss'" in caplog.text


def test_a_template_is_triggered_by_name_with_the_changed_configuration(server):
    server.on("GET", "/run_templates/daily", template(hydrated=True))
    server.on("POST", f"/run_templates/{TEMPLATE}/runs", run())
    daily = server.client.get_run_template("daily")
    config = daily.config_template
    config.steps["trainer"].parameters["learning_rate"] = 0.5
    started = server.client.trigger_pipeline(template_id=daily.id, run_configuration=config)
    assert server.bodies("POST", f"/run_templates/{TEMPLATE}/runs") == [
        {"run_name": "x", "steps": {"trainer": {"parameters": {"learning_rate": 0.5}}}}
    ]
    assert (str(started.deployment_id), started.url) == (DEPLOYMENT, f"http://server/runs/{RUN}")


def test_what_a_short_answer_left_out_is_asked_for_when_read(server):
    server.on("GET", "/run_templates/daily", template())
    server.on("GET", f"/run_templates/{TEMPLATE}", template(hydrated=True))
    daily = server.client.get_run_template(name="daily", hydrate=False)
    assert (str(daily.id), len(server.requests)) == (TEMPLATE, 1)
    assert daily.config_template["steps"]["trainer"]["parameters"]["learning_rate"] == 0.1
    assert daily.config_template is daily.config_template
    assert len(server.requests) == 2


def test_the_manuals_first_sample_sends_its_plain_configuration_to_the_name(server):
    server.on("POST", "/run_templates/daily-retraining/runs", run())
    server.client.trigger_pipeline(
        template_id="daily-retraining",
        run_configuration={"steps": {"data_loader": {"parameters": {"data_path": "s3://new-data/"}}}},
    )
    assert server.bodies("POST", "/run_templates/daily-retraining/runs") == [
        {"steps": {"data_loader": {"parameters": {"data_path": "s3://new-data/"}}}}
    ]


def test_by_pipeline_name_the_newest_runnable_template_is_run(server):
    broken, newest = template(False, str(uuid.uuid4())), template()
    server.on("GET", "/pipelines/training", entity(PIPELINE, "training"))
    server.on("GET", "/run_templates", page(broken, total_pages=2), page(newest, index=2, total_pages=2))
    server.on("POST", f"/run_templates/{TEMPLATE}/runs", run())
    server.client.trigger_pipeline("training", stack_name_or_id="celery")
    listed = dict(server.requests[1].url.params)
    assert listed["pipeline_id"] == PIPELINE
    assert (listed["sort_by"], listed["stack"], listed["hidden"]) == ("desc:created", "celery", "false")


def test_a_pipeline_without_a_runnable_template_says_so(server):
    server.on("GET", "/pipelines/training", entity(PIPELINE, "training"))
    server.on("GET", "/run_templates", page(template(runnable=False)))
    with pytest.raises(
        DoesNotExist, match=r"^Unable to find a runnable template for the given stack and pipeline\.$"
    ):
        server.client.trigger_pipeline("training")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "You need to specify exactly one of pipeline or template to trigger."),
        (
            {"pipeline_name_or_id": "a", "template_id": "b", "config_path": "c", "run_configuration": {}},
            "You need to specify exactly one of pipeline or template to trigger.",
        ),
        (
            {"template_id": "b", "config_path": "c", "run_configuration": {}},
            "Only config path or runtime configuration can be specified.",
        ),
        (
            {"template_id": "b", "stack_name_or_id": "c"},
            "A template runs on its own stack: give a stack only with a pipeline.",
        ),
    ],
)
def test_contradictions_are_refused_without_asking_the_server(server, arguments, message):
    with pytest.raises(ValidationFailed, match=f"^{message}$"):
        server.client.trigger_pipeline(**arguments)
    assert server.requests == []


def test_a_configuration_file_is_sent_as_it_is(server, tmp_path):
    (tmp_path / "run.yaml").write_text("steps: {trainer: {parameters: {country: NO}}}\nstepz: {}\n")
    server.on("POST", "/run_templates/daily/runs", run())
    server.client.trigger_pipeline(template_id="daily", config_path=tmp_path / "run.yaml")
    [body] = server.bodies("POST", "/run_templates/daily/runs")
    assert body == {"steps": {"trainer": {"parameters": {"country": "NO"}}}, "stepz": {}}


def test_synchronous_waits_for_the_end(server, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    server.on("POST", "/run_templates/daily/runs", run())
    server.on("GET", f"/runs/{RUN}/status", "running", "running", "failed")
    server.on("GET", f"/runs/{RUN}", run("failed"))
    ended = server.client.trigger_pipeline(template_id="daily", synchronous=True)
    assert ended.status is ExecutionStatus.FAILED


def test_waiting_outlives_a_server_that_is_started_again(server, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    busy = httpx.Response(503, json={"detail": ["RuntimeError", "Busy."]})
    server.on("GET", "/runs/nightly", run())
    server.on("GET", f"/runs/{RUN}/status", busy, "running", *[httpx.Response(502)] * 12, busy, "completed")
    server.on("GET", f"/runs/{RUN}", *[httpx.Response(502)] * 4, run("completed"))
    assert server.client.get_pipeline_run("nightly").wait().status is ExecutionStatus.COMPLETED


def test_waiting_for_a_server_that_stays_away_ends(server, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr("zenweb.patience.SECONDS", 0)
    server.on("GET", "/runs/nightly", run())
    server.on("GET", f"/runs/{RUN}/status", "running", httpx.Response(502))
    with pytest.raises(ServerUnreachable):
        server.client.get_pipeline_run("nightly").wait()


def test_waiting_uses_all_of_its_time_and_looks_once_more(server, monkeypatch):
    rests, clock = [], [0.0]

    def rest(seconds):
        rests.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr("time.sleep", rest)
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    server.on("GET", "/runs/nightly", run())
    server.on("GET", f"/runs/{RUN}/status", "running")
    waiting = server.client.get_pipeline_run("nightly")
    with pytest.raises(TimeoutError):
        waiting.wait(timeout=10)
    looks = len(server.bodies("GET", f"/runs/{RUN}/status"))
    assert (clock[0], looks) == (pytest.approx(10), len(rests) + 2)


def test_waiting_ends_at_its_time_limit_and_says_that_the_run_goes_on(server):
    server.on("GET", "/runs/nightly", run())
    server.on("GET", f"/runs/{RUN}/status", "running")
    with pytest.raises(TimeoutError, match=rf"Run nightly has not ended within 0 seconds. .*/runs/{RUN}"):
        server.client.get_pipeline_run("nightly").wait(timeout=0)


def test_what_a_run_did_not_act_on_is_told(server, caplog):
    server.on("POST", "/run_templates/daily/runs", run(warnings=["/model: accepted, no effect"]))
    server.client.trigger_pipeline(
        template_id="daily", run_configuration=PipelineRunConfiguration(model={"name": "x"})
    )
    told = [record.getMessage() for record in caplog.records if record.name == "zenweb.client"]
    assert told == ["/model: accepted, no effect"]


def test_a_template_is_made_of_a_run(server):
    server.on("GET", "/runs/nightly", run())
    server.on("POST", "/run_templates", template())
    client = server.client
    client.create_run_template(name="daily", deployment_id=client.get_pipeline_run("nightly").deployment_id)
    assert server.bodies("POST", "/run_templates") == [
        {
            "name": "daily",
            "source_deployment_id": DEPLOYMENT,
            "description": None,
            "tags": None,
            "update": False,
        }
    ]


def test_templates_are_changed_and_deleted_by_a_name_with_any_character(server):
    server.on("PUT", "/run_templates/a%2Fb%20c", template())
    server.on("DELETE", "/run_templates/a%2Fb%20c", None)
    server.client.update_run_template("a/b c", hidden=True, add_tags=["prod"])
    server.client.delete_run_template("a/b c")
    [body] = server.bodies("PUT", "/run_templates/a%2Fb%20c")
    assert {key: value for key, value in body.items() if value is not None} == {
        "hidden": True,
        "add_tags": ["prod"],
    }


def test_steps_of_a_run_lead_to_their_outputs(server):
    artifact = {"artifact": {"name": "score"}, "version": "2", "uri": "/store/score", "type": "DataArtifact"}
    classes = {
        "materializer": {"module": "m", "attribute": "M"},
        "data_type": {"module": "builtins", "attribute": "float"},
    }
    step = entity(
        STEP,
        "trainer",
        {"status": "completed"},
        {},
        {"outputs": {"score": [entity(ARTIFACT, None, {**artifact, **classes})]}},
    )
    server.on("GET", "/runs/nightly", run())
    server.on("GET", f"/runs/{RUN}/steps", page(step))
    score = server.client.get_pipeline_run("nightly").steps["trainer"].outputs["score"]
    assert (score.name, score.version, score.materializer, score.data_type) == (
        "score",
        "2",
        "m.M",
        "builtins.float",
    )


def test_a_thing_says_what_it_is_and_asks_for_nothing(server):
    server.on("GET", "/runs/nightly", run("failed"))
    server.on("GET", "/artifact_versions/1", entity(ARTIFACT, None))
    found, value = server.client.get_pipeline_run("nightly"), server.client.get_artifact_version("1")
    assert repr(found) == f"<PipelineRunResponse 'nightly' failed {RUN}>"
    assert repr(value) == f"<ArtifactVersionResponse {ARTIFACT}>"
    assert found == server.client.get_pipeline_run("nightly") != value
    assert len(server.requests) == 3


def test_a_page_goes_on_over_the_pages_after_it_each_when_it_is_reached(server):
    first, second = (entity(str(uuid.UUID(int=number)), str(number)) for number in (7, 8))
    server.on("GET", "/stacks", page(first, total_pages=2), page(second, index=2, total_pages=2))
    found = server.client.list_stacks(size=1).all()
    assert (next(found).name, len(server.requests)) == ("7", 1)
    assert [stack.name for stack in found] == ["8"]
    assert dict(server.requests[1].url.params) == {"size": "1", "page": "2"}


def test_a_log_is_followed_on_where_the_server_ends_an_answer_and_nothing_is_told_twice(server):
    def lines(*told):
        return httpx.Response(200, text="\n".join(json.dumps(each) for each in told))

    first, second = {"step": "a", "attempt": 1, "text": "one "}, {"step": "a", "attempt": 2, "text": "again"}
    server.on("GET", "/runs/nightly", run())
    server.on(
        "GET",
        f"/runs/{RUN}/logs",
        lines(first, {"goes_on": True}),
        lines({**first, "text": "on"}, {**first, "text": "e two"}, second, {"goes_on": True}),
        lines({**first, "text": "one two"}, second, {**second, "text": "!"}),
    )
    heard = [(p.attempt, p.text) for p in server.client.get_pipeline_run("nightly").follow_logs()]
    assert heard == [(1, "one "), (1, "two"), (2, "again"), (2, "!")]


def test_a_log_that_broke_off_goes_on_where_it_was(server, monkeypatch):
    class Broken(httpx.SyncByteStream):
        def __iter__(self):
            yield b'{"step": "a", "attempt": 1, "text": "one "}\n'
            raise httpx.ReadError("broken off")

    monkeypatch.setattr("time.sleep", lambda _: None)
    busy = httpx.Response(503, json={"detail": ["RuntimeError", "Busy."]})
    whole = httpx.Response(200, text='{"step": "a", "attempt": 1, "text": "one two"}')
    server.on("GET", "/runs/nightly", run())
    server.on("GET", f"/runs/{RUN}/logs", busy, httpx.Response(200, stream=Broken()), busy, whole)
    assert [p.text for p in server.client.get_pipeline_run("nightly").follow_logs()] == ["one ", "two"]


def test_a_log_of_a_server_that_stays_away_ends(server, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr("zenweb.patience.SECONDS", -1)
    server.on("GET", "/runs/nightly", run())
    server.on("GET", f"/runs/{RUN}/logs", httpx.Response(502))
    with pytest.raises(ServerUnreachable):
        list(server.client.get_pipeline_run("nightly").follow_logs())


def test_an_artifact_version_is_found_by_id_or_as_the_newest_of_a_name(server):
    version = entity(ARTIFACT, None, {"artifact": {"name": "score"}, "version": "2"})
    server.on("GET", f"/artifact_versions/{ARTIFACT}", version)
    server.on("GET", "/artifact_versions", page(version), page())
    assert server.client.get_artifact_version(uuid.UUID(ARTIFACT)).name == "score"
    assert server.client.get_artifact_version("score").version == "2"
    assert dict(server.requests[-1].url.params)["sort_by"] == "desc:version"
    with pytest.raises(DoesNotExist, match="no artifact 'score' with version 9"):
        server.client.get_artifact_version("score", version=9)


def test_a_template_that_is_refreshed_has_the_values_of_then(server):
    changed = template(hydrated=True)
    changed["metadata"]["config_template"] = {"steps": {"trainer": {"parameters": {"learning_rate": 0.2}}}}
    server.on("GET", "/run_templates/daily", template(hydrated=True))
    server.on("GET", f"/run_templates/{TEMPLATE}", changed)
    found = server.client.get_run_template("daily")
    before = found.config_template.steps["trainer"].parameters["learning_rate"]
    found.config_template.steps["trainer"].parameters["learning_rate"] = 7
    assert found.config_template.steps["trainer"].parameters["learning_rate"] == 7
    now = found.refresh().config_template.steps["trainer"].parameters["learning_rate"]
    assert (before, now) == (0.1, 0.2)


@pytest.mark.parametrize(
    ("change", "method", "path"),
    [
        (lambda client: client.update_run_template("daily", name="x"), "PUT", "/run_templates/daily"),
        (lambda client: client.delete_run_template("daily"), "DELETE", "/run_templates/daily"),
        (lambda client: client.update_schedule("daily", name="x"), "PUT", "/schedules/daily"),
        (lambda client: client.delete_schedule("daily"), "DELETE", "/schedules/daily"),
    ],
)
def test_what_may_mean_another_thing_the_second_time_is_sent_again_with_one_key(
    server, monkeypatch, change, method, path
):
    monkeypatch.setattr("time.sleep", lambda _: None)
    server.on(method, path, httpx.Response(502), httpx.Response(404, json={"detail": ["KeyError", "Gone."]}))
    with pytest.raises(DoesNotExist):  # a server that had done it would have said so
        change(server.client)
    assert len({request.headers["Idempotency-Key"] for request in server.requests}) == 1


@pytest.mark.parametrize(
    ("change", "method", "thing"),
    [
        (lambda client: client.update_run_template(TEMPLATE, name="x"), "PUT", TEMPLATE),
        (lambda client: client.update_run_template("daily", hidden=True), "PUT", "daily"),
        (lambda client: client.delete_run_template(TEMPLATE), "DELETE", TEMPLATE),
    ],
)
def test_what_means_the_same_the_second_time_is_sent_again(server, monkeypatch, change, method, thing):
    monkeypatch.setattr("time.sleep", lambda _: None)
    server.on(method, f"/run_templates/{thing}", httpx.Response(502), template())
    change(server.client)
    assert len(server.requests) == 2
