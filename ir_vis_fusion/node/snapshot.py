"""What is counted while the node runs, taken at every status period: ROS-free."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ir_vis_fusion.node.parameters import NodeSettings
from ir_vis_fusion.synchronization import SynchronizerCounters
from ir_vis_fusion.types import (
    GuidanceState,
    Mode,
    RegistrationState,
    Role,
    ThermalReport,
    ThermalState,
)


@dataclass(frozen=True)
class InputSnapshot:
    """
    What is known of one input; ``silent_s`` is None before the first message.

    ``image`` is size and encoding of the last one, ``age_ms`` the median time from stamp to
    arrival, None where the stamps are of another clock; ``lost`` counts images that the rhythm
    of the stamps lets miss; ``paused``: not subscribed, as nobody listens to the node.
    """

    role: Role
    topic: str
    publishers: int
    subscribed: str
    silent_s: float | None
    incompatible_qos: int
    fault: str = ''
    type: str = ''
    image: str = ''
    rate_hz: float | None = None
    age_ms: float | None = None
    lost: int = 0
    paused: bool = False


@dataclass(frozen=True)
class FrameSnapshot:
    """
    What became of the frames.

    ``published`` counts them by mode, ``dropped`` by cause those that were not published though
    they could have been made; ``mode`` is that of the last one and ``silent_s`` the time since
    then, None before the first. Latency is from the stamp to publishing.
    """

    published: dict[Mode, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    mode: Mode = Mode.NONE
    silent_s: float | None = None
    failures: dict[str, int] = field(default_factory=dict)
    last_failure: str = ''
    latency_ms: tuple[float, ...] = ()
    processing_ms: tuple[float, ...] = ()
    clock_error_s: float | None = None
    thermal_state: ThermalState = ThermalState.LIVE


@dataclass(frozen=True)
class ModelSnapshot:
    """
    Which network fuses, and where.

    ``loading`` is the name of the one that will; ``recovery`` says what was done after a failure
    of the device, and after which; ``fault`` why the last replacement is not in force.
    """

    name: str = ''
    sha256: str = ''
    device: str = ''
    loading: str = ''
    recovery: str = ''
    fault: str = ''


@dataclass(frozen=True)
class Snapshot:
    """All that a status is made from."""

    state: str
    settings: NodeSettings
    inputs: Sequence[InputSnapshot] = ()
    sync: SynchronizerCounters | None = None
    measured_offset_ms: float | None = None
    frames: FrameSnapshot = FrameSnapshot()
    dropped: int = 0
    camera_info: str = 'none'
    guidance: GuidanceState = GuidanceState()
    model: ModelSnapshot = ModelSnapshot()
    thermal: ThermalReport = ThermalReport()
    registration: RegistrationState = RegistrationState()

    @property
    def mode(self) -> Mode:
        """What is published now."""
        silent_s = self.frames.silent_s
        if self.state != 'active' or silent_s is None:
            return Mode.NONE
        return self.frames.mode if silent_s <= self.settings.input_timeout_s else Mode.NONE


def news_between(now: Snapshot, before: Snapshot) -> Counter[str]:
    """Return what the synchronizer counted between the two."""
    if now.sync is None or before.sync is None:
        return Counter()
    return Counter(
        {
            name: count - vars(before.sync)[name]
            for name, count in vars(now.sync).items()
            if isinstance(count, int)
        }
    )


def unmatched_offset_ms(now: Snapshot, before: Snapshot) -> float | None:
    """Return the measured offset while both cameras send and nothing matches, else None."""
    counted = news_between(now, before)
    both = counted['thermal_received'] > 1 and counted['visible_received'] > 1
    return now.measured_offset_ms if both and not counted['matched'] else None
