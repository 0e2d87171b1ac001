"""Any body that the schema allows, and many that it does not, get an answer or a refusal in
OpenAI's form: never a 500."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, settings

schemathesis = pytest.importorskip(
    "schemathesis", reason="needs schemathesis: pip install 'veneer[test]'"
)

from tiny import tiny  # noqa: E402
from veneer.serve.requests import Limits  # noqa: E402
from veneer.serve.schema import ChatBody, TextBody  # noqa: E402
from veneer.serve.served import Served  # noqa: E402
from veneer.systems.system import System  # noqa: E402
from veneer_server import serving  # noqa: E402

PATHS = {"/v1/chat/completions": ChatBody, "/v1/completions": TextBody}


def openapi() -> dict:
    """The server's two POST routes, with the fields that it reads."""
    schemas: dict = {}
    paths: dict = {"/health": {"get": {"responses": {"200": {"description": "alive"}}}}}
    for path, kind in PATHS.items():
        own = kind.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= own.pop("$defs", {})
        own["properties"]["model"] = {"enum": ["base", "none"]}
        schemas[kind.__name__] = own
        body = {"application/json": {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}}}
        paths[path] = {
            "post": {
                "requestBody": {"required": True, "content": body},
                "responses": {"200": {"description": "an answer"}},
            }
        }
    info = {"title": "veneer serve", "version": "1"}
    return {
        "openapi": "3.1.0",
        "info": info,
        "paths": paths,
        "components": {"schemas": schemas},
    }


schema = schemathesis.openapi.from_dict(openapi())
schema.config.generation.update(modes=list(schemathesis.GenerationMode))


@pytest.fixture(scope="module")
def server():
    limits = Limits(max_tokens=4, max_rows=8, max_body=20_000)
    lm = tiny(max_position_embeddings=256)
    with serving([Served(System.of_model(lm))], limits=limits) as running:
        yield running


@schema.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_no_request_is_an_internal_error(case, server):
    reply = case.call(base_url=server.address)
    assert reply.status_code in (200, 400, 404, 405, 408, 413, 415), reply.text
    if reply.status_code != 200:
        error = json.loads(reply.text)["error"]
        assert set(error) == {"message", "type", "param", "code"} and error["message"]
        assert len(error["message"]) < 1000
