"""Tests of the training loop and the prediction pass, on the smallest of models."""

import math
import os
import signal
import time
from contextlib import nullcontext
from itertools import islice
from threading import Event

import numpy as np
import pytest
import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef

from skdeepcluster import _training
from skdeepcluster._training import (
    DivergedError,
    apply,
    auto_steps,
    batches,
    endless_batches,
    finish,
    keeping_on_interrupt,
    make_optimizer,
    make_scheduler,
    prepare_optimizers,
    progress_bar,
    record,
    settle_statistics,
    train,
)
from skdeepcluster.networks import ConvolutionalAutoencoder, DenseAutoencoder

OPTIMIZERS = ["sgd", "adam"]
SCHEDULES = ["constant", "one-cycle"]


@pytest.fixture(autouse=True)
def _fixed_draws():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield


class Point(nn.Module):
    """A point in the plane, to be moved."""

    def __init__(self, *start):
        super().__init__()
        self.place = nn.Parameter(torch.tensor(start or (0.0, 0.0)))


class CountingContext:
    """A reusable context that counts its uses and knows when it is open."""

    def __init__(self):
        self.n_uses, self.is_open = 0, False

    def __enter__(self):
        self.n_uses, self.is_open = self.n_uses + 1, True

    def __exit__(self, *error):
        self.is_open = False


def sgd(module, learning_rate=0.1):
    return torch.optim.SGD(module.parameters(), lr=learning_rate)


def sizes(steps):
    return [len(rows) for rows in steps]


def reported(values, terms=None):
    """Loss that reports values of the rows and leaves the point where it is."""
    values = torch.tensor(values)

    def loss(rows):
        means = {name: column[rows].mean() for name, column in (terms or {}).items()}
        return {"loss": values[rows].mean() + 0 * point.place.sum(), **means}

    point = Point()
    return loss, {"module": point, "optimizer": sgd(point)}


class TestBatches:
    @pytest.mark.parametrize("shuffle", [False, True])
    @pytest.mark.parametrize(
        ("n_rows", "batch_size", "expected"),
        [
            (1, 1, [1]),
            (8, 4, [4, 4]),
            (9, 4, [4, 5]),  # one alone has no variance
            (10, 4, [4, 4, 2]),
            (300, np.uint8(200), [200, 100]),
            (7, 4, [4, 3]),
            (3, 4, [3]),
            (4, 4, [4]),
            (3, 1, [1, 1, 1]),
        ],
    )
    def test_sizes(self, n_rows, batch_size, expected, shuffle):
        assert sizes(batches(n_rows, batch_size, shuffle=shuffle)) == expected

    @pytest.mark.parametrize(
        ("n_rows", "batch_size", "expected"),
        [
            (1, 1, [1]),
            (8, 4, [4, 4]),
            (9, 4, [4, 4]),
            (7, 4, [4]),
            (3, 4, [3]),  # all there is
            (4, 4, [4]),
        ],
    )
    def test_sizes_without_the_rest(self, n_rows, batch_size, expected):
        steps = batches(n_rows, batch_size, shuffle=False, drop_last=True)
        assert sizes(steps) == expected

    @pytest.mark.parametrize("n_rows", [1, 7, 8, 9])
    def test_in_order(self, n_rows):
        rows = torch.cat(list(batches(n_rows, 4, shuffle=False)))
        assert rows.tolist() == list(range(n_rows))

    @pytest.mark.parametrize("n_rows", [1, 7, 8, 9, 1000])
    def test_shuffled_covers_every_row_once(self, n_rows):
        rows = torch.cat(list(batches(n_rows, 4, shuffle=True)))
        assert sorted(rows.tolist()) == list(range(n_rows))

    def test_shuffled_anew_in_every_pass(self):
        one, other = (torch.cat(list(batches(99, 4, shuffle=True))) for _ in range(2))
        assert not torch.equal(one, other)
        assert not torch.equal(one, torch.arange(99))

    @pytest.mark.parametrize("shuffle", [False, True])
    def test_indices_live_on_the_device(self, shuffle):
        device = torch.device("meta")  # any that is not the processor
        for rows in batches(9, 4, shuffle=shuffle, device=device):
            assert rows.device == device
            assert rows.dtype == torch.long

    def test_seed_decides_the_order_whatever_the_device(self):
        orders = []
        for device in (None, torch.device("cpu")):
            torch.default_generator.manual_seed(3)
            orders.append(torch.cat(list(batches(50, 8, shuffle=True, device=device))))
        assert torch.equal(*orders)


