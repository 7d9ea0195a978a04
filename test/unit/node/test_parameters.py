"""One table: parameter files and README agree with it."""

from pathlib import Path

from ir_vis_fusion.config import (
    flatten,
    FrameSettings,
    nested_to_dotted,
    PredictorSettings,
    read_yaml,
    unflatten,
)
from ir_vis_fusion.node.parameters import limits, markdown_table, NodeSettings, TABLE
import pytest

ROOT = Path(__file__).resolve().parents[3]
NODE = '/**/fusion_node'
# The class map of detectors is no parameter file.
PARAMETER_FILES = set((ROOT / 'config').glob('*.yaml')) - {ROOT / 'config' / 'detection.yaml'}
BUILT_IN = {'use_sim_time'}


def parameters_of(path: Path) -> dict:
    content = read_yaml(path)
    assert set(content) == {NODE}
    return nested_to_dotted(content[NODE]['ros__parameters'])


def test_fusion_yaml_holds_every_parameter_with_its_default() -> None:
    values = parameters_of(ROOT / 'config' / 'fusion.yaml')

    assert values == {name: row.default for name, row in TABLE.items()}
    assert [type(value) for value in values.values()] == [row.type for row in TABLE.values()]


@pytest.mark.parametrize('path', sorted(PARAMETER_FILES), ids=lambda path: path.name)
def test_every_parameter_file_holds_only_known_names_and_good_values(path: Path) -> None:
    values = parameters_of(path)

    unflatten(NodeSettings, {name: values[name] for name in values if name not in BUILT_IN})


def test_the_readme_shows_the_table() -> None:
    text = (ROOT / 'README.md').read_text()

    shown = text.partition('<!-- parameters -->')[2].partition('<!-- /parameters -->')[0]

    assert shown.strip() == markdown_table(), (
        'put the output of ir_vis_fusion.node.parameters.markdown_table() between the markers'
    )


def test_names_are_short_and_every_row_is_described() -> None:
    assert {'model', 'device', 'enable', 'strength', 'sync.mode', 'qos.depth'} <= set(TABLE)
    assert all(name.count('.') <= 2 and row.description for name, row in TABLE.items())


def test_node_settings_serve_as_predictor_settings_and_yield_frame_settings() -> None:
    settings = unflatten(NodeSettings, {'device': 'cpu', 'strength': 0.5, 'enable': False})

    assert isinstance(settings, PredictorSettings)
    assert settings.frame == FrameSettings(enable=False, strength=0.5)
    live = {name for name, row in TABLE.items() if row.live}
    assert live == {*flatten(FrameSettings()), 'model'}


def test_ranges_are_told_in_words() -> None:
    assert limits(TABLE['strength']) == '0 to 1'
    assert limits(TABLE['sync.max_offset_ms']) == '≥ 0'
    assert limits(TABLE['qos.reliability']) == 'auto, reliable, best_effort'
    assert limits(TABLE['model']) == ''


def test_the_markdown_table_has_a_row_for_each_parameter() -> None:
    rows = markdown_table().splitlines()

    assert len(rows) == 2 + len(TABLE)
    assert (
        '| `strength` | float | `1.0` | 0 to 1 | yes | share of the fused image in the result, '
        '0: visible only |' in rows
    )
