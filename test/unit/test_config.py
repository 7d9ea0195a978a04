"""Settings check themselves and tell all faults at once."""

import dataclasses

from ir_vis_fusion.config import (
    flatten,
    nested_to_dotted,
    parameter_table,
    PredictorSettings,
    read_yaml,
    SynchronizerSettings,
    ThermalSettings,
    unflatten,
)
from ir_vis_fusion.errors import ConfigError
import pytest


def test_defaults_survive_flattening_and_rebuilding() -> None:
    settings = PredictorSettings()
    assert unflatten(PredictorSettings, flatten(settings)) == settings


def test_every_parameter_is_described() -> None:
    rows = parameter_table(PredictorSettings) + parameter_table(SynchronizerSettings)
    assert all(row.description for row in rows)
    assert all(row.fault(row.default) is None for row in rows)
    assert len({row.name for row in rows}) == len(rows)


def test_all_faults_are_told_at_once_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError) as caught:
        unflatten(
            PredictorSettings,
            {'modle': 'x', 'device': 3, 'thermal.min_span_counts': 0},
            'fusion.yaml',
        )
    message = str(caught.value)
    assert "fusion.yaml: unknown parameter 'modle', did you mean 'model'?" in message
    assert 'fusion.yaml: device must be str, got 3' in message
    assert 'fusion.yaml: thermal.min_span_counts must be >= 1, got 0' in message


def test_an_integer_is_fine_for_a_float_but_not_a_bool_or_a_string() -> None:
    assert unflatten(ThermalSettings, {'attack_s': 1}).attack_s == 1.0
    assert isinstance(unflatten(ThermalSettings, {'attack_s': 1}).attack_s, float)
    for bad in (True, '1.0', float('nan')):
        with pytest.raises(ConfigError, match='attack_s must be'):
            unflatten(ThermalSettings, {'attack_s': bad})


def test_a_choice_outside_the_list_is_refused_with_the_list() -> None:
    with pytest.raises(ConfigError, match="one of both_new, hold_thermal, got 'nearest'"):
        SynchronizerSettings(mode='nearest')


def test_exchanged_percentiles_are_refused() -> None:
    with pytest.raises(ConfigError, match=r'low_percentile \(99\) must be below'):
        dataclasses.replace(ThermalSettings(), low_percentile=99.0, high_percentile=1.0)


def test_nested_mappings_become_dotted_names() -> None:
    assert nested_to_dotted({'a': {'b': 1, 'c': {'d': 2}}, 'e': 3}) == {
        'a.b': 1,
        'a.c.d': 2,
        'e': 3,
    }


def test_a_yaml_file_must_be_there_and_hold_a_mapping(tmp_path) -> None:
    with pytest.raises(ConfigError, match='no such file'):
        read_yaml(tmp_path / 'none.yaml')
    path = tmp_path / 'list.yaml'
    path.write_text('- 1\n')
    with pytest.raises(ConfigError, match=r'mapping of names to values, got \[1\]'):
        read_yaml(path)
    path.write_text('a: &a {b: *a}')
    with pytest.raises(ConfigError, match=r'aliases \(\*name\) are not read'):
        read_yaml(path)
    path.write_bytes(b'a: \xff')
    with pytest.raises(ConfigError, match='not valid YAML'):
        read_yaml(path)
    path.write_text('a: [')
    with pytest.raises(ConfigError, match='not valid YAML'):
        read_yaml(path)
