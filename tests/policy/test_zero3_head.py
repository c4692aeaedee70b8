"""The loss under DeepSpeed's ZeRO-3: two processes, each with half of every parameter."""

import os
import socket
import subprocess
import sys
import textwrap

import pytest

SCRIPT = textwrap.dedent(
    """
    import deepspeed, torch
    from torch import nn
    import genagent_kernels as kernels

    # Else it compiles collectives for the CPU, a minute and a half; gloo has them.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.body = nn.Linear(12, 12)
            self.head = kernels.GRPOHead(nn.Parameter(torch.randn(37, 12)))

        def forward(self, inputs, target, **rows):
            return self.head(self.body(inputs).tanh(), target, **rows)[0]

    torch.manual_seed(1)
    inputs, target = torch.randn(20, 12), torch.randint(37, (20,))
    rows = {
        "old_logprob": torch.full((20,), -3.0),
        "advantage": torch.randn(20),
        "mask": torch.arange(20) % 3 > 0,
        "token_weight": torch.full((20,), 1 / 20),
    }
    model = Model()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    engine, *_ = deepspeed.initialize(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=1.0),
        config={
            "train_micro_batch_size_per_gpu": 1,
            "zero_optimization": {"stage": 3, "stage3_param_persistence_threshold": 0},
            "zero_allow_untested_optimizer": True,
        },
    )
    assert all(parameter.numel() == 0 for parameter in engine.module.parameters())
    rank, ranks = deepspeed.comm.get_rank(), deepspeed.comm.get_world_size()
    assert ranks == 2
    half = slice(10 * rank, 10 * rank + 10)
    # The engine takes the mean over ranks of what is a sum over rows.
    loss = ranks * engine(
        inputs[half], target[half], **{name: values[half] for name, values in rows.items()}
    )
    engine.backward(loss)
    engine.step()
    with deepspeed.zero.GatheredParameters(list(engine.module.parameters())):
        after = [parameter.detach().clone() for parameter in engine.module.parameters()]
    whole = Model()
    whole(inputs, target, **rows).backward()
    for old, new, parameter in zip(before, after, whole.parameters(), strict=True):
        assert parameter.grad.abs().max() > 1e-4
        torch.testing.assert_close(new, old - parameter.grad, atol=1e-6, rtol=1e-5)
    print("equal", flush=True)
    # A rank that leaves while the other still talks to it aborts it.
    deepspeed.comm.barrier()
    torch.distributed.destroy_process_group()
    """
)


@pytest.mark.slow
def test_two_processes_with_half_the_head_each_learn_what_one_learns():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "WORLD_SIZE": "2",
        "DS_ACCELERATOR": "cpu",
        "OMP_NUM_THREADS": "1",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        output, errors = process.communicate(timeout=300)
        # Not the exit code: gloo may abort a rank whose peer has already left.
        assert output.strip().splitlines()[-1:] == ["equal"], errors
