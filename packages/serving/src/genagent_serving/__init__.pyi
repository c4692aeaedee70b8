from .agent_app import build_agent_app, served_agent
from .agent_loop import AgentLoop
from .feedback import FeedbackBook
from .live_drawing import live_drawing
from .serve import Served, serve_agent
from .serve_config import AgentLoopConfig, AgentServerConfig

__all__ = [
    "AgentLoop",
    "AgentLoopConfig",
    "AgentServerConfig",
    "FeedbackBook",
    "Served",
    "build_agent_app",
    "live_drawing",
    "serve_agent",
    "served_agent",
]
