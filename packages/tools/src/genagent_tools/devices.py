"""Devices by name: whether this machine has them, before anything is loaded onto one."""


def device_problem(name: str) -> str | None:
    """What is wrong with a device's name, beginning with it; None where the device is there.

    Example: ``"'cuda:9'; this machine has 1 cuda devices, give another, or cpu"``
    """
    # torch alone takes seconds, which who only names a server does not wait for.
    import torch

    try:
        device = torch.device(name)
    except RuntimeError:
        return f"{name!r}; give cpu, cuda or cuda:1"
    there = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }
    count = there.get(device.type, 0)
    if (device.index or 0) < count:
        return None
    return f"{name!r}; this machine has {count} {device.type} devices, give another, or cpu"
