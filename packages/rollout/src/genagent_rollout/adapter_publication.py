"""New weights as a LoRA adapter: each version a model of its own beside the base that is served."""

import asyncio
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from safetensors import SafetensorError, safe_open

from genagent_rollout.publication import clear_away
from genagent_rollout.vllm_server import VllmServer, failures

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
"""peft's names, which vLLM looks for."""


class AdapterPublication:
    """A ``Publication``: some MB instead of all weights, and no server pauses.

    A version has a name and a folder of its own, and neither is ever used again: vLLM finds what it
    has computed by the adapter's name and path. Turns in flight end with the adapter they began
    with.

    Example: ``AdapterPublication(peft_model.save_pretrained, Path("weights"))``
    """

    def __init__(self, write: Callable[[Path], None], root: Path) -> None:
        """
        Args:
            write: writes the adapter as it is now into a new folder, in peft's layout.
            root: folder for the adapters, which the servers see under the same path.
        """
        self._write = write
        self._root = root.absolute()
        self._loaded: dict[str, set[str]] = {}
        """By server: versions that it may still have."""
        self._over: set[str] = set()

    def model(self, version: str) -> str | None:
        return f"adapter-{version}"

    async def publish(self, version: str, servers: Sequence[VllmServer]) -> dict[str, str]:
        folder = self._root / f"adapter-{version}"
        if folder.exists():
            raise ValueError(f"{folder} is there already; an adapter's folder is never used again")
        await asyncio.to_thread(self._write, folder)
        await asyncio.to_thread(check_adapter, folder)

        return await failures(servers, partial(self._load, version))

    async def give_again(self, version: str, server: VllmServer) -> bool:
        # 400: it has it already.
        await self._load(version, server, taken=(200, 400))
        return True

    async def retire(self, version: str, servers: Sequence[VllmServer]) -> None:
        self._over.add(version)
        # A server that does not answer keeps a name that nobody asks for, until the next time.
        await failures(servers, self._unload)
        await asyncio.to_thread(clear_away, self._root / f"adapter-{version}")

    async def _load(
        self, version: str, server: VllmServer, *, taken: Sequence[int] = (200,)
    ) -> None:
        self._loaded.setdefault(server.url, set()).add(version)
        name = f"adapter-{version}"
        adapter = {"lora_name": name, "lora_path": str(self._root / name)}
        await server.post("/v1/load_lora_adapter", adapter, taken=taken)

    async def _unload(self, server: VllmServer) -> None:
        loaded = self._loaded.get(server.url, set())
        for version in sorted(loaded & self._over):
            # 404: it never had this one, or was started again.
            name = {"lora_name": f"adapter-{version}"}
            await server.post("/v1/unload_lora_adapter", name, taken=(200, 404))
            loaded.discard(version)


def check_adapter(folder: Path) -> None:
    """Whether vLLM would sample with all of an adapter.

    Raises:
        ValueError: not a LoRA in peft's layout, or one that reaches outside the language model:
            vLLM drops the vision tower's part without a word.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        with safe_open(folder / WEIGHTS, framework="numpy") as weights:
            names = list(weights.keys())
    except (OSError, ValueError, SafetensorError) as error:
        raise ValueError(f"{folder}: not an adapter in peft's layout: {error}") from error
    if config.get("peft_type") != "LORA":
        raise ValueError(f"{folder}: an adapter of type {config.get('peft_type')!r}; wants 'LORA'")
    if not names:
        raise ValueError(f"{folder}: an adapter without weights")
    if other := [name for name in names if ".language_model." not in name]:
        raise ValueError(
            f"{folder}: {len(other)} of the adapter's weights are outside the language model, "
            f"first {other[0]}; vLLM would leave them out, so publish the whole policy as a folder"
        )
