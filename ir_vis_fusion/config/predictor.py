"""What a predictor is built from, and what may change from frame to frame."""

from dataclasses import dataclass

from ir_vis_fusion.config.guidance import GuidanceSettings
from ir_vis_fusion.config.registration import LiveRegistrationSettings, RegistrationSettings
from ir_vis_fusion.config.table import group, setting, Settings
from ir_vis_fusion.config.thermal import HotMaskSettings, LiveThermalSettings, ThermalSettings


@dataclass(frozen=True)
class PredictorSettings(Settings):
    """What a FusionPredictor is built from; a change means a new predictor."""

    model: str = setting(
        'student',
        'name of a shipped model, path of a .safetensors checkpoint or of what ivf export wrote '
        '(.onnx, .engine), or package://PACKAGE/PATH',
        live=True,
    )
    device: str = setting('auto', 'auto (CUDA where it is), cpu, cuda or cuda:N')
    cpu_threads: int = setting(
        0,
        'threads of the network on the CPU, 0: as many as there are cores',
        minimum=0,
        maximum=256,
    )
    precision: str = setting(
        'auto',
        'auto: the network computes in the fastest type that the device has and that changes the '
        'picture by a grey level here and there; float32: in float32',
        choices=('auto', 'float32'),
    )
    output_encoding: str = setting('rgb8', 'encoding of the fused image', choices=('rgb8', 'bgr8'))
    thermal: ThermalSettings = group(ThermalSettings)
    registration: RegistrationSettings = group(RegistrationSettings)
    guidance: GuidanceSettings = group(GuidanceSettings)


@dataclass(frozen=True)
class FrameSettings(Settings):
    """What may differ from frame to frame; swapped as a whole."""

    enable: bool = setting(
        True,
        'false: publish the visible images as they are, with or without thermal ones',
        live=True,
    )
    strength: float = setting(
        1.0,
        'share of the fused image in the result, 0: visible only',
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    local_contrast: float = setting(
        0.0,
        'how much more than fused things differ from their surroundings: 0.2 helps detectors a '
        'little and brings noise out as much; 0: not at all',
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    prompt: str = setting(
        '',
        'sentence that guides a network which takes text; empty: what image tower and '
        'guidance.bank say of the scene, if both are there',
        live=True,
    )
    thermal: LiveThermalSettings = group(LiveThermalSettings)
    hot_mask: HotMaskSettings = group(HotMaskSettings)
    registration: LiveRegistrationSettings = group(LiveRegistrationSettings)
