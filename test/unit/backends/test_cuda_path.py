"""
What runs on CUDA, as far as a CPU can tell: half precision, the cache of graphs, packed images.

What needs the device itself is skipped without one.
"""

from collections.abc import Callable

from ir_vis_fusion.backends.cuda_graph import (
    CudaBackend,
    GraphCache,
    prepare_network,
    record,
)
from ir_vis_fusion.backends.transfer import Transfer
from ir_vis_fusion.checkpoint import load_checkpoint, resolve
from ir_vis_fusion.config import PredictorSettings
from ir_vis_fusion.predictor import FusionPredictor
from ir_vis_fusion.types import Frame, FramePair, PixelEncoding
import numpy as np
import pytest
import torch
from torch import nn, Tensor

CPU = torch.device('cpu')
GREY_LEVEL = 1 / 255
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')


def inputs(model: nn.Module, height: int, width: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    vis, ir, *features = model.example_inputs(height, width)
    images = [torch.rand(image.shape, generator=generator) for image in (vis, ir)]
    return [*images, *(torch.randn(one.shape, generator=generator) for one in features)]


@pytest.mark.parametrize('name', ['student', 'student_guided', 'ldfusion', 'mgfusion'])
def test_half_precision_stays_within_a_grey_level(name: str) -> None:
    model = load_checkpoint(resolve(name)).model
    given = inputs(model, 51, 66)
    run = prepare_network(model, CPU, exact=False)
    with torch.inference_mode():
        found, expected = run(*given), model(*given)
    assert found.dtype == torch.float32
    assert 0 < (found - expected).abs().max() < GREY_LEVEL
    # The network that was given is left as it was.
    assert {one.dtype for one in model.parameters()} == {torch.float32}


def test_exact_is_the_network_itself() -> None:
    model = load_checkpoint(resolve('student')).model
    given = inputs(model, 40, 48)
    with torch.inference_mode():
        torch.testing.assert_close(prepare_network(model, CPU, exact=True)(*given), model(*given))


def test_each_size_is_recorded_once_and_the_least_used_is_forgotten() -> None:
    recorded = []

    def record(*examples: Tensor | None) -> Callable[..., Tensor]:
        recorded.append(examples[0].shape[-1])
        return lambda vis, ir, features: vis + ir + (0 if features is None else 1)

    graphs = GraphCache(record, most=2)

    def run(width: int, features: Tensor | None = None) -> float:
        return graphs(torch.ones(1, width), torch.ones(1, width), features)[0, 0].item()

    assert [run(3), run(4), run(3)] == [2.0, 2.0, 2.0]
    assert recorded == [3, 4]
    # The third takes the place of 4, which was used before 3.
    run(5)
    run(3)
    run(4)
    assert recorded == [3, 4, 5, 4]
    # With features it is another graph.
    assert run(4, torch.ones(1, 8)) == 3.0
    assert recorded == [3, 4, 5, 4, 4]


def test_images_of_a_frame_go_in_one_package_and_come_back() -> None:
    random = np.random.default_rng(0)
    thermal = random.integers(0, 65535, (37, 41), dtype=np.uint16)
    visible = random.integers(0, 255, (50, 61, 3), dtype=np.uint8)[:, ::-1]
    depth = random.random((5, 7), dtype=np.float32)
    transfer = Transfer(CPU, packs=True)
    transfer.announce(visible, depth)
    sent = [transfer.upload(image)[1] for image in (thermal, visible, depth)]
    blocks = {one.untyped_storage().data_ptr() for one in sent}
    assert len(blocks) == 1
    for image, one in zip((thermal, visible, depth), sent, strict=True):
        np.testing.assert_array_equal(one.numpy(), image)
    np.testing.assert_array_equal(transfer.download(sent[1]), visible)


def test_a_package_is_no_longer_read_once_the_next_is_sent() -> None:
    """A frame's tensors are its own, for CLIP may look at them later."""
    transfer = Transfer(CPU, packs=True)
    first, second = np.full((8, 8), 1, np.uint8), np.full((8, 8), 2, np.uint8)
    transfer.announce()
    _, early = transfer.upload(first)
    fused = transfer.download(early)
    transfer.announce()
    _, late = transfer.upload(second)
    assert transfer.download(late).max() == 2
    assert early.unique().tolist() == [1]
    assert fused.max() == 1
    # The same array, filled anew by its owner, is another image.
    first[:] = 7
    transfer.announce()
    assert transfer.upload(first)[1].unique().tolist() == [7]


def test_packed_images_give_the_same_picture() -> None:
    random = np.random.default_rng(5)
    thermal = random.integers(28_000, 30_000, (48, 60), dtype=np.uint16)
    visible = random.integers(0, 255, (61, 83, 3), dtype=np.uint8)
    visible.flags.writeable = False
    pair = FramePair(
        Frame(thermal, PixelEncoding.MONO16, 1), Frame(visible, PixelEncoding.BGR8, 2)
    )
    plain, packed = (FusionPredictor(PredictorSettings(device='cpu')) for _ in range(2))
    packed._transfer = Transfer(CPU, packs=True)
    np.testing.assert_array_equal(packed.predict(pair).image, plain.predict(pair).image)


@cuda
def test_graphs_give_what_torch_gives() -> None:
    checkpoint = load_checkpoint(resolve('student'))
    backend = CudaBackend(checkpoint, torch.device('cuda'))
    for size in ((51, 66), (96, 128), (51, 66)):
        given = inputs(checkpoint.model, *size)
        with torch.inference_mode():
            expected = checkpoint.model(*given)
        found = backend(*(one.cuda() for one in given)).cpu()
        # Three of 12 288 pixels were off by 1.12 levels on an H200.
        torch.testing.assert_close(found, expected, atol=1.5 * GREY_LEVEL, rtol=0)


@cuda
def test_a_graph_reads_anew_what_lies_in_pinned_memory() -> None:
    numbers = torch.ones(3, pin_memory=True)
    image = torch.full((4, 4), 2.0, device='cuda')
    run = record(lambda image, numbers: image * numbers[1], (image, numbers))
    for number in (1.0, 3.0, 5.0):
        numbers[1] = number
        assert run(image + 1, numbers).unique().tolist() == [3 * number]
