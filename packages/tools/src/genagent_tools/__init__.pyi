from .diffusers_tool import DiffusersTool
from .each_picture import draw_each, usable_picture
from .http_config import HttpToolConfig
from .http_tool import HttpImageTool
from .profiles import PROFILES
from .server import BatchConfig, ServedModel, ServerConfig, build_app, serve
from .tool import (
    MAX_PROMPT,
    AsyncImageTool,
    DrawingTool,
    DrawSettings,
    ImageTool,
    PartialFailure,
    ToolError,
)
from .tool_profile import Lora, ToolProfile

__all__ = [
    "MAX_PROMPT",
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
    "draw_each",
    "serve",
    "usable_picture",
]
