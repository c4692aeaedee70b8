"""Image generators as tools: diffusers pipelines behind one small protocol, here or over HTTP."""

import importlib
from typing import TYPE_CHECKING

from genagent_tools.tool import (
    AsyncImageTool,
    DrawingTool,
    DrawSettings,
    ImageTool,
    PartialFailure,
    ToolError,
)

if TYPE_CHECKING:
    from genagent_tools.diffusers_tool import DiffusersTool
    from genagent_tools.http_config import HttpToolConfig
    from genagent_tools.http_tool import HttpImageTool
    from genagent_tools.profiles import PROFILES
    from genagent_tools.server import BatchConfig, ServedModel, ServerConfig, build_app, serve
    from genagent_tools.tool_profile import Lora, ToolProfile

# Loaded at first use: torch alone takes seconds, and neither the HTTP client nor --help needs it.
_HOMES = {
    "BatchConfig": "server",
    "DiffusersTool": "diffusers_tool",
    "HttpImageTool": "http_tool",
    "HttpToolConfig": "http_config",
    "Lora": "tool_profile",
    "PROFILES": "profiles",
    "ServedModel": "server",
    "ServerConfig": "server",
    "ToolProfile": "tool_profile",
    "build_app": "server",
    "serve": "server",
}

__all__ = [
    "PROFILES",
    "AsyncImageTool",
    "BatchConfig",
    "DiffusersTool",
    "DrawSettings",
    "DrawingTool",
    "HttpImageTool",
    "HttpToolConfig",
    "ImageTool",
    "Lora",
    "PartialFailure",
    "ServedModel",
    "ServerConfig",
    "ToolError",
    "ToolProfile",
    "build_app",
    "serve",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
