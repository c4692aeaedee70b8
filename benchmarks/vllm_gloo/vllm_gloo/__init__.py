"""vLLM's weight transfer by NCCL, with gloo in NCCL's place.

vLLM loads ``register`` in each of its processes, and finds the engine by
``--weight-transfer-config '{"backend": "gloo"}'``. All but the collective is vLLM's own: its
endpoints, the fields of its requests, the loading layer by layer.
"""

# Lives in vLLM's environment, which this repository's type checker does not see.
# pyright: reportMissingImports=false, reportUntypedBaseClass=false

from datetime import timedelta
from typing import Any

import torch
from torch import distributed as dist
from vllm.distributed.weight_transfer import WeightTransferEngineFactory
from vllm.distributed.weight_transfer.nccl_engine import (
    NCCLWeightTransferEngine,
    NCCLWeightTransferInitInfo,
    NCCLWeightTransferUpdateInfo,
)

TIMEOUT = timedelta(seconds=60)


class GlooWeightTransferEngine(NCCLWeightTransferEngine):
    """Receives each parameter by a broadcast from rank 0."""

    def init_transfer_engine(self, init_info: NCCLWeightTransferInitInfo) -> None:
        parallel = self.parallel_config
        place = parallel.data_parallel_index * parallel.world_size + parallel.rank
        store = dist.TCPStore(
            init_info.master_address, init_info.master_port, is_master=False, timeout=TIMEOUT
        )
        self.group: Any = dist.ProcessGroupGloo(
            store, init_info.rank_offset + place, init_info.world_size, TIMEOUT
        )

    def update_weights(self, update_info: dict[str, object]) -> None:
        self.receive_weights(self.parse_update_info(update_info))

    def receive_weights(self, update_info: NCCLWeightTransferUpdateInfo) -> None:
        options = dist.BroadcastOptions()
        options.rootRank = 0
        parameters = zip(
            update_info.names, update_info.dtype_names, update_info.shapes, strict=True
        )
        for name, dtype, shape in parameters:
            weight = torch.empty(shape, dtype=getattr(torch, dtype))
            self.group.broadcast([weight], options).wait()
            self.model.load_weights([(name, weight)])

    def shutdown(self) -> None:
        self.group = None


def register() -> None:
    """Make the engine known; vLLM may call it more than once."""
    if "gloo" not in WeightTransferEngineFactory._registry:
        WeightTransferEngineFactory.register_engine("gloo", GlooWeightTransferEngine)
