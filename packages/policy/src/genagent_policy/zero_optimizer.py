"""The optimizer of many processes that DeepSpeed's ZeRO has shared out among them.

Rajbhandari et al. 2020, arXiv 1910.02054. DeepSpeed is given a batch's passes one by one and a step
when they are over; what it would do to their sum, a mean over ranks and over passes, is undone.
"""

from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from genagent_policy.distributed import DistributedConfig
from genagent_policy.model import Policy
from genagent_policy.optimizer import AdamWConfig
from genagent_policy.ranks import Ranks

Rest = TypeVar("Rest")
MOMENTS = ("exp_avg", "exp_avg_sq")


class ZeroOptimizer:
    """Shared out by DeepSpeed.

    Stages 1 and 2 leave the weights whole and where they are after each step; their storage is laid
    anew once, here. Stage 3 shares out the language model and its head; the vision tower stays
    whole and frozen, so that a rank without a picture keeps nobody waiting.
    """

    is_lockstep = True

    def __init__(
        self, policy: Policy, config: AdamWConfig, ranks: Ranks, distributed: DistributedConfig
    ) -> None:
        self.parameters = policy.trainable_parameters()
        if not self.parameters:
            raise ValueError("no parameter is trainable; unfreeze one")
        parts: list[nn.Module] = [policy.model]
        if distributed.zero == 3:
            if policy.adapter is not None:
                raise ValueError("ZeRO 3 has no adapters; leave the adapter out, or take 2")
            if not policy.vision_is_frozen:
                raise ValueError("ZeRO 3 wants the vision tower frozen; freeze it, or take 2")
            parts = [policy.model.model.language_model, policy.model.lm_head]
        elif policy.adapter is not None:
            # Of all that it is shown, it makes one dtype: matrices are float32, weights are not.
            parts = [nn.ParameterList(self.parameters)]
        dtype = self.parameters[0].dtype
        self._stage = distributed.zero
        self._ranks = ranks
        self._has_masters = torch.finfo(dtype).bits < 32
        adamw = torch.optim.AdamW(
            self.parameters,
            lr=0.0,
            betas=config.betas,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self._engine = _engine(
            _Passes(parts),
            adamw,
            _settings(config, distributed, dtype=dtype, device=policy.device),
        )

    def zero_grad(self) -> None:
        self._engine.optimizer.zero_grad()

    def learn(self, loss: Callable[[], tuple[Tensor, Rest]]) -> tuple[float, Rest]:
        rest: list[Rest] = []

        def run() -> Tensor:
            share, more = loss()
            rest.append(more)
            # What DeepSpeed divides by: it takes the mean over ranks of what is a sum.
            return share * self._ranks.size

        share = self._engine(run)
        self._engine.backward(share)
        return float(share.detach()) / self._ranks.size, rest[0]

    def look(self, work: Callable[[], Rest]) -> Rest:
        if self._stage < 3:
            return work()
        done: list[Rest] = []
        with torch.no_grad():
            self._engine(lambda: done.append(work()))
        return done[0]

    def step(self, learning_rate: float) -> float:
        for group in self._engine.optimizer.param_groups:
            group["lr"] = learning_rate
        self._engine.step()
        return float(self._engine.get_global_grad_norm())

    def state_dict(self) -> dict[str, Any]:
        """That of an ``Optimizer``, gathered parameter by parameter into the first rank's memory;
        empty on the others."""
        from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

        steps = self._steps()
        state: dict[int, dict[str, Tensor]] = {}
        masters: list[Tensor] = []
        for place, parameter in enumerate(self.parameters):
            found: dict[str, Tensor] = {}
            if steps is not None:
                for name in MOMENTS:
                    moment = safe_get_full_optimizer_state(parameter, name)
                    assert moment is not None
                    found[name] = moment
            master = safe_get_full_fp32_param(parameter) if self._has_masters else None
            if self._ranks.rank:  # it has given its part
                continue
            if found:
                kept = {name: values.cpu().clone() for name, values in found.items()}
                state[place] = {"step": steps.cpu().clone(), **kept}  # pyright: ignore[reportOptionalMemberAccess]
            if master is not None:
                masters.append(master.cpu().clone())
        if self._ranks.rank:
            return {}
        alike = torch.optim.AdamW([nn.Parameter(torch.empty(0)) for _ in self.parameters], lr=0.0)
        groups = alike.state_dict()["param_groups"]
        return {"state": state, "param_groups": groups, "masters": masters}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from that of any optimizer here; the weights are there already.

        Raises:
            ValueError: the masters belong to other parameters or another dtype.
        """
        masters: list[Tensor] = state.get("masters", [])
        wanted = len(self.parameters) if self._has_masters else 0
        if len(masters) != wanted:
            raise ValueError(
                f"the state holds {len(masters)} float32 masters, and {wanted} parameters want "
                "one of their shape; load the policy in the dtype it was saved in"
            )
        for parameter, values in zip(self.parameters, masters, strict=False):
            self._put(parameter, values, None)
        if not state["state"]:
            return
        inner = self._engine.optimizer
        for flat in _flat_masters(inner):
            zeros = {name: torch.zeros_like(flat) for name in MOMENTS}
            steps = torch.as_tensor(state["state"][0]["step"], dtype=torch.float32)
            inner.optimizer.state[flat] = {"step": steps.clone().to(flat.device), **zeros}
        if self._stage < 3:
            inner._lazy_init_hp_params_optimizer_state()  # its name for: find them by parameter
        for place, parameter in enumerate(self.parameters):
            for name in MOMENTS:
                self._put(parameter, state["state"][place][name], name)

    def _put(self, parameter: nn.Parameter, values: Tensor, name: str | None) -> None:
        """Let this rank's part of a parameter's master, or of a moment, be that of ``values``."""
        from deepspeed import utils

        if self._stage < 3:
            if name is None:
                utils.safe_set_full_fp32_param(parameter, values)
            else:
                utils.safe_set_full_optimizer_state(parameter, values, name)
            return
        # Its own setter of whole values cuts past the end of one that does not divide.
        own = parameter.ds_tensor.numel()  # pyright: ignore[reportAttributeAccessIssue]
        part = torch.zeros(own, dtype=torch.float32)
        found = values.flatten()[own * self._ranks.rank : own * (self._ranks.rank + 1)]
        part[: len(found)] = found
        if name is None:
            utils.safe_set_local_fp32_param(parameter, part)
        else:
            utils.safe_set_local_optimizer_state(parameter, part, name)

    def _steps(self) -> Tensor | None:
        """Steps taken, as AdamW counts them; None before the first."""
        inner = self._engine.optimizer
        state = inner.optimizer.state.get(_flat_masters(inner)[0], {})
        return state.get("step")


class _Passes(nn.Module):
    """Runs whatever passes through its modules inside of a ``forward``, as DeepSpeed wants it."""

    def __init__(self, parts: Sequence[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, run: Callable[[], Any]) -> Any:
        return run()


def _flat_masters(inner: Any) -> list[Tensor]:
    """This rank's float32 weights, laid one behind another."""
    names = (
        "single_partition_of_fp32_groups",  # stages 1 and 2
        "fp32_groups_flat_partition",  # stage 1 in bfloat16
        "fp32_partitioned_groups_flat",  # stage 3
    )
    return next(getattr(inner, name) for name in names if hasattr(inner, name))


def _settings(
    config: AdamWConfig, distributed: DistributedConfig, *, dtype: torch.dtype, device: torch.device
) -> dict[str, Any]:
    """DeepSpeed's own options. Gradients are summed in float32, whatever the weights are."""
    zero: dict[str, Any] = {"stage": distributed.zero, "overlap_comm": False}
    if distributed.zero == 3:
        # What is fetched ahead follows from the passes before: that it is the same on all ranks
        # would be one more thing to hold.
        zero |= {"stage3_prefetch_bucket_size": 0, "stage3_param_persistence_threshold": 0}
    if distributed.offload_optimizer:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": device.type == "cuda"}
    return {
        # Counts that only its own reports use.
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        # A step has as many passes as it takes, and ends when it is taken.
        "managed_gradient_accumulation": False,
        "gradient_clipping": config.max_grad_norm,
        "zero_optimization": zero,
        "bf16": {"enabled": dtype == torch.bfloat16},
        "data_types": {"grad_accum_dtype": "fp32"},
        "communication_data_type": "fp32",
        # torch's fused AdamW runs on CPUs too, where DeepSpeed would compile its own.
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 2**31,
    }


def _engine(passes: _Passes, adamw: torch.optim.Optimizer, settings: dict[str, Any]) -> Any:
    import deepspeed
    import deepspeed.ops

    # Stage 1 prints in bfloat16 what memory it finds, and a look at the operators which of them
    # want a compiler.
    with redirect_stdout(StringIO()):
        # It would compile collectives for CPUs in a minute, where there is a compiler; gloo's do.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        engine, *_ = deepspeed.initialize(
            model=passes, optimizer=adamw, config=settings, dist_init_required=False
        )
    passes.eval()
    return engine
