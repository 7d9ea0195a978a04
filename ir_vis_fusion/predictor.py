"""
The one way from a pair of frames to a fused frame.

The node, ``ivf fuse``, the demo and the validation of the training all call
:class:`FusionPredictor`, so that what is measured is what runs on the robot.
"""

from ir_vis_fusion.checkpoint import load_checkpoint, resolve
from ir_vis_fusion.config import FrameSettings, PredictorSettings
from ir_vis_fusion.errors import DeviceError
from ir_vis_fusion.preprocessing.color import luma, recombine
from ir_vis_fusion.preprocessing.thermal import FfcDetector, ThermalNormalizer
from ir_vis_fusion.types import (
    Frame,
    FramePair,
    FusedFrame,
    PixelEncoding,
    ThermalState,
)
import numpy as np
import torch
import torch.nn.functional as F

DEFAULT_FRAME_SETTINGS = FrameSettings()


class FusionPredictor:
    """
    Fuse frame pairs with one network on one device.

    ``settings`` say what is built (weights, device, thermal normalisation); another model or
    device means another predictor. What may differ from frame to frame is given to
    :meth:`predict`. The thermal range is smoothed from frame to frame, so one predictor serves
    one pair of cameras, from one thread at a time.

    Raises
    ------
    CheckpointError
        Where the weights are missing, damaged or made for another network.
    DeviceError
        Where the device is unknown or not there.

    """

    def __init__(self, settings: PredictorSettings) -> None:
        self.settings = settings
        self.device = select_device(settings.device)
        if settings.cpu_threads and self.device.type == 'cpu':
            torch.set_num_threads(settings.cpu_threads)
        self.checkpoint = load_checkpoint(resolve(settings.model))
        self._model = self.checkpoint.model.to(self.device).eval()
        self._normalizer = ThermalNormalizer(settings.thermal)
        self._ffc = FfcDetector()
        self._encoding = PixelEncoding(settings.output_encoding)

    def reset(self) -> None:
        """Forget what was learnt from earlier frames; call it when time jumps."""
        self._normalizer.reset()
        self._ffc.reset()

    def warm_up(self, height: int, width: int) -> None:
        """Fuse one pair of that size, so that the first real one is not the slow one."""
        # Not flat: a shutter would not be fused.
        ramp = np.resize(np.arange(256, dtype=np.uint8), (height, width))
        thermal = Frame(ramp, PixelEncoding.MONO8)
        visible = Frame(np.zeros((height, width, 3), np.uint8), PixelEncoding.RGB8)
        self.predict(FramePair(thermal, visible))
        self.reset()

    @torch.inference_mode()
    def predict(
        self, pair: FramePair, frame_settings: FrameSettings = DEFAULT_FRAME_SETTINGS
    ) -> FusedFrame:
        """
        Fuse one pair; the result has the size, stamp and frame_id of the visible frame.

        A thermal frame of another size is resized to the visible one. Where it shows nothing
        but the shutter (FLAT), the result is the visible image.
        """
        thermal_state = self._ffc.update(pair.thermal)
        visible = self._upload(pair.visible)
        ir = self._normalizer.normalize(
            self._upload(pair.thermal),
            pair.thermal.stamp_ns,
            frozen=thermal_state is not ThermalState.LIVE,
        )
        if frame_settings.enable and thermal_state is not ThermalState.FLAT:
            fused = self._fuse(visible, ir, pair.visible.encoding, frame_settings.strength)
        else:
            fused = visible
        return FusedFrame(
            image=self._download(fused, pair.visible.encoding),
            encoding=self._encoding,
            stamp_ns=pair.visible.stamp_ns,
            frame_id=pair.visible.frame_id,
            offset_ns=pair.offset_ns,
            thermal_state=thermal_state,
        )

    @torch.inference_mode()
    def fuse_luma(self, vis_y: torch.Tensor, ir: torch.Tensor) -> torch.Tensor:
        """
        Run the network alone: (H, W) float32 luma and infrared in [0, 1] → fused (H, W).

        An infrared image of another size is resized to the visible one.
        """
        vis_y = vis_y[None, None]
        ir = ir[None, None]
        if ir.shape != vis_y.shape:
            ir = F.interpolate(ir, size=vis_y.shape[-2:], mode='bilinear', align_corners=False)
        return self._model(vis_y, ir)[0, 0]

    def _fuse(
        self, visible: torch.Tensor, ir: torch.Tensor, encoding: PixelEncoding, strength: float
    ) -> torch.Tensor:
        vis_y = luma(visible, encoding)
        fused = self.fuse_luma(vis_y, ir)
        if strength < 1.0:
            fused = torch.lerp(vis_y, fused, strength)
        return recombine(visible, vis_y, fused)

    def _upload(self, frame: Frame) -> torch.Tensor:
        image = frame.image
        if not image.flags.writeable or any(stride < 0 for stride in image.strides):
            image = image.copy()
        return torch.from_numpy(image).to(self.device)

    def _download(self, image: torch.Tensor, encoding: PixelEncoding) -> np.ndarray:
        if encoding is not self._encoding:
            image = image.flip(-1)
        return image.contiguous().cpu().numpy()


def select_device(name: str) -> torch.device:
    """
    Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:N`` into a device that is there.

    Raises
    ------
    DeviceError
        Where the name is unknown or this machine has no such device.

    """
    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    kind, _, index = name.partition(':')
    if kind not in ('cpu', 'cuda') or (index and not index.isdecimal()):
        raise DeviceError(f'device must be auto, cpu, cuda or cuda:N, got {name!r}')
    if kind == 'cpu':
        return torch.device('cpu')
    count = torch.cuda.device_count()
    if int(index or 0) >= count:
        raise DeviceError(
            f'device {name!r} is not there: torch {torch.__version__} sees {count} CUDA '
            "device(s); use device 'auto' or 'cpu', or run `ivf doctor`"
        )
    return torch.device(name)
