"""Requests made up from the server's own description of itself: none of them is a 500."""

from __future__ import annotations

import pytest

schemathesis = pytest.importorskip("schemathesis", reason="no schemathesis: pip install -c constraints.txt schemathesis")

from hypothesis import HealthCheck, given, settings  # noqa: E402
from schemathesis import GenerationMode  # noqa: E402

from tests.unit.scripted import Scripted  # noqa: E402
from tests.unit.served import GOOD, served  # noqa: E402

PATHS = ["/v1/chat/completions", "/v1/completions", "/v1/models", "/healthz", "/readyz", "/metrics", "/"]


@pytest.fixture(scope="module")
def api(clinical):
    with served(Scripted(GOOD), policy=clinical) as one:
        yield schemathesis.openapi.from_url(f"{one.url}/openapi.json")


def test_every_route_is_described(api):
    assert sorted(operation.ok().path for operation in api.get_all_operations()) == sorted(PATHS)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fitting", "unfitting"])
@pytest.mark.parametrize("path", PATHS)
def test_no_request_is_a_500_and_every_answer_is_as_described(api, path, mode):
    operation = next(one.ok() for one in api.get_all_operations() if one.ok().path == path)
    seen: list[int] = []

    @settings(max_examples=60 if "completions" in path else 5, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        if isinstance(case.body, dict) and mode is GenerationMode.POSITIVE:
            # Any other name is a 404, however interesting the rest.
            case.body["model"] = "scripted"
            for message in case.body.get("messages", [])[-1:]:
                message["role"] = "user"
        response = case.call()
        seen.append(response.status_code)
        assert response.status_code < 500
        if response.status_code >= 400:
            assert set(response.json()["error"]) == {"message", "type", "param", "code"}
        case.validate_response(response, checks=[schemathesis.checks.not_a_server_error, *_checks()])

    if mode is GenerationMode.NEGATIVE and not operation.body:
        pytest.skip("nothing in it could be wrong")
    ask()
    if "completions" in path and mode is GenerationMode.POSITIVE:
        assert 200 in seen


def _checks() -> list:
    from schemathesis.specs.openapi import checks

    return [checks.status_code_conformance, checks.content_type_conformance, checks.response_schema_conformance]
