"""An OpenAI-compatible image server with micro-batching."""

from genagent_tools.server.app import build_app
from genagent_tools.server.batch_queue import BatchConfig
from genagent_tools.server.config import ServerConfig
from genagent_tools.server.run import bind, serve, url_of
from genagent_tools.server.served_model import ServedModel

__all__ = [
    "BatchConfig",
    "ServedModel",
    "ServerConfig",
    "bind",
    "build_app",
    "serve",
    "url_of",
]
