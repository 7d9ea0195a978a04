"""
Exported networks give what torch gives, at sizes that no factor divides too.

Tolerances, of images in [0, 1]: 2e-5 in fp32 (measured: 6e-6 at this size, from another order of
sums), one grey level in fp16 (measured: 0.3). Networks that take long to trace are small ones
with random weights, with every layer that the shipped ones have.
"""

from collections.abc import Callable
import json
from pathlib import Path

from ir_vis_fusion.backends.chooser import load_backend
from ir_vis_fusion.checkpoint import load_checkpoint, resolve, save_checkpoint
from ir_vis_fusion.config import PredictorSettings
from ir_vis_fusion.errors import BackendError, CheckpointError, DeviceError
from ir_vis_fusion.models.registry import build
from ir_vis_fusion.predictor import FusionPredictor
from ir_vis_fusion.types import Frame, FramePair, PixelEncoding
import numpy as np
import pytest
import torch
from torch import Tensor

onnx = pytest.importorskip('onnx', reason='onnx is not installed')
pytest.importorskip('onnxscript', reason='onnxscript is not installed')
pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')
from ir_vis_fusion.backends.onnx_export import export_onnx, halve  # noqa: E402

CPU = torch.device('cpu')
SIZES = ((64, 80), (51, 67))
TOLERANCE = {'fp32': 2e-5, 'fp16': 2 / 255}
SMALL = {
    'mgfusion': {'channels': 4, 'encoder_blocks': 1, 'decoder_blocks': 1, 'heads': 2},
    'ldfusion': {'width': 4, 'blocks': 1, 'hidden': 16},
    'textfusion': {'channels': 4, 'blocks': [1, 1, 1], 'text_hidden': 8},
}
MODELS = ('student', 'student_guided', 'clipfusion', *SMALL)
Exporter = Callable[[str, str], tuple[Path, Path]]


@pytest.fixture(scope='module')
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exporter:
    """Return a function that gives the checkpoint and the ONNX file of a network, made once."""
    folder, made = tmp_path_factory.mktemp('onnx'), {}

    def export(name: str, precision: str = 'fp32') -> tuple[Path, Path]:
        if (name, precision) not in made:
            checkpoint = small(name, folder) if name in SMALL else resolve(name)
            path = folder / f'{name}_{precision}.onnx'
            if name in SMALL and precision == 'fp16':
                # What export_onnx does too, without tracing the network again.
                onnx.save(halve(onnx.load(export(name)[1])), path)
            else:
                export_onnx(checkpoint, path, precision)
            made[name, precision] = (checkpoint, path)
        return made[name, precision]

    return export


def small(name: str, folder: Path) -> Path:
    path = folder / f'{name}.safetensors'
    torch.manual_seed(2)
    model = build(name, SMALL[name])
    # One step, by which mgfusion learns the mean that stands in for missing features.
    vis, ir, *features = model.train().example_inputs(32, 40)
    model(vis, ir, *(torch.randn_like(one) for one in features))
    # Layers that start at zero hide what goes through them.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    save_checkpoint(path, model, name, SMALL[name], {'clip': {'name': 'ViT'}}, {'data': 'noise'})
    return path


