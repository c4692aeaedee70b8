"""The seam by which new weights reach vLLM servers: by folder, as an adapter, by broadcast."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from genagent_rollout.vllm_server import VllmServer

logger = logging.getLogger("genagent_rollout")


class Publication(Protocol):
    """One way of new weights to servers. What it publishes it is made with."""

    def model(self, version: str) -> str | None:
        """Name by which turns ask for this version; None: they get whatever the server has, which
        is only ever one version."""
        ...

    async def publish(self, version: str, servers: Sequence[VllmServer]) -> dict[str, str]:
        """Let all of them sample with the weights as they are now.

        Returns:
            By URL, why a server does not; what it samples with is unknown.

        Raises:
            OSError: the weights cannot be written.
            ValueError: they cannot be published like this.
        """
        ...

    async def give_again(self, version: str, server: VllmServer) -> bool:
        """Let a server that was started again sample with the version that was published last.

        Returns:
            Whether it does; False: it has weights of somebody else's, or cannot have these before
            others are published.

        Raises:
            Trouble, EndpointError: it does not answer, or not as it should.
        """
        ...

    async def retire(self, version: str, servers: Sequence[VllmServer]) -> None:
        """No turn will ever be sampled with this version again."""
        ...


def clear_away(folder: Path) -> None:
    """Remove weights that no turn is sampled with. What keeps them from being removed, somebody who
    was faster for example, is said, and ends no run that samples with newer ones."""
    try:
        shutil.rmtree(folder)
    except OSError as error:
        logger.warning("former weights are not cleared away: %s", error)
