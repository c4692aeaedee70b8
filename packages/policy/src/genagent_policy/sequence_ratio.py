"""One ratio for all of a trajectory's tokens: GSPO (Zheng et al. 2025, arXiv 2507.18071).

Eq. 7 is the geometric mean of the tokens' ratios, over the tokens that the policy chose::

    s_i = (pi(y_i) / pi_old(y_i)) ** (1 / |y_i|) = exp(mean_t(logprob[t] - old_logprob[t]))

and Eq. 5 clips it where GRPO clips each token's. The loss needs no kernel of its own: a token's
ratio is s_i if its old log-prob is taken to be ``logprob[t] - log s_i``, without gradient, and the
slope of ratio * A in its log-prob is then s_i * A, as GSPO's gradient has it (section 4.3 shows the
same for its token-level form). The price is one more product with the head, for log-probs have to
be known before the loss.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def sequence_old_logprobs(
    logprob: Float[Tensor, " chosen"],
    old_logprob: Float[Tensor, " chosen"],
    owners: Int64[Tensor, " chosen"],
) -> Float[Tensor, " chosen"]:
    """Old log-probs that give every token its trajectory's ratio; no gradient.

    Args:
        owners: trajectory that each token belongs to, from 0.

    Example: log-probs (-1, -2) against (-1.2, -2.4) have log s = .3 and give (-1.3, -2.3).
    """
    apart = (logprob - old_logprob).detach()
    tokens = torch.bincount(owners)
    means = torch.zeros(len(tokens), dtype=apart.dtype, device=apart.device)
    means.index_add_(0, owners, apart)
    return logprob.detach() - (means / tokens.clamp(min=1))[owners]
