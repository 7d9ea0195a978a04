"""From a pair of messages to what is published, in a thread of its own."""

from collections.abc import Callable
import time

from ir_vis_fusion.config import FrameSettings
from ir_vis_fusion.node.messages import frame_from
from ir_vis_fusion.node.outputs import Outputs
from ir_vis_fusion.node.statistics import FrameStatistics
from ir_vis_fusion.predictor import FusionPredictor
from ir_vis_fusion.synchronization import MatchedPair
from ir_vis_fusion.types import FramePair, Role
from ir_vis_fusion.worker import Worker
from rclpy.node import Node


class Pipeline:
    """
    Decode, fuse and publish pairs behind a mailbox of one.

    Nothing that a pair holds or does ends the thread: a pair that fails is counted in
    ``statistics`` by the step that failed.

    Parameters
    ----------
    node
        Whose clock measures the latency.
    predictor
        Used by this thread alone while the pipeline is open.
    outputs
        Where frames go.
    frame_settings
        Returns what is in force now; asked once a frame.

    """

    def __init__(
        self,
        node: Node,
        predictor: FusionPredictor,
        outputs: Outputs,
        frame_settings: Callable[[], FrameSettings],
    ) -> None:
        self.statistics = FrameStatistics()
        self._node = node
        self._predictor = predictor
        self._outputs = outputs
        self._frame_settings = frame_settings
        self._generation = 0
        self._worker = Worker(self._handle, 'fusion')

    @property
    def dropped(self) -> int:
        """Pairs that a newer one replaced before their turn."""
        return self._worker.dropped

    def put(self, pair: MatchedPair) -> None:
        """Hand over a pair, in place of one that still waits."""
        self._worker.put(pair)

    def clear(self) -> None:
        """Take the waiting pair back, if there is one."""
        self._worker.clear()

    def close(self) -> None:
        """Finish the pair under way and end the thread."""
        self._worker.close()

    def _handle(self, pair: MatchedPair) -> None:
        started = time.monotonic()
        step = 'fusion'
        try:
            if pair.generation != self._generation:
                self._predictor.reset()
                self._generation = pair.generation
            step = 'thermal'
            thermal = frame_from(pair.thermal, Role.THERMAL)
            step = 'visible'
            visible = frame_from(pair.visible, Role.VISIBLE)
            step = 'fusion'
            frames = FramePair(thermal, visible, pair.offset_ns)
            fused = self._predictor.predict(frames, self._frame_settings())
            self._outputs.publish(fused, frames, pair.visible.header)
        except Exception as error:  # noqa: BLE001 - no frame, whatever is in it, may end the node
            if self._node.context.ok():
                self.statistics.add_failure(step, error)
            return
        latency_ns = self._node.get_clock().now().nanoseconds - fused.stamp_ns
        processing_ms = (time.monotonic() - started) * 1e3
        self.statistics.add_fused(fused, processing_ms, latency_ns / 1e6)
