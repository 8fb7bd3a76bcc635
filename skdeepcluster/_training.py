"""The training loop and the prediction pass; nothing here knows any model."""

import math
import time
from contextlib import contextmanager, nullcontext
from threading import Thread

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from tqdm.auto import tqdm

from skdeepcluster._device import full_precision

# Rows of one prediction pass. It never varies: results of a matrix product depend
# on its shape in the last digits, and predictions shall not depend on company.
_ROWS_OF_A_PASS = 256

# What "auto" budgets amount to: as many steps for large data as for 2,000 samples, or
# another number for more samples than these.
_AUTO_STEPS = 3000
_AUTO_STEPS_PER_SAMPLE = 1.5
_MANY_SAMPLES = 20_000


class DivergedError(ValueError, FloatingPointError):
    """Training left the finite numbers."""


def batches(n_rows, batch_size, *, shuffle, drop_last=False, device=None):
    """Yield the row indices of one pass over the data.

    Parameters
    ----------
    n_rows, batch_size : int
        The last batch holds what is left over. A single row joins the batch before:
        alone it has no variance to normalise by, and makes no pair.

    shuffle : bool
        Whether to draw a new order rather than to go from first to last.

    drop_last : bool, default=False
        Whether to leave out the last batch where it is smaller, unless it is all
        there is.

    device : torch.device, default=None
        Where the indices live.

    Yields
    ------
    LongTensor of shape (n_rows_of_batch,)
    """
    # drawn on the processor: the same on every device
    in_order = torch.arange(n_rows, device="cpu")
    order = torch.randperm(n_rows, device="cpu") if shuffle else in_order
    order = order.to(device)
    batch_size = int(batch_size)  # NumPy's small integers overflow
    n_batches = _count_batches(n_rows, batch_size, drop_last)
    for i in range(n_batches):
        is_last = i == n_batches - 1 and not drop_last
        end = n_rows if is_last else (i + 1) * batch_size
        yield order[i * batch_size : end]


def _count_batches(n_rows, batch_size, drop_last):
    """Number of batches in a pass: at least one."""
    n_full, n_left = divmod(n_rows, int(batch_size))
    return max(1, n_full + (n_left > 1 and not drop_last))


def endless_batches(n_rows, batch_size, **settings):
    """Yield the :func:`batches` of one pass after another, for ever."""
    while True:
        yield from batches(n_rows, batch_size, **settings)


def auto_steps(n_samples, most=_AUTO_STEPS, most_of_many=None):
    """Number of steps that "auto" budgets amount to.

    Parameters
    ----------
    n_samples : int

    most : int, default=3000
        However many samples there are.

    most_of_many : int or None, default=None
        The same for more than 20,000 samples, each of which comes up less often.
    """
    if most_of_many is not None and n_samples > _MANY_SAMPLES:
        most = most_of_many
    return min(most, math.ceil(_AUTO_STEPS_PER_SAMPLE * n_samples))


def count_epochs(
    n_epochs, n_samples, batch_size, *, drop_last=False, most_steps=_AUTO_STEPS
):
    """Number of epochs, and of steps in each of them.

    Parameters
    ----------
    n_epochs : int or "auto"
        ``"auto"`` is as many as :func:`auto_steps` needs.

    n_samples, batch_size : int

    drop_last : bool, default=False
        As for :func:`batches`.

    most_steps : int, default=3000
        Of ``"auto"``, but for those of a last epoch.

    Returns
    -------
    n_epochs, n_steps : int
    """
    n_steps = _count_batches(n_samples, batch_size, drop_last)
    if n_epochs == "auto":
        n_epochs = math.ceil(auto_steps(n_samples, most_steps) / n_steps)
    return n_epochs, n_steps


def make_optimizer(name, parameters, learning_rate):
    """Build an optimiser by name, with the settings of the methods' papers.

    Parameters
    ----------
    name : {"sgd", "adam", "adamw"}
        ``"sgd"`` has a momentum of 0.9; ``"adam"`` has Keras' epsilon, 1e-7;
        ``"adamw"`` a weight decay of 1e-4.

    parameters : iterable of Parameter
        Those that require no gradient are left alone.

    learning_rate : float

    Returns
    -------
    Optimizer

    Raises
    ------
    ValueError
        If none is left.
    """
    parameters = [parameter for parameter in parameters if parameter.requires_grad]
    if not parameters:
        raise ValueError(
            "Got a network, or a part of one, without parameters that require a "
            "gradient: there is nothing to train."
        )
    # one kernel a step rather than one for each parameter, where there is one
    fused = parameters[0].device.type in ("cpu", "cuda")
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=learning_rate, momentum=0.9, fused=fused)
    if name == "adamw":
        return torch.optim.AdamW(
            parameters, lr=learning_rate, weight_decay=1e-4, fused=fused
        )
    return torch.optim.Adam(parameters, lr=learning_rate, eps=1e-7, fused=fused)


