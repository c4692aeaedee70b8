from .answered import Answered, ending_words
from .answering import answer
from .contact_sheet import contact_sheet
from .generation import generate
from .generation_folder import GenerationFolder
from .live import LiveRounds, many_requests
from .page import index_page, request_page
from .printable import one_line, printable
from .prompt_check import prompt_problem, request_problems

__all__ = [
    "Answered",
    "GenerationFolder",
    "LiveRounds",
    "answer",
    "contact_sheet",
    "ending_words",
    "generate",
    "index_page",
    "many_requests",
    "one_line",
    "printable",
    "prompt_problem",
    "request_page",
    "request_problems",
]
