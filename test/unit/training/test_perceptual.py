"""The perceptual loss on hand-made features, and VGG-19's features beside torchvision's."""

from pathlib import Path
import sys
from urllib.error import URLError

from ir_vis_fusion.errors import CheckpointError
import pytest
from safetensors.torch import save_file
import torch
from torch import Tensor
from training.losses import perceptual_loss, strongest
from training.vgg import load_vgg19, Vgg19


@pytest.fixture(scope='module')
def network() -> Vgg19:
    return load_vgg19('random')


def picture(channels: int, height: int = 16, width: int = 24) -> Tensor:
    generator = torch.Generator().manual_seed(channels)
    return torch.rand(2, channels, height, width, generator=generator)


def test_each_layer_counts_alike_whatever_its_size() -> None:
    """Maps that differ by 1 and tokens that differ by 3: (1 + 9) / 2."""
    features = [torch.zeros(2, 4, 8, 8), torch.zeros(2, 9, 16)]
    target = [torch.ones(2, 4, 8, 8), torch.full((2, 9, 16), -3.0)]
    assert perceptual_loss(features, target).item() == pytest.approx(5.0)
    assert perceptual_loss(target, target).item() == 0


def test_the_strongest_feature_is_the_larger_one_of_each_place() -> None:
    first = [torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0]])]
    second = [torch.tensor([[0.5, 3.0]]), torch.tensor([[-1.0]])]
    maps, tokens = strongest(first, second)
    assert maps.tolist() == [[1.0, 3.0]]
    assert tokens.tolist() == [[0.0]]


def test_lists_of_unequal_length_are_refused() -> None:
    one = torch.zeros(1, 1)
    with pytest.raises(ValueError, match='shorter'):
        perceptual_loss([one, one], [one])
    with pytest.raises(ValueError, match='shorter'):
        strongest([one, one], [one])


def test_half_precision_features_are_compared_in_float32() -> None:
    """300^2 is more than float16 holds."""
    features = [torch.zeros(2, 9, 16, dtype=torch.float16)]
    target = [torch.full((2, 9, 16), 300.0, dtype=torch.float16)]
    with torch.autocast('cpu', torch.bfloat16):
        loss = perceptual_loss(features, target)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(9e4)


def test_maps_are_those_behind_the_relu_at_half_a_quarter_and_an_eighth(network: Vgg19) -> None:
    maps = network(picture(3, 21, 30))
    assert [tuple(x.shape) for x in maps] == [
        (2, 128, 10, 15),
        (2, 256, 5, 7),
        (2, 512, 2, 3),
    ]
    for x in maps:
        assert x.min() == 0
        # Random weights keep the size of activations: of order one down to the last map.
        assert 0.1 < x.std() < 10


def test_maps_equal_those_of_torchvision(network: Vgg19) -> None:
    """Its layers 5, 10 and 21 are overwritten by the ReLUs in place behind them."""
    vgg = pytest.importorskip('torchvision.models.vgg', exc_type=ImportError)
    theirs = vgg.make_layers(vgg.cfgs['E'], batch_norm=False)[:23]
    theirs.load_state_dict(network.features.state_dict())
    x, maps = picture(3), []
    for place, layer in enumerate(theirs):
        x = layer(x)
        if place in (5, 10, 21):
            maps.append(x)
    for ours, expected in zip(network(picture(3)), maps, strict=True):
        torch.testing.assert_close(ours, expected)