class TestEndlessBatches:
    @pytest.mark.parametrize(
        ("n_rows", "expected"),
        [
            (8, [4, 4, 4, 4, 4, 4]),
            (9, [4, 5, 4, 5, 4, 5]),
            (10, [4, 4, 2, 4, 4, 2]),
            (3, [3, 3, 3, 3, 3, 3]),
        ],
    )
    def test_never_empty(self, n_rows, expected):
        stream = endless_batches(n_rows, 4, shuffle=False)
        assert sizes(islice(stream, 6)) == expected

    def test_starts_over_in_the_same_order(self):
        stream = endless_batches(8, 3, shuffle=False)
        rows = torch.cat(list(islice(stream, 6)))
        assert rows.tolist() == list(range(8)) * 2

    def test_shuffles_every_pass_anew(self):
        stream = endless_batches(40, 8, shuffle=True)
        one, other = (torch.cat(list(islice(stream, 5))) for _ in range(2))
        assert sorted(one.tolist()) == sorted(other.tolist()) == list(range(40))
        assert not torch.equal(one, other)

    def test_device(self):
        stream = endless_batches(5, 2, shuffle=True, device=torch.device("meta"))
        assert next(stream).device.type == "meta"


@pytest.mark.parametrize(
    ("n_samples", "limits", "n_steps"),
    [
        (1, {}, 2),
        (100, {}, 150),
        (1_000_000, {}, 3000),
        (100, {"most": 90}, 90),
        (100, {"most": 200, "most_of_many": 300}, 150),
        (20_000, {"most": 200, "most_of_many": 300}, 200),
        (20_001, {"most": 200, "most_of_many": 300}, 300),
    ],
)
def test_steps_of_automatic_budgets(n_samples, limits, n_steps):
    assert auto_steps(n_samples, **limits) == n_steps


class TestOptimizer:
    def test_sgd(self):
        optimizer = make_optimizer("sgd", Point().parameters(), 0.3)
        assert isinstance(optimizer, torch.optim.SGD)
        (group,) = optimizer.param_groups
        assert group["lr"] == 0.3
        assert group["momentum"] == 0.9
        assert not group["nesterov"]
        assert group["dampening"] == group["weight_decay"] == 0

    def test_adam(self):
        optimizer = make_optimizer("adam", Point().parameters(), 1e-3)
        assert isinstance(optimizer, torch.optim.Adam)
        (group,) = optimizer.param_groups
        assert group["lr"] == 1e-3
        assert group["betas"] == (0.9, 0.999)
        assert group["eps"] == 1e-7
        assert group["weight_decay"] == 0
        assert not group["amsgrad"]

    def test_momentum_step_by_step(self):
        """Keras' rule: v = 0.9 v - lr g, then w += v."""
        point = Point(1.0, 2.0)
        optimizer = make_optimizer("sgd", point.parameters(), 0.1)
        place, velocity = torch.tensor([1.0, 2.0]), torch.zeros(2)
        for _ in range(5):
            train(
                lambda rows: {"loss": point.place.square().sum()},
                [torch.arange(1)],
                module=point,
                optimizer=optimizer,
            )
            velocity = 0.9 * velocity - 0.1 * 2 * place
            place = place + velocity
            torch.testing.assert_close(point.place.detach(), place)


