"""
Settings: frozen dataclasses whose fields are the one parameter table, a file a subject.

``table`` says what a setting is; the others hold the settings, which rooms import from here.
"""

from ir_vis_fusion.config.guidance import ClipSettings, GuidanceSettings, HUB
from ir_vis_fusion.config.predictor import FrameSettings, PredictorSettings
from ir_vis_fusion.config.registration import LiveRegistrationSettings, RegistrationSettings
from ir_vis_fusion.config.synchronization import SynchronizerSettings
from ir_vis_fusion.config.table import (
    flatten,
    group,
    nested_to_dotted,
    Parameter,
    parameter_table,
    read_yaml,
    setting,
    Settings,
    unflatten,
    unknown_name,
)
from ir_vis_fusion.config.thermal import HotMaskSettings, LiveThermalSettings, ThermalSettings

__all__ = [
    'ClipSettings',
    'flatten',
    'FrameSettings',
    'group',
    'GuidanceSettings',
    'HotMaskSettings',
    'HUB',
    'LiveRegistrationSettings',
    'LiveThermalSettings',
    'nested_to_dotted',
    'Parameter',
    'parameter_table',
    'PredictorSettings',
    'read_yaml',
    'RegistrationSettings',
    'setting',
    'Settings',
    'SynchronizerSettings',
    'ThermalSettings',
    'unflatten',
    'unknown_name',
]