def prepare_optimizers():
    """Let PyTorch import what its first optimiser needs, where Ctrl-C cannot reach.

    That takes a second, and an import that is cut off leaves parts of modules behind,
    with which no optimiser works any more. Only the main thread hears Ctrl-C.
    """
    parameters = [torch.nn.Parameter(torch.zeros(1, device="cpu"))]
    thread = Thread(target=make_optimizer, args=("sgd", parameters, 1.0))
    thread.start()
    thread.join()


def make_scheduler(name, optimizer, n_steps):
    """Build a learning-rate schedule by name.

    Parameters
    ----------
    name : {"constant", "one-cycle"}
        ``"one-cycle"`` climbs to the optimiser's learning rate over the first
        fifth of the steps and falls to nearly zero by the last one.

    optimizer : Optimizer

    n_steps : int
        How many steps the schedule lasts.

    Returns
    -------
    LRScheduler or None
        None for the constant one.
    """
    if name == "constant" or n_steps < 2:
        return None
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        total_steps=int(n_steps),  # it knows no integers of NumPy's
        # a fifth of five steps would be one, which OneCycleLR divides by zero for
        pct_start=0.3 if n_steps == 5 else 0.2,
        cycle_momentum=False,
    )


def train(loss, steps, *, module, optimizer, scheduler=None, autocast=None):
    """Take one gradient step for each batch of row indices.

    Parameters
    ----------
    loss : callable
        Maps the row indices of a batch to a dict of scalar tensors, each the mean
        over its rows. Its entry ``"loss"`` is minimised; the others are recorded.

    steps : iterable of LongTensor of shape (n_rows,)
        One pass over the data, or any part of an endless stream of passes.

    module : Module
        Put into training mode.

    optimizer : Optimizer
        Holds what is optimised and how.

    scheduler : LRScheduler, default=None
        Moved on after every step.

    autocast : context manager, default=None
        Reusable; the losses are computed in it.

    Returns
    -------
    dict of str to float
        The mean of each term over all rows, and the ``"seconds"`` it all took.

    Raises
    ------
    DivergedError
        If a term, or a parameter or average of the module in the end, is not finite.
    """
    module.train()
    autocast = nullcontext() if autocast is None else autocast
    start = time.perf_counter()
    totals, n_rows = None, 0
    for rows in steps:
        with autocast:
            terms = loss(rows)
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        # summed on the device: no step waits for a number to arrive here
        batch_terms = torch.stack([term.detach().float() for term in terms.values()])
        batch_totals = batch_terms * len(rows)
        totals = batch_totals if totals is None else totals + batch_totals
        n_rows += len(rows)
    means = dict(zip(terms, (totals / n_rows).tolist(), strict=True))
    _check_finite(means, module, optimizer)
    return {**means, "seconds": time.perf_counter() - start}


def train_epochs(loss, passes, *, n_epochs, history, phase, verbose, **training):
    """Train for several passes over the data, an entry of the history for each.

    Parameters
    ----------
    loss : callable
        As :func:`train` takes it.

    passes : callable
        Returns the batches of one pass.

    n_epochs : int
        Number of passes.

    history : dict of list
        Gets the mean of each term.

    phase : str
        Its name in the history and in front of the progress bar.

    verbose : int
        Whether to show a progress bar.

    **training
        As :func:`train` takes it.
    """
    with progress_bar(n_epochs, phase, verbose, "epoch") as bar:
        for _ in range(n_epochs):
            terms = train(loss, passes(), **training)
            record(history, phase=phase, **terms)
            bar.set_postfix(loss=terms["loss"], refresh=False)
            bar.update()


def train_steps(
    loss,
    take,
    *,
    n_steps,
    steps_of_an_entry,
    history,
    phase,
    verbose,
    entry=None,
    **training,
):
    """Train for a number of steps, an entry of the history for each so many.

    Parameters
    ----------
    loss : callable
        As :func:`train` takes it.

    take : callable
        Returns the batches of so many steps.

    n_steps, steps_of_an_entry : int
        The last entry may be of fewer steps.

    history, phase, verbose
        As for :func:`train_epochs`.

    entry : dict, default=None
        What else each entry holds.

    **training
        As :func:`train` takes it.
    """
    with progress_bar(n_steps, phase, verbose, "step") as bar:
        for start in range(0, n_steps, steps_of_an_entry):
            n_here = min(steps_of_an_entry, n_steps - start)
            terms = train(loss, take(n_here), **training)
            record(history, phase=phase, **(entry or {}), **terms)
            bar.set_postfix(loss=terms["loss"], refresh=False)
            bar.update(n_here)


