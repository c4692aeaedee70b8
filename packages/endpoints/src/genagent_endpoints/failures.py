"""What keeps a request from its answer, and an attempt from its result."""


class EndpointError(Exception):
    """A request has no answer; the message says why."""

    attempts: int = 0
    """Sent to a server before it was given up."""


class Refused(EndpointError):
    """A server will not do what this request asks, and no other would."""


class Rejected(EndpointError):
    """No server takes any request of ours: a wrong key, a wrong path, a model they do not have."""


class Exhausted(EndpointError):
    """Attempts or deadline are used up."""


class Trouble(Exception):
    """An attempt without a result; another one may do better.

    Args:
        retry_after: seconds for which the server asked to be left alone.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Lost(Trouble):
    """The server's failure: no answer, or none that can be used."""


class Absent(Lost):
    """Nobody listens there: the request has not been sent."""


class Busy(Trouble):
    """The server said: later. That is no failure."""


class Unwanted(Trouble):
    """A proper answer that its reader does not take, e.g. words without a verdict."""


class TurnedAway(Trouble):
    """This server takes no request of ours; another one may."""


class Late(Trouble):
    """No server is free before the deadline."""
