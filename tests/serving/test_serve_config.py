"""An agent's server by its options."""

import pytest

from genagent_serving import AgentServerConfig
from genagent_tools import ServerConfig


def test_an_agent_listens_as_its_options_say(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("THE_TOKEN", " 0123456789abcdef\n")
    options = AgentServerConfig(
        host="0.0.0.0",
        port=8123,
        token_env="THE_TOKEN",
        allowed_hosts=("a.example",),
        max_connections=7,
        drain_seconds=8.0,
        max_body=5000,
    )
    assert options.listening() == ServerConfig(
        host="0.0.0.0",
        port=8123,
        token="0123456789abcdef",
        allowed_hosts=("a.example",),
        max_connections=7,
        drain_seconds=8.0,
        max_body=5000,
    )
    assert AgentServerConfig().listening() == ServerConfig(port=8080, drain_seconds=120.0)
