"""On which device of its host a process computes."""

from byzshield.errors import ConfigError

__all__ = ["choose_device"]


def choose_device(key: str, name: str, *, local_rank: int, num_devices: int) -> str:
    """The device that a key of the run file means here, "cpu", "cuda" or "cuda:N".

    Args:
        key: the key, for the message.
        name: its value; "auto" gives the ranks of a host its devices in turn, and the CPU where it has none.
        local_rank: which of the ranks on this host this one is, from 0.
        num_devices: the GPUs of this host.

    Raises:
        ConfigError: the host has no such device.

    >>> [choose_device("cluster.device", "auto", local_rank=rank, num_devices=2) for rank in range(3)]
    ['cuda:0', 'cuda:1', 'cuda:0']
    """
    if name == "auto":
        return f"cuda:{local_rank % num_devices}" if num_devices else "cpu"
    if name != "cpu" and int(name.partition(":")[2] or 0) >= num_devices:
        raise ConfigError(f'{key}: this machine has no {name!r}; use "cpu", or "auto", which takes what there is')
    return name
