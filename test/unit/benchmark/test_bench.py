"""What is timed is the path of the node; what is counted can be derived."""

import json
from pathlib import Path
import re

from ir_vis_fusion.benchmark.bench import BenchSettings, run_bench, scaling
from ir_vis_fusion.benchmark.cost import cost
from ir_vis_fusion.benchmark.frames import make_images
from ir_vis_fusion.benchmark.path import Effort, LEAST_FRAMES, measure_path
from ir_vis_fusion.benchmark.roofline import Roofline
from ir_vis_fusion.benchmark.stopwatch import figures, Stopwatch
from ir_vis_fusion.checkpoint import resolve, save_checkpoint
from ir_vis_fusion.cli.main import main
from ir_vis_fusion.config import PredictorSettings
from ir_vis_fusion.evaluation.markdown import markers
from ir_vis_fusion.models.registry import build
from ir_vis_fusion.preprocessing.encodings import decode
from ir_vis_fusion.preprocessing.floor import Floor
from ir_vis_fusion.types import Role
import numpy as np
import pytest
import torch
from torch import nn, Tensor

CPU = torch.device('cpu')
SIZE = (48, 64)
EFFORT = Effort(frames=8, seconds=60.0, warm_up=1)
ROOF = Roofline(1e10, {'float32': 1e11})
PERCENTILES = {'p50_ms', 'p95_ms', 'p99_ms'}


def test_a_stage_that_comes_twice_in_a_frame_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 0.001, 0.003, 0.007, 10.0, 10.002])
    monkeypatch.setattr('time.perf_counter', lambda: next(ticks))
    watch = Stopwatch(CPU)
    watch.start()
    for stage in ('upload', 'network', 'upload'):
        watch.lap(stage)
    assert dict(watch.frames[0]) == pytest.approx({'upload': 0.005, 'network': 0.002})
    watch.start()
    watch.lap('upload')
    assert watch.stages()['upload']['p50_ms'] == pytest.approx((5.0 + 2.0) / 2)
    # A frame without a stage took no time for it.
    assert watch.stages()['network']['p50_ms'] == pytest.approx(1.0)


def test_figures_are_percentiles_in_milliseconds() -> None:
    found = figures([index / 1000 for index in range(101)])
    assert found == {'p50_ms': 50.0, 'p95_ms': 95.0, 'p99_ms': 99.0}


def test_bytes_moved_are_those_of_layers_with_weights() -> None:
    """One convolution of 4 to 8 channels of 6x5 pixels, 3x3 taps and bias, then a ReLU."""

    class One(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(4, 8, 3, padding=1)

        def example_inputs(self, height: int, width: int) -> tuple[Tensor, ...]:
            return (torch.zeros(1, 4, height, width),)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x).relu()

    macs, moved = cost(One(), 6, 5)
    assert macs == 30 * 4 * 8 * 9
    assert moved == 4 * (30 * 4 + 30 * 8 + 4 * 8 * 9 + 8)


def test_the_least_time_is_the_longer_of_moving_and_multiplying() -> None:
    roof = Roofline(100.0, {'float32': 10.0, 'bfloat16': 50.0})
    assert roof.least_s(macs=200, moved_bytes=300) == 4.0
    assert roof.least_s(macs=50, moved_bytes=300) == 3.0


def test_the_floor_blends_luma_and_keeps_a_grey_image_grey() -> None:
    visible = np.full((4, 6, 3), 100, np.uint8)
    fused = Floor(4, 6)(visible, np.full((4, 6), 200, np.uint8))
    assert fused.shape == (4, 6, 3)
    assert np.unique(fused).tolist() == [150]


def test_images_are_those_of_two_cameras_and_never_the_same_twice() -> None:
    images = make_images(*SIZE)
    first, second = images.pair(0), images.pair(1)
    assert first[0].stamp_ns == first[1].stamp_ns < second[0].stamp_ns
    thermal, visible = (
        decode(image, role).image
        for image, role in zip(first, (Role.THERMAL, Role.VISIBLE), strict=True)
    )
    assert (thermal.dtype, thermal.shape) == (np.uint16, SIZE)
    assert (visible.dtype, visible.shape) == (np.uint8, (*SIZE, 3))
    assert (thermal != decode(second[0], Role.THERMAL).image).any()


def test_every_stage_of_the_path_is_timed() -> None:
    settings = PredictorSettings(device='cpu')
    result = measure_path(settings, str(resolve('student')), SIZE, EFFORT, ROOF)
    assert set(result['stages']) == {
        'decode', 'upload', 'normalise', 'register', 'network', 'recombine', 'download', 'encode',
    }  # fmt: skip
    for one in (*result['stages'].values(), result['total'], result['network'], result['floor']):
        assert set(one) == PERCENTILES
    assert result['frames'] == 8
    assert result['size'] == '64x48'
    # Of the stages; the network alone is timed by itself.
    assert result['total']['p50_ms'] > result['stages']['network']['p50_ms'] > 0
    assert result['network']['p50_ms'] > 0
    # Convolutions, and the perceptron of the context.
    assert result['macs'] == (3 * 9 + 2) * 32 * 32 * 12 * 16 + (6 + 128) * 32
    expected = 1e3 * max(result['macs'] / 1e11, result['bytes_moved'] / 2 / 1e10)
    assert result['roofline_ms'] == pytest.approx(expected, rel=0.5, abs=1e-4)


