"""Where and how precisely to compute, and random numbers that stay local."""

import threading
from contextlib import contextmanager, nullcontext

import numpy as np
import torch
from sklearn.utils import check_random_state

# PyTorch's generators belong to the whole process, so seeded work takes turns:
# otherwise two fits in two threads would share, and spoil, one stream of numbers.
_generators_in_use = threading.RLock()


def resolve_device(device):
    """Turn the parameter ``device`` into a :class:`torch.device` that works here.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda", "mps"}, str or torch.device
        ``"auto"`` takes CUDA, then MPS, then the processor.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If the device is unknown or not available on this machine.
    """
    if isinstance(device, str) and device == "auto":
        return torch.device(_available_devices()[0])
    try:
        resolved = torch.device(device)
        torch.empty(1, device=resolved).item()
    except (AssertionError, ImportError, RuntimeError) as error:
        raise ValueError(
            f"Got device={device!r}, which is not available on this machine; "
            f"choose one of {['auto', *_available_devices()]}."
        ) from error
    return resolved


def _available_devices():
    """Names of the kinds of device at hand, fastest first."""
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    return [name for name, at_hand in available.items() if at_hand]


def autocast(precision, device):
    """Return the context in which training steps run.

    Parameters
    ----------
    precision : {"float32", "bfloat16", "auto"}
        ``"auto"`` takes bfloat16 where the hardware multiplies it faster.

    device : torch.device

    Returns
    -------
    context manager
        Reusable. Weights, losses and all passes outside of it stay float32.
    """
    if precision == "auto":
        precision = "bfloat16" if _multiplies_bfloat16_faster(device) else "float32"
    if precision == "float32":
        return nullcontext()
    # Cast weights are kept until the outermost such context ends, and that of
    # `training_mode` spans the whole fit: every step would see the first one's weights.
    return torch.autocast(device.type, dtype=torch.bfloat16, cache_enabled=False)


def _multiplies_bfloat16_faster(device):
    """Whether the device has matrix instructions for bfloat16."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        # Answers of the processor; older releases of torch cannot ask it.
        get_capabilities = getattr(torch.cpu, "get_capabilities", dict)
        return bool(get_capabilities().get("amx_bf16", False))
    return False


def full_precision(device):
    """Context in which nothing is cast, whatever autocast is around it.

    Parameters
    ----------
    device : torch.device

    Returns
    -------
    context manager
    """
    # before PyTorch 2.5 there is none on MPS, not even to be switched off
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


@contextmanager
def training_mode(device):
    """Let gradients flow in full precision, whatever mode the caller is in.

    Parameters
    ----------
    device : torch.device
    """
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        full_precision(device),
    ):
        yield


def local_random_state(random_state):
    """Generator for the parameter ``random_state``.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        With None the numbers are fresh ones, drawn from the operating system.

    Returns
    -------
    RandomState
    """
    if random_state is None:  # NumPy's global generator is the caller's: not touched
        random_state = np.random.RandomState(np.random.MT19937())
    return check_random_state(random_state)


@contextmanager
def seeded(random_state, device):
    """Seed PyTorch inside the block and leave its generators as they were.

    Blocks in other threads wait, for the generators are common to all of them.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        As for :func:`local_random_state`.

    device : torch.device
        Its generator and the processor's are seeded.

    Yields
    ------
    RandomState
        For what does not draw from PyTorch, as k-means.
    """
    random_state = local_random_state(random_state)
    seed = int(random_state.randint(np.iinfo(np.int32).max))
    with _generators_in_use:
        generators = _default_generators(device)
        states = [generator.get_state() for generator in generators]
        try:
            for generator in generators:
                generator.manual_seed(seed)
            yield random_state
        finally:
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)


def _default_generators(device):
    """PyTorch's own generators that work on a device draws from."""
    generators = [torch.default_generator]
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        generators.append(torch.cuda.default_generators[index])
    elif device.type == "mps":
        generators.append(torch.mps._get_default_mps_generator())
    return generators