class TestScheduler:
    @pytest.mark.parametrize("n_steps", [0, 1, 2, 100])
    def test_constant(self, n_steps):
        optimizer = sgd(Point())
        assert make_scheduler("constant", optimizer, n_steps) is None
        assert optimizer.param_groups[0]["lr"] == 0.1

    @pytest.mark.parametrize("n_steps", [0, 1])
    def test_too_short_for_a_cycle(self, n_steps):
        optimizer = sgd(Point())
        assert make_scheduler("one-cycle", optimizer, n_steps) is None
        assert optimizer.param_groups[0]["lr"] == 0.1

    @pytest.mark.parametrize("name", OPTIMIZERS)
    @pytest.mark.parametrize("n_steps", [*range(2, 31), 1000])
    def test_one_cycle(self, n_steps, name):
        optimizer = make_optimizer(name, Point().parameters(), 0.1)
        rates = self.rates(optimizer, n_steps)
        assert rates[-1] < 1e-3 * 0.1
        assert max(rates) == pytest.approx(0.1, rel=0.35 if n_steps < 20 else 0.02)
        assert max(rates) <= 0.1 * (1 + 1e-6)
        top = rates.index(max(rates))
        assert top <= n_steps / 5
        assert rates[: top + 1] == sorted(rates[: top + 1])
        assert rates[top:] == sorted(rates[top:], reverse=True)

    def test_momentum_stays(self):
        optimizer = make_optimizer("sgd", Point().parameters(), 0.1)
        scheduler = make_scheduler("one-cycle", optimizer, 10)
        for _ in range(10):
            assert optimizer.param_groups[0]["momentum"] == 0.9
            optimizer.step()
            scheduler.step()

    def test_each_group_of_parameters_keeps_its_rate(self):
        groups = [
            {"params": [nn.Parameter(torch.zeros(1))], "lr": rate} for rate in (1, 0.1)
        ]
        optimizer = torch.optim.SGD(groups)
        scheduler = make_scheduler("one-cycle", optimizer, 10)
        for _ in range(10):
            one, other = (group["lr"] for group in optimizer.param_groups)
            assert one == pytest.approx(10 * other)
            optimizer.step()
            scheduler.step()

    def rates(self, optimizer, n_steps):
        """Learning rate of each step."""
        scheduler = make_scheduler("one-cycle", optimizer, n_steps)
        rates = []
        for _ in range(n_steps):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        return rates


