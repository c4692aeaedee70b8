"""Several servers of the same model: who gets the next request, and who rests."""

from collections.abc import Sequence


class Endpoint:
    """One server and how it has been doing; times are those of the event loop, in seconds."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.in_flight = 0
        self.failures = 0
        """Since its last answer."""
        self.resting_until = 0.0
        self.rejection: str | None = None
        """Why it takes no request of ours at all, e.g. a wrong key."""


class EveryEndpointRejectsError(Exception):
    """None of them takes a request of ours; says what each answered."""


class Endpoints:
    """Least-loaded choice; one that fails ``patience`` times in a row rests for a while."""

    def __init__(self, urls: Sequence[str], *, patience: int, rest_seconds: float) -> None:
        self.all = tuple(Endpoint(url) for url in urls)
        self.patience = patience
        self.rest_seconds = rest_seconds

    def begin(self) -> None:
        """A new batch: those that rejected us may have been mended."""
        for endpoint in self.all:
            endpoint.in_flight = 0
            endpoint.rejection = None

    def choose(self, now: float, avoid: Endpoint | None = None) -> Endpoint:
        """The least busy one; a resting or the avoided one only where there is no other.

        Raises:
            EveryEndpointRejectsError: there is none left.
        """
        usable = [endpoint for endpoint in self.all if endpoint.rejection is None]
        if not usable:
            raise EveryEndpointRejectsError(
                "; ".join(f"{one.url}: {one.rejection}" for one in self.all)
            )
        return min(usable, key=lambda one: (one.resting_until > now, one is avoid, one.in_flight))

    def has_other(self, now: float, endpoint: Endpoint) -> bool:
        """Whether another one is awake."""
        return any(
            one is not endpoint and one.rejection is None and one.resting_until <= now
            for one in self.all
        )

    def succeeded(self, endpoint: Endpoint) -> None:
        endpoint.failures = 0
        endpoint.resting_until = 0.0

    def failed(self, endpoint: Endpoint, now: float) -> None:
        """After its rest it has one try: the count starts again only with an answer."""
        endpoint.failures += 1
        if endpoint.failures >= self.patience:
            endpoint.resting_until = now + self.rest_seconds

    def told_to_wait(self, endpoint: Endpoint, until: float) -> None:
        endpoint.resting_until = max(endpoint.resting_until, until)