def inputs(model: torch.nn.Module, size: tuple[int, int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    vis, ir, *features = model.example_inputs(*size)
    images = [torch.rand(image.shape, generator=generator) for image in (vis, ir)]
    return [*images, *(torch.randn(one.shape, generator=generator) for one in features)]


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('name', MODELS)
def test_every_network_gives_what_torch_gives(
    exported: Exporter, name: str, size: tuple[int, int]
) -> None:
    checkpoint, path = exported(name, 'fp32')
    model, backend = load_checkpoint(checkpoint).model, load_backend(path, CPU)
    vis, ir, *features = inputs(model, size)
    without = [None] * len(features)
    with torch.inference_mode():
        for given in (features, without):
            expected = model(vis, ir, *given)
            found = backend(vis, ir, *given)
            torch.testing.assert_close(found, expected, atol=TOLERANCE['fp32'], rtol=0)
    if features:
        assert (backend(vis, ir, *features) - found).abs().max() > 2 * TOLERANCE['fp32']


@pytest.mark.parametrize('name', ['student', 'ldfusion'])
def test_half_precision_stays_within_two_grey_levels(exported: Exporter, name: str) -> None:
    checkpoint, path = exported(name, 'fp16')
    model, backend = load_checkpoint(checkpoint).model, load_backend(path, CPU)
    assert path.stat().st_size < 0.7 * exported(name, 'fp32')[1].stat().st_size
    for size in SIZES:
        given = inputs(model, size)
        with torch.inference_mode():
            expected = model(*given)
        torch.testing.assert_close(backend(*given), expected, atol=TOLERANCE['fp16'], rtol=0)


@pytest.mark.parametrize('name', ['ldfusion', 'student'])
def test_sums_over_a_frame_stay_in_single_precision(exported: Exporter, name: str) -> None:
    """
    By onnx's own evaluator, which computes in float16 where the file says so.

    ONNX Runtime's CPU provider does not, and hides what overflows on a GPU: 80 x 96 x 16 values
    of a layer of ldfusion, or the student's sums of squares, are more than float16 holds.
    """
    from onnx.reference import ReferenceEvaluator

    checkpoint, path = exported(name, 'fp16')
    model = load_checkpoint(checkpoint).model
    vis, ir = inputs(model, (80, 96))
    session = ReferenceEvaluator(onnx.load(path))
    (found,) = session.run(None, {'vis': vis.numpy(), 'ir': ir.numpy()})
    with torch.inference_mode():
        expected = model(vis, ir).numpy()
    difference = abs(found - expected)
    # In float16 throughout, white noise is harder than in ONNX Runtime.
    assert np.quantile(difference, 0.999) < TOLERANCE['fp16']
    assert difference.max() < 3 * TOLERANCE['fp16']


def test_the_file_is_one_without_custom_operators_and_tells_its_origin(
    exported: Exporter,
) -> None:
    checkpoint, path = exported('student_guided', 'fp32')
    model = onnx.load(path)
    assert {item.domain for item in model.opset_import} == {''}
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    assert path.stat().st_size < 1.5 * checkpoint.stat().st_size
    assert [value.name for value in model.graph.input] == ['vis', 'ir', 'vis_features']
    told = {item.key: json.loads(item.value) for item in model.metadata_props}
    source = load_checkpoint(checkpoint)
    assert told['sha256'] == source.sha256
    assert told['preprocessing'] == source.preprocessing
    assert told['provenance'] == source.provenance
    assert told['precision'] == 'fp32'


def test_the_predictor_takes_the_file_by_the_same_setting(exported: Exporter) -> None:
    random = np.random.default_rng(3)
    thermal = random.integers(0, 255, (48, 60), dtype=np.uint8)
    visible = random.integers(0, 255, (61, 83, 3), dtype=np.uint8)
    pair = FramePair(Frame(thermal, PixelEncoding.MONO8, 1), Frame(visible, PixelEncoding.BGR8, 2))
    _, path = exported('student', 'fp32')
    by_torch = FusionPredictor(PredictorSettings(device='cpu'))
    by_onnx = FusionPredictor(PredictorSettings(model=str(path), device='cpu'))
    assert by_onnx.network.sha256 == by_torch.network.sha256
    assert by_onnx.network.path == path
    difference = abs(by_onnx.predict(pair).image.astype(int) - by_torch.predict(pair).image)
    # The torch back-end works on bytes and in bfloat16, which noise is hardest for.
    assert difference.max() <= 12
    assert difference.mean() < 0.5


def test_a_network_of_others_is_refused(tmp_path: Path, exported: Exporter) -> None:
    model = onnx.load(exported('student', 'fp32')[1])
    del model.metadata_props[:]
    path = tmp_path / 'foreign.onnx'
    onnx.save(model, path)
    with pytest.raises(CheckpointError, match='not exported by this package.*lack.*sha256'):
        load_backend(path, CPU)


@pytest.mark.parametrize(
    ('key', 'value', 'told'),
    [
        ('guidance', '"text"', 'guidance .* must be list'),
        ('name', '{', 'not JSON'),
        ('export_version', '7', 'export version 7, expected 1'),
        ('guidance', '["text_features"]', 'its inputs are'),
    ],
)
def test_wrong_metadata_are_refused(
    tmp_path: Path, exported: Exporter, key: str, value: str, told: str
) -> None:
    model = onnx.load(exported('student', 'fp32')[1])
    next(item for item in model.metadata_props if item.key == key).value = value
    path = tmp_path / 'wrong.onnx'
    onnx.save(model, path)
    with pytest.raises(CheckpointError, match=told):
        load_backend(path, CPU)


def test_a_damaged_file_is_refused(tmp_path: Path, exported: Exporter) -> None:
    path = tmp_path / 'half.onnx'
    content = exported('student', 'fp32')[1].read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=r'half\.onnx.*not a network to run'):
        load_backend(path, CPU)


def test_weights_in_other_files_are_not_read(tmp_path: Path, exported: Exporter) -> None:
    model = onnx.load(exported('student', 'fp32')[1])
    path = tmp_path / 'split.onnx'
    onnx.save(model, path, save_as_external_data=True, location='weights', size_threshold=0)
    assert (tmp_path / 'weights').is_file()
    with pytest.raises(CheckpointError, match=r'split\.onnx.*not a network to run'):
        load_backend(path, CPU)


def test_a_device_that_onnx_runtime_does_not_know_is_refused(exported: Exporter) -> None:
    import onnxruntime

    if 'CUDAExecutionProvider' in onnxruntime.get_available_providers():
        pytest.skip('this ONNX Runtime knows CUDA')
    with pytest.raises(DeviceError, match=r"device 'cuda:0'.*onnxruntime-gpu"):
        load_backend(exported('student', 'fp32')[1], torch.device('cuda:0'))


def test_a_missing_library_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, exported: Exporter
) -> None:
    import sys

    _, path = exported('student', 'fp32')
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(BackendError, match=r"pip install 'ir_vis_fusion\[onnx\]'"):
        load_backend(path, CPU)
    monkeypatch.setitem(sys.modules, 'onnxscript', None)
    with pytest.raises(BackendError, match=r"onnxscript.*'ir_vis_fusion\[export\]'"):
        export_onnx(resolve('student'), tmp_path / 'x.onnx')