class TestTrain:
    @pytest.mark.parametrize("schedule", SCHEDULES)
    @pytest.mark.parametrize("name", OPTIMIZERS)
    def test_reaches_the_minimum_of_a_quadratic(self, name, schedule):
        """The minimum of 3 (x - 1)^2 + (y + 2)^2 + 5 is known."""
        point = Point()
        optimizer = make_optimizer(name, point.parameters(), 0.05)
        minimum, curvature = torch.tensor([1.0, -2.0]), torch.tensor([3.0, 1.0])

        def loss(rows):
            return {"loss": (curvature * (point.place - minimum).square()).sum() + 5}

        steps = islice(endless_batches(4, 2, shuffle=True), 600)
        train(
            loss,
            steps,
            module=point,
            optimizer=optimizer,
            scheduler=make_scheduler(schedule, optimizer, 600),
        )
        torch.testing.assert_close(point.place.detach(), minimum, rtol=0, atol=1e-5)
        terms = train(loss, [torch.arange(4)], module=point, optimizer=optimizer)
        assert terms["loss"] == pytest.approx(5, abs=1e-5)

    @pytest.mark.parametrize("name", OPTIMIZERS)
    def test_finds_the_mean_of_the_data(self, name):
        X = torch.randn(100, 2)
        point = Point()
        optimizer = make_optimizer(name, point.parameters(), 0.05)
        n_steps = 100 * 4  # of passes of four batches, the last one smaller
        train(
            lambda rows: {"loss": (X[rows] - point.place).square().sum(dim=1).mean()},
            islice(endless_batches(100, 30, shuffle=True), n_steps),
            module=point,
            optimizer=optimizer,
            scheduler=make_scheduler("one-cycle", optimizer, n_steps),
        )
        assert (point.place.detach() - X.mean(dim=0)).norm() < 0.05

    @pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 8])
    def test_terms_are_means_over_rows_not_over_batches(self, batch_size):
        loss, trained = reported(
            [1.0, 2.0, 3.0, 4.0, 10.0], {"other": torch.arange(5.0) ** 2}
        )
        terms = train(loss, batches(5, batch_size, shuffle=True), **trained)
        assert terms.keys() == {"loss", "other", "seconds"}
        assert terms["loss"] == pytest.approx(4, rel=1e-6)
        assert terms["other"] == pytest.approx(6, rel=1e-6)
        assert all(type(value) is float for value in terms.values())

    def test_minimises_the_entry_named_loss(self):
        point = Point(3.0, 3.0)

        def loss(rows):
            return {
                "other": point.place[0].square(),
                "loss": (point.place[1] - 1).square(),
            }

        steps = [torch.arange(2)] * 200
        terms = train(loss, steps, module=point, optimizer=sgd(point))
        torch.testing.assert_close(point.place.detach(), torch.tensor([3.0, 1.0]))
        assert terms["other"] == pytest.approx(9)

    def test_one_step_for_each_batch_on_its_own_gradient(self):
        point = Point(1.0, 0.0)
        point.place.grad = torch.full((2,), 1e6)  # left over from elsewhere
        seen = []

        def loss(rows):
            seen.append(rows.tolist())
            return {"loss": point.place.sum()}

        train(
            loss, batches(6, 2, shuffle=False), module=point, optimizer=sgd(point, 0.5)
        )
        assert seen == [[0, 1], [2, 3], [4, 5]]
        assert point.place.tolist() == [-0.5, -1.5]

    def test_takes_no_more_of_a_stream_than_its_part(self):
        loss, trained = reported([0.0, 1.0, 2.0, 3.0])
        stream = endless_batches(4, 1, shuffle=False)
        means = [train(loss, islice(stream, 3), **trained)["loss"] for _ in range(4)]
        assert means == pytest.approx([1, 4 / 3, 5 / 3, 2])

    def test_schedule_moves_after_every_step(self):
        loss, trained = reported([0.0] * 10)
        optimizer = trained["optimizer"]
        scheduler = make_scheduler("one-cycle", optimizer, 10)
        train(loss, batches(10, 1, shuffle=False), **trained, scheduler=scheduler)
        assert scheduler.last_epoch == 10

    def test_puts_the_module_into_training_mode(self):
        module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).eval()
        X, modes = torch.randn(6, 2) + 5, []

        def loss(rows):
            modes.append(module[1].training)
            return {"loss": module(X[rows]).square().mean()}

        before = module[1].running_mean.clone()
        train(loss, batches(6, 3, shuffle=False), module=module, optimizer=sgd(module))
        assert modes == [True, True]
        assert not torch.equal(module[1].running_mean, before)

    def test_losses_and_nothing_else_run_in_the_context(self):
        point, context, open_in = Point(), CountingContext(), {}

        def loss(rows):
            open_in["loss"] = context.is_open
            return {"loss": point.place.square().sum()}

        point.place.register_hook(
            lambda gradient: open_in.update(backward=context.is_open)
        )
        steps = batches(6, 2, shuffle=False)
        train(loss, steps, module=point, optimizer=sgd(point), autocast=context)
        assert open_in == {"loss": True, "backward": False}
        assert context.n_uses == 3

    def test_bfloat16_steps_leave_float32_weights(self):
        network = DenseAutoencoder((4,), latent_dim=2, units=(8,))
        X = torch.rand(20, 4)

        def loss(rows):
            output = network(X[rows])
            assert output.dtype == torch.bfloat16
            return {"loss": (output - X[rows]).square().mean()}

        optimizer = make_optimizer("adam", network.parameters(), 1e-2)
        context = torch.autocast("cpu", dtype=torch.bfloat16)
        first, last = (
            train(
                loss,
                islice(endless_batches(20, 10, shuffle=True), 50),
                module=network,
                optimizer=optimizer,
                autocast=context,
            )["loss"]
            for _ in range(2)
        )
        assert last < first
        assert all(one.dtype == torch.float32 for one in network.parameters())

    @pytest.mark.parametrize("name", OPTIMIZERS)
    def test_keeps_no_graph(self, name):
        point = Point()
        terms = train(
            lambda rows: {"loss": point.place.square().sum()},
            [torch.arange(3)],
            module=point,
            optimizer=make_optimizer(name, point.parameters(), 0.1),
        )
        assert not any(isinstance(value, torch.Tensor) for value in terms.values())

    @pytest.mark.parametrize("name", OPTIMIZERS)
    def test_optimizers_leave_alone_what_requires_no_gradient(self, name):
        point, frozen = Point(), Point().requires_grad_(False)
        optimizer = make_optimizer(
            name, [*frozen.parameters(), *point.parameters()], 0.1
        )
        assert optimizer.param_groups[0]["params"] == list(point.parameters())
        with pytest.raises(ValueError, match="there is nothing to train"):
            make_optimizer(name, frozen.parameters(), 0.1)


