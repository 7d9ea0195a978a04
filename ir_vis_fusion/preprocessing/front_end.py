"""
The thermal front end: a camera's frame to what may be fused, and what is known of it.

In this order: rows of telemetry off, calibrations (FFC) found, units and range applied.
"""

from collections.abc import Callable
from dataclasses import dataclass
import functools

from ir_vis_fusion.config import ThermalSettings
from ir_vis_fusion.preprocessing.ffc import FfcDetector
from ir_vis_fusion.preprocessing.sample import Sample, thin_out
from ir_vis_fusion.preprocessing.telemetry import TelemetryCrop
from ir_vis_fusion.preprocessing.thermal import MIN_SPAN_8BIT, Scale, ThermalNormalizer
from ir_vis_fusion.preprocessing.units import Units
from ir_vis_fusion.types import Frame, ThermalReport, ThermalState
import numpy as np
import torch


@dataclass(frozen=True, eq=False)
class ThermalImage:
    """
    One thermal image behind the front end, in its own view and size.

    ``raw`` are the camera's numbers, (H, W) uint8, uint16 or float32; ``usable`` says whether it
    may be fused, by state and policy. ``scale`` is all that makes ``ir`` of ``raw``, None where
    more is done; ``make_ir`` does it.
    """

    raw: torch.Tensor
    state: ThermalState
    usable: bool
    scale: Scale | None
    make_ir: Callable[[], torch.Tensor]

    @functools.cached_property
    def ir(self) -> torch.Tensor:
        """
        The normalised image, (H, W) float32 in [0, 1], or uint8; made when it is first asked for.

        Not to be changed, for it may be the camera's own memory.
        """
        return self.make_ir()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        height, width = self.raw.shape
        return width, height


class ThermalFrontEnd:
    """
    Serves one thermal camera, from one thread at a time.

    Parameters
    ----------
    settings
        What is known of the camera.
    upload
        Brings pixels to the device of the predictor: returns them on the CPU and there, of which
        the former, where it is not one tensor, is a copy for this frame alone. Without it they
        stay where they are.

    """

    def __init__(
        self,
        settings: ThermalSettings,
        upload: Callable[[np.ndarray], tuple[torch.Tensor, torch.Tensor]] | None = None,
    ) -> None:
        self._settings = settings
        self._upload = upload or (lambda image: (torch.from_numpy(np.array(image)),) * 2)
        self._crop = TelemetryCrop(settings)
        self._ffc = FfcDetector()
        self._normalizer = ThermalNormalizer(settings)
        self._false_color = False
        self._live: tuple[torch.Tensor, int] | None = None

    def reset(self) -> None:
        """Forget earlier images; call it when time jumps. Units and counts stay."""
        self._ffc.reset()
        self._normalizer.reset()
        self._live = None

    def tell_calibrating(self, calibrating: bool) -> None:
        """Take what the camera's telemetry says of a calibration; from any thread."""
        self._ffc.tell(calibrating)

    def look(
        self,
        frame: Frame,
        window_c: tuple[float, float] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> ThermalImage:
        """
        Take the next frame; ``window_c`` is a fixed range [°C].

        ``dtype`` is the type of the normalised image: float32, or uint8 on the CPU.

        Raises
        ------
        EncodingError
            Where ``thermal.crop_rows`` leaves nothing.

        """
        self._false_color = frame.false_color
        frame = self._crop.crop(frame)
        # First, for the device copies them while the CPU looks at them.
        pixels, raw = self._upload(frame.image)
        image = pixels.numpy()
        sample = Sample(thin_out(image))
        # Where they are two, the former is a copy already, and nobody else's.
        state = self._ffc.update(image, frame.stamp_ns, sample, stays=pixels is not raw)
        live = state is ThermalState.LIVE
        scale = self._normalizer.scale(pixels, frame.stamp_ns, not live, window_c, sample)
        make_ir = functools.partial(self._normalizer.apply, raw, scale, dtype)
        linear = scale if self._normalizer.is_linear else None
        image = ThermalImage(raw, state, live, linear, make_ir)
        if linear is None or self._settings.ffc_policy == 'hold':
            # Now, for the equalisation follows each image, and the next one may be in the memory.
            ir = image.ir
        if self._settings.ffc_policy != 'hold':
            return image
        if live:
            # A copy, for the sender may use its memory again.
            self._live = ir.clone(), frame.stamp_ns
            return image
        held = self._held(frame.stamp_ns)
        if held is None:
            return image
        return ThermalImage(raw, state, True, None, lambda: held)

    def measure(self, image: ThermalImage) -> tuple[torch.Tensor, Units]:
        """Return what the camera has measured, as of :meth:`ThermalNormalizer.levels`."""
        return self._normalizer.levels(image.raw)

    def least_span(self, image: ThermalImage) -> float:
        """Return the smallest range of an image of unknown units, in its own counts."""
        return self._settings.min_span_counts if image.raw.dtype != torch.uint8 else MIN_SPAN_8BIT

    def report(self) -> ThermalReport:
        """Return what is known of the camera; from any thread."""
        units, ends = self._normalizer.units, self._normalizer.range()
        low, high = ends or (None, None)
        return ThermalReport(
            units=units.name if units else '',
            units_why=units.why if units else '',
            celsius=bool(units and units.scale is not None),
            low=low,
            high=high,
            ffc_events=self._ffc.events,
            false_color=self._false_color,
            cropped_rows=self._crop.rows,
        )

    def _held(self, stamp_ns: int) -> torch.Tensor | None:
        if self._live is None:
            return None
        ir, live_ns = self._live
        age_s = (stamp_ns - live_ns) / 1e9
        return ir.clone() if 0 <= age_s <= self._settings.max_hold_s else None