def test_where_marks_wait_for_a_device_the_total_is_that_of_frames_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Stopwatch, 'waits', True)
    settings = PredictorSettings(device='cpu')
    names: list[str] = []
    lap = Stopwatch.lap
    monkeypatch.setattr(Stopwatch, 'lap', lambda self, name: (names.append(name), lap(self, name)))
    result = measure_path(settings, str(resolve('student')), SIZE, EFFORT, ROOF)
    assert names.count('whole') == result['frames'] == EFFORT.frames
    assert names.count('encode') == EFFORT.warm_up + EFFORT.frames
    assert 'whole' not in result['stages']
    assert result['total']['p50_ms'] > 0


def test_a_slow_model_gets_fewer_frames_but_enough_for_a_median() -> None:
    settings = PredictorSettings(device='cpu')
    effort = Effort(frames=10_000, seconds=0.0, warm_up=0)
    result = measure_path(settings, str(resolve('student')), SIZE, effort, ROOF)
    assert result['frames'] == LEAST_FRAMES


def test_clip_looks_at_its_own_rate(tmp_path: Path) -> None:
    """Its tower is called from another thread, and not for each frame."""
    config = {'channels': 4, 'encoder_blocks': 1, 'decoder_blocks': 1, 'heads': 2}
    config |= {'clip_features': 8}
    path = tmp_path / 'mgfusion.safetensors'
    save_checkpoint(path, build('mgfusion', config), 'mgfusion', config, {}, {})
    looks = []

    def tower(images: Tensor) -> Tensor:
        looks.append(images.shape)
        return torch.ones(1, 8) / 8**0.5

    settings = PredictorSettings(model=str(path), device='cpu')
    effort = Effort(frames=40, seconds=60.0, warm_up=2)
    result = measure_path(settings, str(path), SIZE, effort, ROOF, 10, tower)
    assert result['guidance'] == 'image features'
    assert 'guidance' in result['stages']
    # Two images a look, of the first predictor, which measures the time of a frame, too.
    assert 2 <= len(looks) < 2 * (result['frames'] + LEAST_FRAMES + 2)


def test_all_combinations_are_measured_with_what_they_ran_on() -> None:
    settings = BenchSettings(
        ['student'], [SIZE, (64, 96)], base=PredictorSettings(device='cpu'), effort=EFFORT
    )
    bench = run_bench(settings)
    assert [one['size'] for one in bench['results']] == ['64x48', '96x64']
    assert {one['backend'] for one in bench['results']} == {'torch'}
    facts = bench['metadata']
    assert facts['torch'] == torch.__version__
    assert facts['torch_threads'] == torch.get_num_threads()
    assert facts['roofline']['copy_gb_per_s'] > 0
    assert bench['scaling'][0]['ns_per_pixel'].keys() == {'64x48', '96x64'}


def test_an_exported_model_is_measured_too() -> None:
    pytest.importorskip('onnxscript', reason='onnxscript is not installed')
    pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')
    settings = BenchSettings(
        ['student'], [SIZE], ['onnxruntime'], PredictorSettings(device='cpu'), EFFORT
    )
    (result,) = run_bench(settings)['results']
    assert result['backend'] == 'onnxruntime'
    assert result['name'] == 'student'


def test_the_spread_is_the_dearest_pixel_over_the_cheapest() -> None:
    rows = [
        {'model': 'm', 'backend': 'torch', 'size': size, 'total': {'p50_ms': ms}}
        for size, ms in (('100x100', 1.0), ('200x100', 1.8))
    ]
    (found,) = scaling(rows)
    assert found['ns_per_pixel'] == {'100x100': 100.0, '200x100': 90.0}
    assert found['spread'] == pytest.approx(0.111)
    # Through both points: 0.2 ms and 80 ns a pixel.
    assert found['fixed_ms'] == pytest.approx(0.2)
    assert found['marginal_ns'] == pytest.approx(80.0)
    assert scaling(rows[:1]) == []


def test_the_command_writes_json_plot_and_the_table_of_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    pytest.importorskip('matplotlib', reason='matplotlib is not installed')
    page, file, drawn = tmp_path / 'page.md', tmp_path / 'bench.json', tmp_path / 'bench.png'
    begin, end = markers('bench')
    page.write_text(f'before\n{begin}\nold\n{end}\nafter\n')
    arguments = ['bench', '--size', '64x48', '96x64', '--frames', '8', '--warm-up', '1']
    arguments += ['--device', 'cpu', '--json', str(file), '--plot', str(drawn)]
    assert main([*arguments, '--markdown', str(page)]) == 0
    bench = json.loads(file.read_text())
    assert set(bench['results'][0]['total']) == PERCENTILES
    assert '64x48' in capsys.readouterr().out
    assert drawn.stat().st_size > 5000
    text = page.read_text()
    assert text.startswith('before\n')
    assert text.endswith(f'{end}\nafter\n')
    assert 'old' not in text
    assert '| student | torch | 96x64 |' in text
    assert 'Not measured, for want of the device: CUDA' in text

    page.write_text(begin + end)
    assert main(['bench', '--from-json', str(file), '--markdown', str(page)]) == 0
    assert '| student | torch | 64x48 |' in page.read_text()


@pytest.mark.parametrize(
    ('arguments', 'told'),
    [
        (['--size', '640'], "must be WIDTHxHEIGHT, each 32 or more, got '640'"),
        (['--size', '640x16'], 'each 32 or more'),
        (['--guidance-every', '10'], 'needs the weights of a CLIP'),
        (['--from-json', 'nowhere.json'], 'nowhere.json.*cannot be read'),
    ],
)
def test_what_cannot_be_measured_is_told(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(['bench', *arguments]) == 1
    found = capsys.readouterr().err
    assert re.search(told, found), found