class TestDivergence:
    REMEDY = "lower the learning rate or scale X to a smaller range"

    def diverge(self, learning_rate, schedule="constant"):
        point = Point(1.0, 1.0)
        optimizer = make_optimizer("sgd", point.parameters(), learning_rate)
        train(
            lambda rows: {"loss": point.place.square().sum()},
            [torch.arange(1)] * 100,
            module=point,
            optimizer=optimizer,
            scheduler=make_scheduler(schedule, optimizer, 100),
        )

    def test_raises_an_error_that_names_the_remedy(self):
        with pytest.raises(DivergedError, match=self.REMEDY):
            self.diverge(1e6)

    def test_is_a_value_error_and_a_floating_point_error(self):
        assert issubclass(DivergedError, ValueError)
        assert issubclass(DivergedError, FloatingPointError)

    @pytest.mark.parametrize("schedule", SCHEDULES)
    def test_names_the_learning_rate_that_was_asked_for(self, schedule):
        with pytest.raises(DivergedError, match=r"learning rate of 123456;"):
            self.diverge(123456.0, schedule)

    def test_infinities_that_are_not_kept_are_the_networks_own(self):
        point = Point(1.0, 1.0)
        point.register_buffer("mask", torch.tensor([-torch.inf]), persistent=False)
        loss = lambda rows: {"loss": point.place.sum()}  # noqa: E731
        terms = train(loss, [torch.arange(1)], module=point, optimizer=sgd(point))
        assert terms["loss"] == 2

    def test_of_the_last_step_shows_in_what_it_moved(self):
        point = Point(1.0, 1.0)
        optimizer = make_optimizer("sgd", point.parameters(), 3e38)
        with pytest.raises(DivergedError, match=self.REMEDY):
            train(
                lambda rows: {"loss": point.place.square().sum()},
                [torch.arange(1)],
                module=point,
                optimizer=optimizer,
            )

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_one_bad_row_is_enough(self, value):
        loss, trained = reported([1.0, 1.0, value, 1.0])
        with pytest.raises(DivergedError, match=self.REMEDY):
            train(loss, batches(4, 1, shuffle=False), **trained)

    def test_every_term_counts(self):
        bad = {"other": torch.tensor([1.0, math.nan])}
        loss, trained = reported([1.0, 1.0], bad)
        with pytest.raises(DivergedError, match=self.REMEDY):
            train(loss, batches(2, 1, shuffle=False), **trained)


