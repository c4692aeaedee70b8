"""Sampling by the inverse of the distribution function: the first token whose cumulative
probability passes a uniform number.

The number is the first word of Philox4x32-10 (Salmon et al., SC 2011) with the row's seed as the
key and its draw as the counter, so a token depends on nothing but seed, draw and the row's own
logits. One number a row: an exponential race wants one a token of the vocabulary, and costs a CPU
ten times as much.
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
    logprob = (logits.to(statistics_dtype(logits)) / temperature).log_softmax(-1)
    cumulative = logprob.exp().cumsum(-1, dtype=torch.float64)
    bound = philox_uniforms(seeds, draws).to(logits.device)[:, None] * cumulative[:, -1:]
    token = (cumulative > bound).int().argmax(-1)
    return SampledTokens(token=token, logprob=logprob.gather(1, token[:, None]).squeeze(1))


def philox_uniforms(
    seeds: Int[Tensor, " rows"], draws: Int[Tensor, " rows"]
) -> Float[Tensor, " rows"]:
    """Numbers in (0, 1), float64: the first word of Philox at counter (draw, 0, 0, 0)."""
    low, mask = np.uint64(32), np.uint64(0xFFFFFFFF)
    key = seeds.cpu().numpy().astype(np.uint64)
    key0, key1 = key & mask, key >> low
    counter = [draws.cpu().numpy().astype(np.uint64), np.uint64(0), np.uint64(0), np.uint64(0)]
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
