"""From messages to what is published, in a thread of its own."""

from collections.abc import Callable
import time

from ir_vis_fusion.config import FrameSettings
from ir_vis_fusion.node.freshness import Freshness
from ir_vis_fusion.node.ladder import Ladder, mean_luma
from ir_vis_fusion.node.live_predictor import LivePredictor
from ir_vis_fusion.node.messages import frame_from, stamp_from
from ir_vis_fusion.node.outputs import Outputs
from ir_vis_fusion.node.pairing import Job
from ir_vis_fusion.node.snapshot_files import Picture
from ir_vis_fusion.node.statistics import FrameStatistics
from ir_vis_fusion.types import Frame, FramePair, FusedFrame, Mode, Role, ThermalState
from ir_vis_fusion.worker import Worker
import numpy as np
from rclpy.node import Node
from std_msgs.msg import Header


class Pipeline:
    """
    Decode, fuse and publish behind a mailbox of one.

    What of a pair is of no use is left out: without the thermal image the visible one is
    published, without the visible one the thermal image. Nothing that a message holds ends the
    thread; a failure is counted in ``statistics`` by the step that failed. ``last`` is what was
    published last.

    Parameters
    ----------
    node
        Whose clock tells the age of a frame.
    predictor
        Used by this thread alone while the pipeline is open.
    outputs
        Where frames go.
    ladder
        Is told what is found in the images.
    freshness
        Says what may be published.
    frame_settings
        Returns what is in force now; asked once a frame.
    depth_at
        Returns the depth image in the visible view that belongs to a stamp, None without one.

    """

    def __init__(
        self,
        node: Node,
        predictor: LivePredictor,
        outputs: Outputs,
        ladder: Ladder,
        freshness: Freshness,
        frame_settings: Callable[[], FrameSettings],
        depth_at: Callable[[int], np.ndarray | None],
    ) -> None:
        self.statistics = FrameStatistics()
        self.last: Picture | None = None
        self._node = node
        self._predictor = predictor
        self._outputs = outputs
        self._ladder = ladder
        self._freshness = freshness
        self._frame_settings = frame_settings
        self._depth_at = depth_at
        self._generation = 0
        # Of the last visible image: what is published alone comes in its place.
        self._size: tuple[int, int] | None = None
        self._frame_id = ''
        self._worker = Worker(self._handle, 'fusion')

    @property
    def dropped(self) -> int:
        """Jobs that a newer one replaced before their turn."""
        return self._worker.dropped

    def put(self, job: Job) -> None:
        """Hand over a job, in place of one that still waits."""
        self._worker.put(job)

    def clear(self) -> None:
        """Take the waiting job back, if there is one."""
        self._worker.clear()

    def close(self) -> None:
        """Finish the job under way and end the thread."""
        self._worker.close()

    def _handle(self, job: Job) -> None:
        started_s = time.monotonic()
        try:
            if job.generation != self._generation:
                self._predictor.reset()
                self._generation = job.generation
            if self._is_stale(job):
                return
            thermal, visible = self._decode(job, Role.THERMAL), self._decode(job, Role.VISIBLE)
            frames = None
            if thermal and visible:
                depth = self._depth_at(job.stamp_ns)
                frames = FramePair(thermal, visible, job.offset_ns, depth)
            fused = self._make(job, thermal, visible, frames)
            if fused is None or not self._may_publish(job):
                return
            self._outputs.publish(fused, frames, self._header(job))
            self.last = Picture(thermal, visible, fused, job.stamp_ns, job.offset_ns)
        except Exception as error:  # noqa: BLE001 - no frame, whatever is in it, may end the node
            self._fail('fusion', error)
            return
        latency_ns = self._node.get_clock().now().nanoseconds - job.stamp_ns
        processing_ms = (time.monotonic() - started_s) * 1e3
        self.statistics.add_published(fused, processing_ms, latency_ns / 1e6)

    def _decode(self, job: Job, role: Role) -> Frame | None:
        """Return a side's image, None where there is none or it cannot be decoded."""
        message = job.visible if role is Role.VISIBLE else job.thermal
        if message is None:
            return None
        try:
            frame = frame_from(message, role)
        except Exception as error:  # noqa: BLE001 - the other side is of use all the same
            self._fail(role.value, error)
            if role is Role.THERMAL:
                self._ladder.fail_thermal()
            return None
        if role is Role.VISIBLE:
            self._size, self._frame_id = frame.image.shape[:2], frame.frame_id
        return frame

    def _make(
        self, job: Job, thermal: Frame | None, visible: Frame | None, frames: FramePair | None
    ) -> FusedFrame | None:
        """Return the best that these two give, None for nothing."""
        if thermal is None and visible is None:
            return None
        if visible is None:
            return self._thermal_only(thermal)
        if thermal is None:
            return self._predictor.visible_only(visible)
        if self._ladder.choose(mean_luma(visible), job.stamp_ns) is Mode.THERMAL_ONLY:
            return self._thermal_only(thermal) or self._predictor.visible_only(visible)
        settings = self._frame_settings()
        try:
            fused = self._predictor.predict(frames, settings, self._outputs.wanted)
        except Exception as error:  # noqa: BLE001 - the visible image needs no network
            self._fail('fusion', error)
            return self._predictor.visible_only(visible)
        if fused.mode is Mode.NONE:
            self.statistics.add_frozen(fused.thermal_state)
            return None
        if fused.mode is Mode.VISIBLE_ONLY and settings.enable:
            self._ladder.fail_thermal()
        return fused

    def _thermal_only(self, thermal: Frame) -> FusedFrame | None:
        """Return the thermal image, None where it shows no scene: it would pass for a live one."""
        size = self._size or thermal.image.shape[:2]
        settings, wanted = self._frame_settings(), self._outputs.wanted
        alone = self._predictor.thermal_only(thermal, *size, settings, wanted)
        if alone.thermal_state is ThermalState.LIVE:
            return alone
        self.statistics.add_frozen(alone.thermal_state)
        return None

    def _is_stale(self, job: Job) -> bool:
        now_ns, now_s = self._node.get_clock().now().nanoseconds, time.monotonic()
        stale = self._freshness.is_stale(
            job.stamp_ns, job.generation, now_ns, job.arrived_s, now_s
        )
        if stale:
            self.statistics.add_dropped('stale')
        return stale

    def _may_publish(self, job: Job) -> bool:
        if self._is_stale(job):
            return False
        if self._freshness.takes(job.stamp_ns, job.generation):
            return True
        self.statistics.add_dropped('out_of_order')
        return False

    def _header(self, job: Job) -> Header:
        if job.visible is not None:
            return job.visible.header
        frame_id = self._frame_id or job.thermal.header.frame_id
        return Header(stamp=stamp_from(job.stamp_ns), frame_id=frame_id)

    def _fail(self, step: str, error: Exception) -> None:
        # At a shutdown rclpy fails here and there, which is no fault of the frame.
        if self._node.context.ok():
            self.statistics.add_failure(step, error)
