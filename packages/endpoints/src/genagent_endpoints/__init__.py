"""Several servers of one kind: who is next, who rests, retries, deadlines, bounds."""

from genagent_endpoints.address import has_credentials, public_url
from genagent_endpoints.answer import Answer, clean
from genagent_endpoints.cancel_scope import CancelScope
from genagent_endpoints.config import EndpointsConfig
from genagent_endpoints.endpoints import Endpoints
from genagent_endpoints.exchange import PORTS, Exchange, host_of
from genagent_endpoints.failures import (
    Absent,
    Busy,
    EndpointError,
    Exhausted,
    Lost,
    Refused,
    Rejected,
    Trouble,
    TurnedAway,
    Unwanted,
)
from genagent_endpoints.loop import together
from genagent_endpoints.request import Question, Session
from genagent_endpoints.servers import Counts

__all__ = [
    "PORTS",
    "Absent",
    "Answer",
    "Busy",
    "CancelScope",
    "Counts",
    "EndpointError",
    "Endpoints",
    "EndpointsConfig",
    "Exchange",
    "Exhausted",
    "Lost",
    "Question",
    "Refused",
    "Rejected",
    "Session",
    "Trouble",
    "TurnedAway",
    "Unwanted",
    "clean",
    "has_credentials",
    "host_of",
    "public_url",
    "together",
]
