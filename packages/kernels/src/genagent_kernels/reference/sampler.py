"""Sampling by an exponential race: the token whose exponential clock, sped up by its probability,
rings first. It is the Gumbel-max trick, written so that small numbers keep their digits.

The random numbers are Philox4x32-10 (Salmon et al., SC 2011) with the row's seed as the key and
(token, draw) as the counter, so a draw depends on nothing but seed, draw and the row's own logits.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from genagent_kernels.reference.loss import statistics_dtype
from genagent_kernels.results import SampledTokens


def sample_tokens(
    logits: Float[Tensor, "rows vocabulary"],
    seeds: Int[Tensor, " rows"],
    *,
    draws: Int[Tensor, " rows"],
    temperature: float = 1.0,
) -> SampledTokens:
    """One token a row from ``softmax(logits / temperature)``."""
    scaled = logits.to(statistics_dtype(logits)) / temperature
    clocks = -torch.log1p(-philox_uniforms(seeds, logits.shape[1], draws).to(scaled))
    token = (scaled - clocks.log()).argmax(-1)
    return SampledTokens(
        token=token,
        logprob=scaled.gather(1, token[:, None]).squeeze(1) - scaled.logsumexp(-1),
    )


def philox_uniforms(
    seeds: Int[Tensor, " rows"], count: int, draws: Int[Tensor, " rows"]
) -> Float[Tensor, "rows {count}"]:
    """Numbers in (0, 1), float64: the first word of Philox at counter (column, draw, 0, 0)."""
    key = seeds.cpu().numpy().astype(np.uint64)[:, None]
    low, mask = np.uint64(32), np.uint64(0xFFFFFFFF)
    key0, key1 = key & mask, key >> low
    counter = [
        np.arange(count, dtype=np.uint64)[None, :],
        draws.cpu().numpy().astype(np.uint64)[:, None],
        np.uint64(0),
        np.uint64(0),
    ]
    for _ in range(10):
        product0 = counter[0] * np.uint64(0xD2511F53)
        product2 = counter[2] * np.uint64(0xCD9E8D57)
        counter = [
            (product2 >> low) ^ counter[1] ^ key0,
            product2 & mask,
            (product0 >> low) ^ counter[3] ^ key1,
            product0 & mask,
        ]
        key0, key1 = (key0 + np.uint64(0x9E3779B9)) & mask, (key1 + np.uint64(0xBB67AE85)) & mask
    return torch.from_numpy((counter[0].astype(np.float64) + 0.5) / 2**32)
