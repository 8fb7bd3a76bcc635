"""Tests of devices, precision, and random numbers that stay local."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from skdeepcluster import _device
from skdeepcluster._device import autocast, full_precision, resolve_device, seeded

CPU = torch.device("cpu")
HAS_CUDA = torch.cuda.is_available()
DEVICES = [CPU, *([torch.device("cuda")] if HAS_CUDA else [])]


def generator_states():
    """States of all generators that belong to the process."""
    numpy_state = np.random.get_state()  # noqa: NPY002
    states = [torch.from_numpy(numpy_state[1].copy()), torch.tensor(numpy_state[2])]
    states.append(torch.get_rng_state())
    if HAS_CUDA:
        states += torch.cuda.get_rng_state_all()
    return states


def assert_untouched(before):
    after = generator_states()
    assert len(before) == len(after)
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one, other)


def draw(random_state, device=CPU):
    """Numbers from both generators of a seeded block."""
    with seeded(random_state, device) as generator:
        return torch.rand(3, device=device).tolist(), generator.uniform(size=3).tolist()


def assert_differ(one, other):
    """Neither generator gave the same numbers."""
    for numbers, other_numbers in zip(one, other, strict=True):
        assert not set(numbers) & set(other_numbers)


class TestResolveDevice:
    def test_auto_takes_the_fastest_at_hand(self, monkeypatch):
        for has_cuda, has_mps, expected in [
            (True, True, "cuda"),
            (True, False, "cuda"),
            (False, True, "mps"),
            (False, False, "cpu"),
        ]:
            monkeypatch.setattr(torch.cuda, "is_available", lambda it=has_cuda: it)
            monkeypatch.setattr(
                torch.backends.mps, "is_available", lambda it=has_mps: it
            )
            assert resolve_device("auto") == torch.device(expected)

    @pytest.mark.parametrize("device", ["cpu", CPU, "cpu:0"])
    def test_name_or_device(self, device):
        assert resolve_device(device) == torch.device(device)

    @pytest.mark.parametrize(
        "device",
        [
            "xpu",
            "cuda:99",
            torch.device("cuda:99"),
            "nonsense",
            "CPU",
            "gpu",
            "cuda:x",
            "",
            "0",
            # PyTorch knows these names, but nothing can be computed there
            "meta",
            "vulkan",
            "hpu",
            "privateuseone",
        ],
    )
    def test_unavailable(self, device):
        with pytest.raises(ValueError, match=r"choose one of \['auto', .*'cpu'\]") as e:
            resolve_device(device)
        assert f"Got device={device!r}" in str(e.value)

    def test_choices_are_those_at_hand(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
        with pytest.raises(ValueError, match=r"choose one of \['auto', 'cuda', 'cpu'"):
            resolve_device("nonsense")


class TestAutocast:
    def product(self, context):
        one = torch.ones(2, 2)
        with context:
            return one @ one

    def test_float32(self):
        context = autocast("float32", CPU)
        assert isinstance(context, nullcontext)
        assert self.product(context).dtype == torch.float32

    def test_bfloat16_is_reusable_and_ends(self):
        context = autocast("bfloat16", CPU)
        for _ in range(2):
            assert self.product(context).dtype == torch.bfloat16
            assert self.product(nullcontext()).dtype == torch.float32

    def test_full_precision(self):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert self.product(full_precision(CPU)).dtype == torch.float32
        # as MPS before PyTorch 2.5, this device knows no autocast
        assert isinstance(full_precision(torch.device("meta")), nullcontext)

    def test_every_step_sees_the_weights_of_its_time(self):
        weight = torch.ones(2, 2, requires_grad=True)
        with torch.autocast("cpu", enabled=False):  # as around a whole fit
            for value in (1.0, 3.0):
                weight.data.fill_(value)
                with autocast("bfloat16", CPU):
                    product = torch.ones(1, 2) @ weight
                assert product.tolist() == [[2 * value, 2 * value]]

    @pytest.mark.parametrize("device", ["cuda", "mps", "cpu"])
    def test_bfloat16_on_any_device(self, device, monkeypatch):
        asked = []
        monkeypatch.setattr(torch, "autocast", lambda *a, **k: asked.append((a, k)))
        autocast("bfloat16", torch.device(device))
        assert asked[0][0] == (device,)
        assert asked[0][1]["dtype"] == torch.bfloat16

    @pytest.mark.parametrize(
        ("capabilities", "expected"),
        [
            ({"amx_bf16": True}, torch.bfloat16),
            ({"amx_bf16": False}, torch.float32),
            ({}, torch.float32),
        ],
    )
    def test_auto_asks_the_processor(self, capabilities, expected, monkeypatch):
        monkeypatch.setattr(
            torch.cpu, "get_capabilities", lambda: capabilities, raising=False
        )
        assert self.product(autocast("auto", CPU)).dtype == expected

    def test_auto_where_the_processor_cannot_be_asked(self, monkeypatch):
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
        assert isinstance(autocast("auto", CPU), nullcontext)

    @pytest.mark.parametrize(
        ("capability", "expected"),
        [((9, 0), True), ((8, 0), True), ((7, 5), False), ((6, 1), False)],
    )
    def test_auto_asks_the_graphics_card(self, capability, expected, monkeypatch):
        device = torch.device("cuda")
        monkeypatch.setattr(
            torch.cuda, "get_device_capability", {device: capability}.get
        )
        monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: "bfloat16")
        assert (autocast("auto", device) == "bfloat16") is expected

    def test_auto_elsewhere(self):
        assert isinstance(autocast("auto", torch.device("mps")), nullcontext)


@pytest.mark.parametrize("device", DEVICES, ids=str)
class TestSeeded:
    def test_same_seed_same_numbers(self, device):
        first = draw(0, device)
        torch.rand(7)
        np.random.rand(7)  # noqa: NPY002
        assert draw(0, device) == first
        assert_differ(draw(1, device), first)

    @pytest.mark.parametrize(
        "random_state", [0, None, np.random.RandomState(0)], ids=["int", "none", "own"]
    )
    def test_generators_of_the_process_are_left_alone(self, random_state, device):
        before = generator_states()
        draw(random_state, device)
        assert_untouched(before)

    @pytest.mark.parametrize(
        "random_state", [0, None, np.random.RandomState(0)], ids=["int", "none", "own"]
    )
    def test_and_if_the_block_raises(self, random_state, device):
        def fail():
            with seeded(random_state, device):
                torch.rand(5, device=device)
                raise ZeroDivisionError

        before = generator_states()
        with pytest.raises(ZeroDivisionError):
            fail()
        assert_untouched(before)
        # nor is the next one kept waiting
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(draw, 3, device).result(timeout=60) == draw(3, device)

    def test_nested(self, device):
        alone = draw(1, device)
        with seeded(0, device) as outer:
            expected = [torch.rand(3, device=device), torch.rand(3, device=device)]
            expected_numpy = outer.uniform(size=4)
        with seeded(0, device) as outer:
            first, first_numpy = torch.rand(3, device=device), outer.uniform(size=2)
            assert draw(1, device) == alone
            second, second_numpy = torch.rand(3, device=device), outer.uniform(size=2)
        assert torch.equal(first, expected[0])
        assert torch.equal(second, expected[1])
        assert [*first_numpy, *second_numpy] == expected_numpy.tolist()

    def test_threads_do_not_share_a_stream(self, device):
        def work(seed):
            numbers = []
            with seeded(seed, device) as generator:
                for _ in range(20):
                    numbers.append(torch.rand((), device=device).item())
                    numbers.append(generator.uniform())
                    time.sleep(0.0005)  # let the others have a turn
            return numbers

        expected = {seed: work(seed) for seed in (0, 1)}
        start = threading.Barrier(6)
        before = generator_states()

        def work_at_once(seed):
            start.wait(timeout=60)
            return work(seed)

        seeds = [0, 1, 0, 1, 0, 1]
        with ThreadPoolExecutor(len(seeds)) as pool:
            results = list(pool.map(work_at_once, seeds))
        assert results == [expected[seed] for seed in seeds]
        assert_untouched(before)


def test_none_is_fresh_whatever_was_seeded():
    numbers = []
    with torch.random.fork_rng(devices=[]):
        state = np.random.get_state()  # noqa: NPY002
        for _ in range(2):
            torch.default_generator.manual_seed(0)
            np.random.seed(0)  # noqa: NPY002
            numbers.append(draw(None))
        np.random.set_state(state)  # noqa: NPY002
    assert_differ(*numbers)


def test_random_state_instance_moves_on():
    """As everywhere in scikit-learn: an instance is used up, not copied."""
    instance, equal = np.random.RandomState(5), np.random.RandomState(5)
    with seeded(instance, CPU) as generator:
        assert generator is instance
    first, second = draw(instance), draw(instance)
    assert_differ(first, second)
    with seeded(equal, CPU):
        pass
    assert [draw(equal), draw(equal)] == [first, second]


def test_seeds_only_the_generators_it_restores(monkeypatch):
    """A fit on the processor must not seed the graphics cards of the process."""
    seeds = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    monkeypatch.setattr(torch.mps, "manual_seed", seeds.append)
    draw(0, CPU)
    assert seeds == []


def test_waits_for_the_block_of_another_thread():
    entered, leave = threading.Event(), threading.Event()

    def hold():
        with seeded(0, CPU):
            entered.set()
            leave.wait(timeout=60)

    with ThreadPoolExecutor(2) as pool:
        holding = pool.submit(hold)
        assert entered.wait(timeout=60)
        waiting = pool.submit(draw, 0)
        assert not _device._generators_in_use.acquire(blocking=False)
        assert not waiting.done()
        leave.set()
        holding.result(timeout=60)
        assert waiting.result(timeout=60) == draw(0)