def _check_finite(means, module, optimizer):
    """Raise if losses diverged, or what the module holds did in the last steps."""
    if all(map(math.isfinite, means.values())) and _is_finite(module):
        return
    group = optimizer.param_groups[0]
    learning_rate = group.get("max_lr", group["lr"])  # the one asked for
    terms = ", ".join(f"{name} {mean:g}" for name, mean in means.items())
    raise DivergedError(
        f"Training diverged: {terms} at a learning rate of {learning_rate:g}; lower "
        "the learning rate or scale X to a smaller range."
    )


def _is_finite(module):
    """Whether all that a copy of the module would hold is finite."""
    values = module.state_dict().values()
    # a single number, so that a device is waited for once
    flags = [one.isfinite().all() for one in values if isinstance(one, torch.Tensor)]
    return not flags or bool(torch.stack(flags).all())


@torch.no_grad()
def apply(module, X):
    """Outputs of ``module`` in evaluation mode for every row of X, in order.

    Parameters
    ----------
    module : Module

    X : Samples or Tensor
        ``X[rows]`` is a batch for the module.

    Returns
    -------
    Tensor of shape (n_rows, ...)
        On the module's device. A row's values do not depend on the other rows.

    Raises
    ------
    DivergedError
        If a value is not finite.
    """
    module.eval()
    n_rows = len(X)
    offsets = torch.arange(_ROWS_OF_A_PASS, device=X.device)
    outputs, are_finite = None, True
    with full_precision(X.device):
        for start in range(0, n_rows, _ROWS_OF_A_PASS):
            # the last pass is filled up with the last row
            rows = (offsets + start).clamp_max(n_rows - 1)
            output = module(X[rows])[: n_rows - start]
            if outputs is None:  # never twice in memory, for it may be large
                outputs = output.new_empty(n_rows, *output.shape[1:])
            outputs[start : start + _ROWS_OF_A_PASS] = output
            are_finite = output.isfinite().all() & are_finite
    if not are_finite:
        raise DivergedError(
            "The network's outputs are not finite: training diverged; lower the "
            "learning rate or scale X to a smaller range."
        )
    return outputs


@torch.no_grad()
def settle_statistics(module, function, X, steps):
    """Give batch normalisation the mean statistics of batches, all weighing the same.

    Those kept in training remember the last batches most, of weights that moved and of
    whatever the batches were made of.

    Parameters
    ----------
    module : Module
        Holds the layers of batch normalisation; left in training mode.

    function : callable
        Maps a batch of X through all of these layers.

    X : Samples or Tensor
        ``X[rows]`` is a batch.

    steps : iterable of LongTensor of shape (n_rows,)
        One pass over the data.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    module.train()
    try:
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # all batches weigh the same
        for rows in steps:
            function(X[rows])
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


def record(history, **entry):
    """Append one entry to a history, a dict of lists of equal lengths.

    What an entry leaves out is filled with NaN. A history that has ``on_entry`` is told
    of its phase.
    """
    n_entries = len(next(iter(history.values()), ()))
    for name in entry:
        if name not in history:
            history[name] = [math.nan] * n_entries
    for name, values in history.items():
        values.append(entry.get(name, math.nan))
    if getattr(history, "on_entry", None) is not None:
        history.on_entry(entry["phase"])


@contextmanager
def progress_bar(total, description, verbose, unit):
    """Yield a progress bar, silent unless ``verbose``."""
    with tqdm(total=total, desc=description, unit=unit, disable=not verbose) as bar:
        yield bar


def finish(step, on_interrupt):
    """Take a step that a usable model needs, even if the user presses Ctrl-C.

    Parameters
    ----------
    step : callable
        Called without arguments, and again if it was interrupted; a second Ctrl-C
        is final.

    on_interrupt : callable
        Called without arguments if that happened.

    Returns
    -------
    object
        What the step returns.
    """
    try:
        return step()
    except KeyboardInterrupt:
        on_interrupt()
        return step()


@contextmanager
def keeping_on_interrupt(on_interrupt):
    """End the block, not the program, when the user presses Ctrl-C.

    Parameters
    ----------
    on_interrupt : callable
        Called without arguments if that happened.
    """
    try:
        yield
    except KeyboardInterrupt:
        on_interrupt()