def networks():
    return {
        "dense": (DenseAutoencoder((12,), units=(50, 20)), (12,)),
        "dense, wide": (DenseAutoencoder((64,)), (64,)),
        "conv": (ConvolutionalAutoencoder((1, 16, 16), filters=(4, 8, 8)), (1, 16, 16)),
        "conv, odd": (ConvolutionalAutoencoder((3, 9, 13)), (3, 9, 13)),
    }


class TestApply:
    @pytest.mark.parametrize("name", networks())
    def test_a_row_does_not_depend_on_the_others(self, name):
        module, shape = networks()[name]
        X = torch.randn(600, *shape)
        for part in (module.encoder, module):
            expected = apply(part, X)
            for n_rows in (1, 2, 17, 255, 256, 257, 513):
                assert torch.equal(apply(part, X[:n_rows]), expected[:n_rows])
                assert torch.equal(apply(part, X[-n_rows:]), expected[-n_rows:])
            order = torch.randperm(600)
            assert torch.equal(apply(part, X[order]), expected[order])

    @pytest.mark.parametrize("n_rows", [1, 2, 255, 256, 257, 512, 700])
    def test_all_rows_in_order(self, n_rows):
        X = torch.arange(n_rows).float()[:, None]
        assert torch.equal(apply(nn.Identity(), X), X)
        module = nn.Linear(1, 3)
        with torch.no_grad():
            torch.testing.assert_close(apply(module, X), module(X))

    def test_outputs_are_in_memory_once(self):
        storages, alive = [], []

        class Spy(nn.Module):
            def forward(self, x):
                alive.append(sum(not storage.expired() for storage in storages))
                output = x + 1
                storages.append(StorageWeakRef(output.untyped_storage()))
                return output

        apply(Spy(), torch.zeros(1024, 2))
        assert alive == [0, 1, 1, 1]  # the last one, until the next

    def test_keeps_no_graph(self):
        X = torch.randn(5, 2, requires_grad=True)
        output = apply(nn.Linear(2, 2), X)
        assert not output.requires_grad
        assert output.grad_fn is None
        assert torch.is_grad_enabled()

    def test_evaluation_mode(self):
        module = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.5)).train()
        X = torch.randn(10, 2) + 5
        state = {name: value.clone() for name, value in module.state_dict().items()}
        assert torch.equal(apply(module, X), apply(module, X))
        assert not any(part.training for part in module.modules())
        for name, value in module.state_dict().items():
            assert torch.equal(value, state[name])

    def test_samples_are_only_indexed(self):
        """What is applied to needs a length, a device and batches."""

        class Numbers:
            device = torch.device("cpu")

            def __len__(self):
                return 300

            def __getitem__(self, rows):
                assert len(rows) == 256  # always the same shape of batch
                return rows.float()[:, None]

        assert apply(nn.Identity(), Numbers()).flatten().tolist() == list(range(300))

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("row", [0, 299])
    def test_raises_if_an_output_is_not_finite(self, value, row):
        X = torch.zeros(300, 2)
        X[row, 1] = value
        with pytest.raises(DivergedError, match="lower the learning rate"):
            apply(nn.Identity(), X)


class TestRecord:
    def test_lists_stay_equally_long(self):
        history = {}
        record(history, phase="pretrain", loss=1.0)
        record(history, phase="finetune", loss=0.5, label_change=0.1)
        record(history, phase="decoder", extra=2)
        assert history.keys() == {"phase", "loss", "label_change", "extra"}
        assert history["phase"] == ["pretrain", "finetune", "decoder"]
        expected = {
            "loss": [1.0, 0.5, math.nan],
            "label_change": [math.nan, 0.1, math.nan],
            "extra": [math.nan, math.nan, 2],
        }
        for name, values in expected.items():
            assert history[name] == pytest.approx(values, nan_ok=True)

    def test_lists_are_not_shared(self):
        history = {}
        record(history, one=1, other=2)
        assert history["one"] is not history["other"]


