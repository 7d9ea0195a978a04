"""
The one way from a pair of frames to a fused frame.

The node, ``ivf fuse``, the demo and the validation of the training all call
:class:`FusionPredictor`, so that what is measured is what runs on the robot. Its stages, in
the order in which :meth:`FusionPredictor.predict` runs them: thermal state and normalisation,
registration, network, recombination.
"""

from collections.abc import Callable, Set

from ir_vis_fusion.backends.chooser import load_backend
from ir_vis_fusion.backends.device import select_device
from ir_vis_fusion.backends.half_size import HalfSize
from ir_vis_fusion.backends.interface import Network
from ir_vis_fusion.backends.transfer import Transfer
from ir_vis_fusion.backends.whole_frame import WholeFrame
from ir_vis_fusion.checkpoint import resolve
from ir_vis_fusion.config import FrameSettings, PredictorSettings
from ir_vis_fusion.guidance.guide import check_prompt, guidance_note, Guide, Wanted
from ir_vis_fusion.preprocessing import color as colors
from ir_vis_fusion.preprocessing.front_end import ThermalFrontEnd, ThermalImage
from ir_vis_fusion.preprocessing.levels import blend, to_type, use_threads
from ir_vis_fusion.preprocessing.local_contrast import add_local_contrast
from ir_vis_fusion.preprocessing.registration import depth_in_metres, Registration, Rig
from ir_vis_fusion.preprocessing.side_products import make_side_products, Pictures, Place
from ir_vis_fusion.preprocessing.view import register, View
from ir_vis_fusion.types import (
    Frame,
    FramePair,
    FusedFrame,
    GuidanceState,
    Mode,
    PixelEncoding,
    RegistrationState,
    SideProduct,
    ThermalReport,
    ThermalState,
)
import numpy as np
import torch

DEFAULT_FRAME_SETTINGS = FrameSettings()
# What one frame is made of; a name may come more than once.
STAGES = ('normalise', 'upload', 'guidance', 'register', 'network', 'recombine', 'download')


def unmarked(stage: str) -> None:
    """Let a stage end unnoticed."""


