"""Image generators as tools: diffusers pipelines behind one small protocol."""

from genagent_tools.diffusers_tool import DiffusersConfig, DiffusersTool
from genagent_tools.tool import ImageTool, ToolError

__all__ = ["DiffusersConfig", "DiffusersTool", "ImageTool", "ToolError"]
