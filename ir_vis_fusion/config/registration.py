"""How the thermal image is laid onto the visible one."""

from collections.abc import Iterable
from dataclasses import dataclass

from ir_vis_fusion.config.table import setting, Settings


@dataclass(frozen=True)
class LiveRegistrationSettings(Settings):
    """What of the registration may differ from frame to frame."""

    distance_m: float = setting(
        10.0,
        'distance of the scene from the visible camera at which mode plane registers (and mode '
        'depth where the depth is unknown); nearer and farther things are displaced by parallax',
        unit='m',
        minimum=0.05,
        maximum=100000.0,
        live=True,
    )


@dataclass(frozen=True)
class RegistrationSettings(LiveRegistrationSettings):
    """How the thermal image is laid onto the visible one."""

    mode: str = setting(
        'none',
        'none: the images cover each other (a thermal image of another size is resized); '
        'homography: by registration.file; plane: by both cameras (registration.file, else '
        'camera_info and TF) at registration.distance_m; depth: the same with depth/image_raw',
        choices=('none', 'homography', 'plane', 'depth'),
    )
    file: str = setting('', 'calibration file, see config/calibration/example.yaml')

    def contradictions(self) -> Iterable[str]:
        """Yield a fault where file and mode do not go together."""
        if self.mode == 'homography' and not self.file:
            yield 'registration.mode is homography, but registration.file names no file'
        if self.mode == 'none' and self.file:
            yield (
                'registration.file has no effect with registration.mode none, set it to '
                'homography, plane or depth'
            )
