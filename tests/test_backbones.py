"""Tests of the backbones and heads of contrastive learning."""

import numpy as np
import pytest
import torch
from PIL import Image

from skdeepcluster.networks import (
    ContrastiveNetwork,
    DenseBackbone,
    ResidualNetwork,
    SmallBackbone,
)
from skdeepcluster.networks._contrastive import Resize

# Parameters of torchvision's networks, less those of their classifiers.
N_PARAMETERS = {
    (3, 4, 6, 3): 21_797_672 - 513_000,
    (2, 2, 2, 2): 11_689_512 - 513_000,
}


@pytest.fixture(autouse=True)
def _fixed_draws():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield


def shapes_of_stages(network, x):
    """Shape of one sample after each stage."""
    shapes = {}
    for name, stage in network.named_children():
        x = stage(x)
        shapes[name] = tuple(x.shape[1:])
    return shapes


class TestResidualNetwork:
    @pytest.mark.parametrize("n_blocks", N_PARAMETERS)
    def test_as_many_parameters_as_elsewhere(self, n_blocks):
        network = ResidualNetwork((3, 224, 224), n_blocks)
        n_parameters = sum(values.numel() for values in network.parameters())
        assert n_parameters == N_PARAMETERS[n_blocks]

    def test_stages_of_large_images(self):
        network = ResidualNetwork((3, 224, 224), (2, 2, 2, 2)).eval()
        with torch.no_grad():
            shapes = shapes_of_stages(network, torch.rand(1, 3, 224, 224))
        assert shapes == {
            "conv1": (64, 56, 56),
            "conv2_x": (64, 56, 56),
            "conv3_x": (128, 28, 28),
            "conv4_x": (256, 14, 14),
            "conv5_x": (512, 7, 7),
            "fc6": (512,),
        }

    def test_the_small_stem_keeps_all_pixels(self):
        network = ResidualNetwork((3, 32, 32), (1, 1, 1, 1), stem="small").eval()
        with torch.no_grad():
            shapes = shapes_of_stages(network, torch.rand(1, 3, 32, 32))
        assert shapes["conv1"] == (64, 32, 32)
        assert shapes["conv5_x"] == (512, 4, 4)

    def test_grey_images_need_no_copies(self):
        """One channel has the weights' sums of three equal ones."""
        settings = {"n_blocks": (1, 1), "widths": (4, 8)}
        color = ResidualNetwork((3, 32, 32), **settings).eval()
        grey = ResidualNetwork((1, 32, 32), **settings).eval()
        assert grey.conv1[0].weight.shape == (4, 1, 7, 7)
        state = color.state_dict()
        state["conv1.0.weight"] = state["conv1.0.weight"].sum(dim=1, keepdim=True)
        grey.load_state_dict(state)
        images = torch.rand(5, 1, 32, 32)
        with torch.no_grad():
            copied = color(images.expand(-1, 3, -1, -1))
            np.testing.assert_allclose(grey(images), copied, atol=1e-5)

    def test_blocks_have_a_way_around(self):
        block = ResidualNetwork((3, 8, 8), (2, 1), widths=(4, 8)).eval().conv2_x[1]
        torch.nn.init.zeros_(block.residual[0].weight)
        x = torch.rand(2, 4, 5, 5)
        assert torch.equal(block(x), x)

    def test_initial_weights(self):
        network = ResidualNetwork((3, 224, 224))
        for convolution in (network.conv1[0], network.conv5_x[0].residual[0]):
            weight = convolution.weight
            n_outputs, side = weight.shape[0], weight.shape[2]
            expected = (2 / (n_outputs * side**2)) ** 0.5
            assert weight.std().item() == pytest.approx(expected, rel=0.05)

    def test_unknown_stems(self):
        with pytest.raises(ValueError, match="stem='huge'"):
            ResidualNetwork((3, 32, 32), stem="huge")


class TestSmallBackbone:
    @pytest.mark.parametrize(
        "shape", [(1, 1, 1), (1, 1, 5), (2, 3, 2), (1, 28, 28), (3, 33, 96)]
    )
    def test_any_size(self, shape):
        network = SmallBackbone(shape).eval()
        with torch.no_grad():
            assert network(torch.rand(2, *shape)).shape == (2, 256)

    def test_stages(self):
        network = SmallBackbone((1, 28, 28), n_outputs=50, filters=(4, 8, 16)).eval()
        with torch.no_grad():
            shapes = shapes_of_stages(network, torch.rand(1, 1, 28, 28))
        assert shapes == {
            "conv1": (4, 14, 14),
            "conv2": (8, 7, 7),
            "conv3": (16, 4, 4),
            "fc4": (50,),
        }


def test_dense_backbone():
    network = DenseBackbone((4, 5), widths=(7, 6)).eval()
    with torch.no_grad():
        shapes = shapes_of_stages(network, torch.rand(3, 4, 5))
    assert shapes == {"flatten": (20,), "fc1": (7,), "fc2": (6,)}


class TestHeads:
    def make(self, **settings):
        backbone = DenseBackbone((6,), widths=(20,))
        return ContrastiveNetwork(backbone, 20, 5, 3, **settings).eval()

    @torch.no_grad()
    def test_both_heads(self):
        network = self.make()
        x = torch.randn(7, 6)
        H = network.backbone(x)
        fc7 = network.instance_head.fc7[0](H).relu()
        Z = network.instance_head.fc8[0](fc7)
        fc9 = network.cluster_head.fc9[0](H).relu()
        D = network.cluster_head.fc10(fc9).exp()
        embedded, assigned = network.both(x)
        np.testing.assert_allclose(embedded, Z / Z.norm(dim=1)[:, None], atol=1e-6)
        np.testing.assert_allclose(assigned, D / D.sum(dim=1)[:, None], atol=1e-6)
        assert torch.equal(network.encoder(x), embedded)
        assert torch.equal(network(x), assigned)

    @torch.no_grad()
    def test_sorted_clusters(self):
        network = self.make()
        x = torch.randn(7, 6)
        before = network(x)
        network.sort_clusters(torch.tensor([2, 0, 1]))
        np.testing.assert_allclose(network(x), before[:, [2, 0, 1]], atol=1e-6)


class TestResize:
    @pytest.mark.parametrize("size", [7, 16, 31, 64])
    def test_pillow(self, size):
        images = np.random.default_rng(0).random((3, 20, 31)).astype(np.float32)
        output = Resize(size)(torch.from_numpy(images)[:, None])
        for image, resized in zip(images, output, strict=True):
            expected = Image.fromarray(image).resize(
                (size, size), Image.Resampling.BILINEAR
            )
            np.testing.assert_allclose(resized[0], np.asarray(expected), atol=1e-5)

    def test_nothing_to_do(self):
        images = torch.rand(2, 3, 16, 16)
        assert Resize(None)(images) is images
        assert Resize(16)(images) is images
