from .agent_app import build_agent_app, served_agent
from .agent_loop import AgentLoop
from .answered import Answered, ending_words
from .answering import answer
from .contact_sheet import contact_sheet
from .feedback import FeedbackBook
from .generation import generate
from .generation_folder import GenerationFolder
from .generation_record import record_generation
from .live import LiveRounds, many_requests
from .live_drawing import live_drawing
from .page import index_page, request_page
from .prompt_check import asked, prompt_problem, request_problems
from .serve import Served, serve_agent
from .serve_config import AgentLoopConfig, AgentServerConfig
from .showing import say_where, shown

__all__ = [
    "AgentLoop",
    "AgentLoopConfig",
    "AgentServerConfig",
    "Answered",
    "FeedbackBook",
    "GenerationFolder",
    "LiveRounds",
    "Served",
    "answer",
    "asked",
    "build_agent_app",
    "contact_sheet",
    "ending_words",
    "generate",
    "index_page",
    "live_drawing",
    "many_requests",
    "prompt_problem",
    "record_generation",
    "request_page",
    "request_problems",
    "say_where",
    "serve_agent",
    "served_agent",
    "shown",
]