class TestInterrupt:
    def interrupted(self, calls, error):
        with keeping_on_interrupt(lambda: calls.append("stopped")):
            calls.append("started")
            raise error
        calls.append("went on")

    def test_ends_the_block_and_calls(self):
        calls = []
        self.interrupted(calls, KeyboardInterrupt)
        assert calls == ["started", "stopped", "went on"]

    def test_an_essential_step_is_taken_again_once(self):
        calls = []

        def step():
            calls.append("step")
            if len(calls) == 1:
                raise KeyboardInterrupt
            return "done"

        assert finish(step, lambda: calls.append("stopped")) == "done"
        assert calls == ["step", "stopped", "step"]
        calls.clear()
        with pytest.raises(KeyboardInterrupt):
            finish(lambda: [step() for _ in "12" if calls.clear() is None], calls.clear)

    def test_is_silent_otherwise(self):
        calls = []
        with keeping_on_interrupt(lambda: calls.append("stopped")):
            calls.append("finished")
        assert calls == ["finished"]

    def test_lets_errors_pass(self):
        calls = []
        with pytest.raises(ZeroDivisionError):
            self.interrupted(calls, ZeroDivisionError)
        assert calls == ["started"]

    def test_ctrl_c_does_not_reach_what_optimizers_import(self, monkeypatch):
        is_over = Event()

        def import_a_lot(*args):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)
            is_over.set()

        monkeypatch.setattr(_training, "make_optimizer", import_a_lot)
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with pytest.raises(KeyboardInterrupt):
                prepare_optimizers()
        finally:
            signal.signal(signal.SIGINT, handler)
        assert is_over.wait(10)


class TestProgressBar:
    def test_silent(self, capfd):
        with progress_bar(3, "pretraining", 0, "epoch") as bar:
            bar.update()
        assert capfd.readouterr() == ("", "")

    def test_verbose(self, capfd):
        with progress_bar(3, "pretraining", 1, "epoch") as bar:
            bar.update(3)
        output, error = capfd.readouterr()
        assert output == ""
        assert "pretraining" in error
        assert "3/3" in error


def test_context_may_be_left_out():
    loss, trained = reported([1.0])
    for context in (None, nullcontext()):
        terms = train(loss, [torch.arange(1)], **trained, autocast=context)
        assert terms["loss"] == 1


class TestSettleStatistics:
    X = torch.arange(24.0).view(8, 3) ** 2

    def settle(self, module, steps, function=None):
        settle_statistics(module, function or module, self.X, steps)
        return module

    def test_means_of_all_batches_weigh_the_same(self):
        norm = nn.BatchNorm1d(3)
        norm(self.X * 100)  # leaves its trace, which shall go
        self.settle(norm, batches(8, 4, shuffle=False))
        halves = self.X.view(2, 4, 3)
        torch.testing.assert_close(norm.running_mean, halves.mean(dim=1).mean(dim=0))
        torch.testing.assert_close(norm.running_var, halves.var(dim=1).mean(dim=0))
        assert norm.momentum == 0.1

    def test_layers_see_what_those_before_them_normalised(self):
        module = nn.Sequential(nn.BatchNorm1d(3), nn.BatchNorm1d(3))
        self.settle(module, batches(8, 8, shuffle=False))
        torch.testing.assert_close(module[1].running_mean, torch.zeros(3))

    def test_nothing_is_learned(self):
        module = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
        before = [w.clone() for w in module.parameters()]
        self.settle(module, batches(8, 4, shuffle=True))
        for weight, other in zip(module.parameters(), before, strict=True):
            assert torch.equal(weight, other)
            assert weight.grad is None

    def test_momentum_is_put_back_after_ctrl_c(self):
        norm = nn.BatchNorm1d(3, momentum=0.3)

        def interrupt(x):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            self.settle(norm, batches(8, 4, shuffle=False), interrupt)
        assert norm.momentum == 0.3

    def test_a_module_without_such_layers_stays_as_it_is(self):
        linear = nn.Linear(3, 3)
        before = linear.weight.clone()
        self.settle(linear, batches(8, 4, shuffle=False))
        assert torch.equal(linear.weight, before)