class FusionPredictor:
    """
    Fuse frame pairs with one network on one device.

    ``settings`` say what is built (weights, device, thermal normalisation, CLIP); another model
    or device means another predictor. What may differ from frame to frame is given to
    :meth:`predict`. The thermal range is smoothed from frame to frame, so one predictor serves
    one pair of cameras, from one thread at a time.

    Parameters
    ----------
    settings
        What is built.
    tower
        Maps images (B, 3 or 1, H, W) float in [0, 1] to unit features (B, E); None: the image
        tower of ``settings.guidance.clip``, where that has weights and the network takes features.
    background
        For live streams: CLIP looks at the scene in a thread, every ``guidance.period_s``, and a
        frame takes what is known then. Otherwise at every frame, before it is fused.

    Attributes
    ----------
    lap
        Called with the name of each stage, one of ``STAGES``, when it ends; a stopwatch may take
        the place of :func:`unmarked`.

    Raises
    ------
    CalibrationError
        Where the calibration file is damaged or lacks what registration.mode needs.
    CheckpointError
        Where the weights are missing, damaged or made for another network.
    DeviceError
        Where the device is unknown or not there.
    GuidanceError
        Where CLIP or the embedding bank cannot be had or belong to another network.

    """

    def __init__(
        self,
        settings: PredictorSettings,
        tower: Callable[[torch.Tensor], torch.Tensor] | None = None,
        background: bool = False,
    ) -> None:
        self.settings = settings
        self.lap: Callable[[str], None] = unmarked
        self.device = select_device(settings.device)
        if settings.cpu_threads and self.device.type == 'cpu':
            use_threads(settings.cpu_threads)
        exact = settings.precision == 'float32'
        self._backend = load_backend(resolve(settings.model), self.device, exact)
        self._whole = WholeFrame.of(self._backend, self.device)
        self._transfer = Transfer(self.device)
        self._front_end = ThermalFrontEnd(settings.thermal, self._upload_thermal)
        self._registration = Registration(settings.registration, self.device)
        self._encoding = PixelEncoding(settings.output_encoding)
        self._guide: Guide | None = None
        if (network := self.network).guidance:
            wanted = Wanted(network.guidance, network.guidance_features, network.clip)
            self._guide = Guide(settings.guidance, wanted, self.device, tower, background)

    @property
    def network(self) -> Network:
        """Tell which network fuses."""
        return self._backend.network

    @property
    def guidance_note(self) -> str:
        """Say what is missing for guidance, or has no effect; empty where all is well."""
        return guidance_note(self._guide, self.settings.guidance, self.network.name)

    def guidance_state(self) -> GuidanceState:
        """Return what guides the network now; from any thread."""
        return self._guide.state() if self._guide is not None else GuidanceState()

    def thermal_report(self) -> ThermalReport:
        """Return what is known of the thermal camera now; from any thread."""
        return self._front_end.report()

    def tell_calibrating(self, calibrating: bool) -> None:
        """Take what the thermal camera's telemetry says of a calibration; from any thread."""
        self._front_end.tell_calibrating(calibrating)

    def registration_state(self) -> RegistrationState:
        """Return how the thermal image is laid onto the visible one now; from any thread."""
        return self._registration.state()

    def set_rig(self, rig: Rig) -> None:
        """Tell what is known of the cameras beside the calibration file; from any thread."""
        self._registration.set_rig(rig)

    def check(self, frame_settings: FrameSettings) -> None:
        """Raise GuidanceError where the prompt cannot be followed; see :func:`check_prompt`."""
        check_prompt(self._guide, frame_settings.prompt, self.network.name)

    def reset(self) -> None:
        """Forget what was learnt from earlier frames; call it when time jumps."""
        self._front_end.reset()
        self._registration.reset()
        if self._guide is not None:
            self._guide.reset()

    def close(self) -> None:
        """End the thread of a predictor that was made with ``background``."""
        if self._guide is not None:
            self._guide.close()

    def halve(self) -> None:
        """Run the network at half size from now on, for want of memory."""
        self._backend, self._whole = HalfSize(self._backend), None

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
        self,
        pair: FramePair,
        frame_settings: FrameSettings = DEFAULT_FRAME_SETTINGS,
        wanted: Set[SideProduct] = frozenset(),
    ) -> FusedFrame:
        """
        Fuse one pair; the result has the size, stamp and frame_id of the visible frame.

        The thermal frame is registered as the settings say; outside its view the result is the
        visible image, and everywhere while the thermal camera shows no scene, unless
        ``thermal.ffc_policy`` holds the last live image. ``wanted`` side products are made of
        live images.
        """
        encoding = pair.visible.encoding
        self._transfer.announce(pair.visible.image)
        window_c = frame_settings.thermal.window_c
        thermal = self._front_end.look(pair.thermal, window_c, self._thermal_type(pair))
        self.lap('normalise')
        _, visible = self._transfer.upload(pair.visible.image)
        self.lap('upload')
        view = self._view(pair, thermal, frame_settings) if thermal.usable else None
        if frame_settings.enable and thermal.usable:
            fused, mode = self._fuse(visible, encoding, thermal, view, frame_settings), Mode.FUSED
        else:
            fused, mode = colors.in_order(visible, encoding, self._encoding), Mode.VISIBLE_ONLY
        if thermal.state is not ThermalState.LIVE and self.settings.thermal.ffc_policy == 'drop':
            mode = Mode.NONE
        image = self._transfer.download(fused)
        self.lap('download')
        products = {}
        if wanted:
            place, hot = Place(tuple(visible.shape[:2]), view), frame_settings.hot_mask
            seen = colors.in_order(visible, encoding, self._encoding)
            pictures = Pictures(seen, fused, self._encoding)
            products = make_side_products(wanted, thermal, place, self._front_end, hot, pictures)
        origin = (pair.visible.stamp_ns, pair.visible.frame_id, pair.offset_ns)
        return FusedFrame(image, self._encoding, *origin, thermal.state, mode, **products)

    def visible_only(self, frame: Frame) -> FusedFrame:
        """Return the visible image as it is; the device, whatever it is in, is not needed."""
        image = frame.image if frame.encoding is self._encoding else frame.image[..., ::-1]
        facts = (frame.stamp_ns, frame.frame_id, 0, ThermalState.LIVE, Mode.VISIBLE_ONLY)
        return FusedFrame(image, self._encoding, *facts)

    @torch.inference_mode()
    def thermal_only(
        self,
        frame: Frame,
        height: int,
        width: int,
        frame_settings: FrameSettings = DEFAULT_FRAME_SETTINGS,
        wanted: Set[SideProduct] = frozenset(),
    ) -> FusedFrame:
        """Return the thermal image in grey, normalised, in the visible view of that size."""
        thermal = self._front_end.look(frame, frame_settings.thermal.window_c)
        sizes = (thermal.size, (width, height))
        view = self._registration.view(*sizes, frame_settings.registration.distance_m)
        ir = register(thermal.ir, (height, width), view)
        image = to_type(ir, torch.uint8)[..., None].expand(-1, -1, 3).cpu().numpy()
        place, hot = Place((height, width), view), frame_settings.hot_mask
        products = make_side_products(wanted, thermal, place, self._front_end, hot)
        facts = (frame.stamp_ns, frame.frame_id, 0, thermal.state, Mode.THERMAL_ONLY)
        return FusedFrame(image, self._encoding, *facts, **products)

    def _thermal_type(self, pair: FramePair) -> torch.dtype:
        """Return what the network takes; what is to be resampled first is not rounded before."""
        same = pair.thermal.image.shape == pair.visible.image.shape[:2]
        same = same and self.settings.registration.mode == 'none'
        return self._backend.images if same else torch.float32

    def _view(
        self, pair: FramePair, thermal: ThermalImage, settings: FrameSettings
    ) -> View | None:
        """Return how the visible camera sees the thermal image, None: as its own."""
        depth = None
        if pair.depth is not None:
            depth = torch.from_numpy(depth_in_metres(pair.depth)).to(self.device)
        sizes = (thermal.size, pair.visible.image.shape[1::-1])
        return self._registration.view(*sizes, settings.registration.distance_m, depth)

    def _fuse(
        self,
        visible: torch.Tensor,
        encoding: PixelEncoding,
        thermal: ThermalImage,
        view: View | None,
        settings: FrameSettings,
    ) -> torch.Tensor:
        """Run the network on what it takes and give its result the visible colours."""
        # A graph has no stages to tell of.
        if self._whole is not None and self.lap is unmarked and not settings.local_contrast:
            given = visible, (encoding, self._encoding), thermal, view, settings.strength
            if (image := self._whole(*given)) is not None:
                return image
        color, images = self.network.color, self._backend.images
        both = None if color else colors.luma_and_ir(visible, encoding, thermal, view)
        features = ()
        if self._guide is not None:
            seen = both[1] if both is not None and view is None else thermal.ir
            self.lap('normalise')
            scene = visible, encoding, to_type(seen, torch.float32)
            features = self._guide.features(*scene, settings.prompt)
            self.lap('guidance')
        if both is not None:
            vis, ir = (plane[None, None] for plane in both)
        else:
            ir = thermal.ir
            self.lap('normalise')
            ir = register(ir, visible.shape[:2], view)[None, None]
            self.lap('register')
            if color:
                vis = colors.to_rgb(visible, encoding)
            else:
                vis = colors.luma(visible, encoding, images)[None, None]
            ir = to_type(ir, images)
        self.lap('normalise')
        fused = self._backend(vis, ir, *features)
        self.lap('network')
        fused = add_local_contrast(fused, settings.local_contrast)
        how = settings.strength, view and view.mask
        if color:
            image = colors.from_rgb(blend(vis, fused, *how), self._encoding)
        else:
            swap = encoding is not self._encoding
            image = colors.recombine(visible, vis[0, 0], fused[0, 0], *how, swap, encoding)
        self.lap('recombine')
        return image

    def _upload_thermal(self, image: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        sent = self._transfer.upload(image)
        self.lap('upload')
        return sent
