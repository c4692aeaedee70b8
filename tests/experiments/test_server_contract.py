"""The image server keeps to its own OpenAPI description, whatever it is sent."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import positive_data_acceptance
from tests.tools.painting import Painter, serving

from genagent_tools import BatchConfig

EVERY_CHECK: list[HealthCheck] = list(HealthCheck)  # pyright: ignore[reportAssignmentType]


class Unfailing(Painter):
    """Draws every prompt, "bad" ones too: no 5xx is anybody's fault but the server's."""

    def draw(self, prompts, seeds, settings):
        return super().draw([f"good {prompt}" for prompt in prompts], seeds, settings)


@pytest.fixture(scope="module")
def description():
    batching = BatchConfig(max_batch=4, max_wait_ms=0.0)
    with serving(Unfailing(), batching=batching, max_body=20_000) as url:
        yield schemathesis.openapi.from_url(url + "/openapi.json")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/images/generations"),
        ("GET", "/v1/models"),
        ("GET", "/healthz"),
        ("GET", "/metrics"),
    ],
)
def test_every_answer_is_one_that_was_described_and_nothing_breaks_the_server(
    description, method, path
):
    operation = description[path][method]
    modes = list(schemathesis.GenerationMode)
    cases = st.one_of(*[operation.as_strategy(generation_mode=mode) for mode in modes])

    @given(case=cases)
    @settings(max_examples=150, deadline=None, suppress_health_check=EVERY_CHECK)
    def holds(case):
        response = case.call()
        assert response.status_code < 500
        # What is well-formed may still be too large, or not this model's to do: 400.
        case.validate_response(response, excluded_checks=[positive_data_acceptance])
        if response.status_code >= 400:
            assert set(response.json()["error"]) == {"message", "type", "param", "code"}

    holds()