def test_grey_is_repeated_and_the_image_is_left_as_it_was(network: Vgg19) -> None:
    grey = picture(1)
    before = grey.clone()
    for one, other in zip(network(grey), network(grey.repeat(1, 3, 1, 1)), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(grey, before)


def test_gradients_reach_the_image_and_no_weight(network: Vgg19) -> None:
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not network.training
    fused = picture(1).requires_grad_()
    with torch.no_grad():
        target = strongest(network(picture(3)), network(1 - picture(1)))
    perceptual_loss(network(fused), target).backward()
    assert fused.grad.isfinite().all()
    assert (fused.grad != 0).float().mean() > 0.99


def test_autocast_changes_features_by_its_rounding_alone(network: Vgg19) -> None:
    """Ten layers of bfloat16, 8 bits each."""
    with torch.autocast('cpu', torch.bfloat16):
        rounded = network(picture(3).bfloat16())
    for x, expected in zip(rounded, network(picture(3)), strict=True):
        assert x.isfinite().all()
        assert (x.float() - expected).norm() < 0.02 * expected.norm()


@pytest.mark.parametrize('shape', [(2, 2, 16, 16), (3, 16, 16), (1, 3, 16, 7)])
def test_other_images_are_refused(network: Vgg19, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match='H and W at least 8'):
        network(torch.zeros(shape))


def test_images_in_bytes_are_refused(network: Vgg19) -> None:
    with pytest.raises(ValueError, match=r'float in \[0, 1\].*uint8'):
        network(torch.zeros(1, 3, 16, 16, dtype=torch.uint8))


def test_random_weights_are_the_same_each_time_and_draw_no_global_chance(network: Vgg19) -> None:
    state = torch.get_rng_state()
    again = load_vgg19('random')
    assert torch.equal(torch.get_rng_state(), state)
    for one, other in zip(network.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_file_may_hold_the_whole_network_in_half_precision(
    network: Vgg19, tmp_path: Path
) -> None:
    path = tmp_path / 'vgg19.safetensors'
    tensors = {name: x.half() for name, x in network.state_dict().items()}
    save_file({**tensors, 'classifier.6.bias': torch.zeros(1000)}, path)
    read = load_vgg19(str(path))
    assert not any(parameter.requires_grad for parameter in read.parameters())
    for name, x in read.state_dict().items():
        assert torch.equal(x, tensors[name].float())


def test_what_is_not_a_vgg19_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / 'other.safetensors'
    save_file({'features.0.weight': torch.zeros(8, 3, 3, 3)}, path)
    with pytest.raises(CheckpointError, match=r'20 of 20 tensors .*features\.0\.weight'):
        load_vgg19(str(path))
    path.write_bytes(b'cut off')
    with pytest.raises(CheckpointError, match='cut off'):
        load_vgg19(str(path))
    with pytest.raises(CheckpointError, match='no such file'):
        load_vgg19(str(tmp_path / 'none.safetensors'))
    with pytest.raises(CheckpointError, match='can run code'):
        load_vgg19('vgg19.pth')


def test_torchvision_is_asked_for_its_weights(
    network: Vgg19, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = pytest.importorskip('torchvision.models', exc_type=ImportError)

    def whole(_: object, check_hash: bool, **arguments: object) -> dict[str, Tensor]:
        assert check_hash
        assert arguments == {'map_location': 'cpu', 'weights_only': True}
        return {**network.state_dict(), 'classifier.6.bias': torch.zeros(1000)}

    monkeypatch.setattr(models.VGG19_Weights, 'get_state_dict', whole, raising=False)
    for name, x in load_vgg19().state_dict().items():
        assert torch.equal(x, network.state_dict()[name])


def test_without_a_network_the_ways_out_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    models = pytest.importorskip('torchvision.models', exc_type=ImportError)

    def offline(*_: object, **__: object) -> None:
        raise URLError('no route')

    monkeypatch.setattr(models.VGG19_Weights, 'get_state_dict', offline, raising=False)
    with pytest.raises(CheckpointError, match='no route.*safetensors file.*tokens of CLIP'):
        load_vgg19()


def test_without_torchvision_the_ways_out_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'torchvision', None)
    monkeypatch.setitem(sys.modules, 'torchvision.models', None)
    with pytest.raises(CheckpointError, match='pip install torchvision, or give'):
        load_vgg19()
