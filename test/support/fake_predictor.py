"""A predictor without a network, for tests of what is around it."""

from types import SimpleNamespace
from typing import Any

from ir_vis_fusion.errors import GuidanceError
from ir_vis_fusion.types import (
    Frame,
    FramePair,
    FusedFrame,
    GuidanceState,
    Mode,
    PixelEncoding,
    RegistrationState,
    ThermalReport,
    ThermalState,
)
import numpy as np


class FakePredictor:
    """Passes the visible image through and keeps what it was given."""

    device = 'nothing'
    guidance_note = ''
    halved = 0
    network = SimpleNamespace(sha256='0123456789abcdef')

    def __init__(self, settings: Any, background: bool = False) -> None:
        self.settings = settings
        self.background = background
        self.closed = False
        self.guidance = GuidanceState()
        self.registration = RegistrationState()
        self.rigs: list[Any] = []
        self.pairs: list[FramePair] = []
        self.frame_settings: list[Any] = []
        self.resets = 0
        self.warm_ups: list[tuple[int, int]] = []
        self.error: Exception | None = None
        self.thermal_state = ThermalState.LIVE
        self.report = ThermalReport()
        self.wanted: list[Any] = []
        self.calibrating: list[bool] = []

    def warm_up(self, height: int, width: int) -> None:
        self.warm_ups.append((height, width))

    def reset(self) -> None:
        self.resets += 1

    def check(self, frame_settings: Any) -> None:
        if frame_settings.prompt.startswith('un'):
            raise GuidanceError('no text tower')

    def guidance_state(self) -> GuidanceState:
        return self.guidance

    def halve(self) -> None:
        self.halved += 1

    def close(self) -> None:
        self.closed = True

    def registration_state(self) -> RegistrationState:
        return self.registration

    def set_rig(self, rig: Any) -> None:
        self.rigs.append(rig)

    def thermal_report(self) -> ThermalReport:
        return self.report

    def tell_calibrating(self, calibrating: bool) -> None:
        self.calibrating.append(calibrating)

    def predict(self, pair: FramePair, frame_settings: Any, wanted: Any) -> FusedFrame:
        self.pairs.append(pair)
        self.wanted.append(wanted)
        self.frame_settings.append(frame_settings)
        if self.error is not None:
            raise self.error
        return FusedFrame(
            image=pair.visible.image,
            encoding=pair.visible.encoding,
            stamp_ns=pair.visible.stamp_ns,
            frame_id=pair.visible.frame_id,
            offset_ns=pair.offset_ns,
            thermal_state=self.thermal_state,
        )

    def visible_only(self, frame: Frame) -> FusedFrame:
        live, mode = ThermalState.LIVE, Mode.VISIBLE_ONLY
        return FusedFrame(
            frame.image, frame.encoding, frame.stamp_ns, frame.frame_id, 0, live, mode
        )

    def thermal_only(
        self, frame: Frame, height: int, width: int, frame_settings: Any, wanted: Any
    ) -> FusedFrame:
        return FusedFrame(
            image=np.full((height, width, 3), 77, np.uint8),
            encoding=PixelEncoding.RGB8,
            stamp_ns=frame.stamp_ns,
            frame_id=frame.frame_id,
            offset_ns=0,
            thermal_state=self.thermal_state,
            mode=Mode.THERMAL_ONLY,
        )
