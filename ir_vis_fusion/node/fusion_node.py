"""The lifecycle node: thermal and visible images in, fused images out."""

from collections.abc import Callable, Iterable
import functools
import time
import traceback
from typing import Any

from ir_vis_fusion.errors import ConfigError, FusionError
from ir_vis_fusion.node.declaration import (
    changed_settings,
    checked_overrides,
    declare_settings,
    warn_of_unknown_overrides,
)
from ir_vis_fusion.node.diagnostics import Snapshot
from ir_vis_fusion.node.inputs import ImageInput
from ir_vis_fusion.node.messages import camera_info_for, frame_from, image_from, stamp_ns
from ir_vis_fusion.node.pairing import Pairing
from ir_vis_fusion.node.reporter import StatusReporter
from ir_vis_fusion.node.statistics import FrameStatistics
from ir_vis_fusion.predictor import FusionPredictor
from ir_vis_fusion.synchronization import MatchedPair
from ir_vis_fusion.types import FramePair, FusedFrame, GuidanceState, Role
from ir_vis_fusion.worker import Worker
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType, JumpThreshold
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import HistoryPolicy, qos_profile_sensor_data, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger

_WATCH_PERIOD_S = 0.2
_WARM_UP_SIZE = (480, 640)


def _reported(
    transition: Callable[['FusionNode'], None],
) -> Callable[['FusionNode', LifecycleState], TransitionCallbackReturn]:
    """Log why a transition failed: rclpy swallows what its lifecycle callbacks raise."""

    @functools.wraps(transition)
    def callback(node: 'FusionNode', state: LifecycleState) -> TransitionCallbackReturn:
        try:
            transition(node)
        except FusionError as error:
            node.get_logger().error(str(error))
            # Not FAILURE, which would leave what the transition had made until then.
            return TransitionCallbackReturn.ERROR
        except Exception:
            if node.context.ok():
                node.get_logger().error(traceback.format_exc())
            raise
        return TransitionCallbackReturn.SUCCESS

    return callback


class FusionNode(LifecycleNode):
    """
    Pair a thermal and a visible stream, fuse each pair and publish it.

    Callbacks only hand messages to the synchronizer; pairs go through a mailbox of one to a
    worker thread that decodes, fuses and publishes. Made for a SingleThreadedExecutor.

    Raises
    ------
    ConfigError
        With all wrong parameters at once.

    """

    def __init__(
        self, make_predictor: Callable[..., FusionPredictor] = FusionPredictor, **node_options: Any
    ) -> None:
        super().__init__('fusion_node', **node_options)
        try:
            self.settings = declare_settings(self)
        except ConfigError:
            self.destroy_node()
            raise
        self._frame_settings = self.settings.frame
        self._make_predictor = make_predictor
        self._predictor: FusionPredictor | None = None
        self._pairing: Pairing | None = None
        self._worker: Worker | None = None
        self._inputs: list[ImageInput] = []
        self._outputs: list[Publisher] = []
        self._info_subscription: Subscription | None = None
        self._camera_info: CameraInfo | None = None
        self._generation = 0
        self._statistics = FrameStatistics()
        self._state = 'unconfigured'
        self._reporter = StatusReporter(self, self._take_snapshot)
        self.add_on_set_parameters_callback(self._change_parameters)
        self.create_service(SetBool, '~/enable', self._serve_enable)
        self.create_service(Trigger, '~/reset', self._serve_reset)
        self._jump_handle = self.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1)),
            post_callback=lambda jump: self._reset(clock_jumped=jump.delta.nanoseconds < 0),
        )
        # Steady time: with use_sim_time other timers stand still when the bag does.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_WATCH_PERIOD_S, self._watch_inputs, clock=steady)
        self.create_timer(self.settings.status_period_s, self._reporter.report, clock=steady)

    def start(self) -> bool:
        """Configure and activate, unless a lifecycle manager is to do so; tell whether it went."""
        success = TransitionCallbackReturn.SUCCESS
        return not self.settings.autostart or (
            self.trigger_configure() == success and self.trigger_activate() == success
        )

    def close(self) -> None:
        """End all threads and destroy the node, in whatever state."""
        self._release()
        self._jump_handle.unregister()
        self.destroy_node()

    @_reported
    def on_configure(self) -> None:
        """Load the network and offer the output."""
        self._predictor = self._make_predictor(self.settings, background=True)
        self._predictor.check(self._frame_settings)
        # Reliable matches both kinds of subscriber; few, because an old image is worth nothing.
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST, depth=2, reliability=ReliabilityPolicy.RELIABLE
        )
        overriding = QoSOverridingOptions.with_default_policies()
        with checked_overrides(self):
            self._outputs = [
                self.create_publisher(kind, topic, qos, qos_overriding_options=overriding)
                for kind, topic in ((Image, 'fused/image'), (CameraInfo, 'fused/camera_info'))
            ]
        self._state = 'inactive'
        self.get_logger().info(f'{self.settings.model} runs on {self._predictor.device}')
        if self._predictor.guidance_note:
            self.get_logger().warning(self._predictor.guidance_note)

    @_reported
    def on_activate(self) -> None:
        """Warm the network up, subscribe and begin to count."""
        self._predictor.warm_up(*_WARM_UP_SIZE)
        self._pairing, self._generation = Pairing(self.settings.sync), 0
        self._statistics = FrameStatistics()
        self._reporter.start_anew()
        self._worker = Worker(self._fuse, 'fusion')
        self._inputs = [ImageInput(self, role, self.settings, self._receive) for role in Role]
        visible = self._inputs[1].image_topic
        self._info_subscription = self.create_subscription(
            CameraInfo,
            f'{visible.rpartition("/")[0]}/camera_info',
            self._receive_camera_info,
            qos_profile_sensor_data,
        )
        self._watch_inputs()
        expected = [name for camera in self._inputs for name in camera.overrides]
        warn_of_unknown_overrides(self, expected)
        self._state = 'active'

    @_reported
    def on_deactivate(self) -> None:
        """Unsubscribe, keep the network."""
        self._unsubscribe()
        self._state = 'inactive'

    @_reported
    def on_cleanup(self) -> None:
        """Free the network."""
        self._release()
        self._state = 'unconfigured'

    @_reported
    def on_shutdown(self) -> None:
        """Free everything, from any state."""
        self._release()
        self._state = 'finalized'

    on_error = on_cleanup

    def _unsubscribe(self) -> None:
        for camera in self._inputs:
            camera.close()
        self._inputs = []
        if self._info_subscription is not None:
            self.destroy_subscription(self._info_subscription)
            self._info_subscription = None
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _release(self) -> None:
        self._unsubscribe()
        for publisher in self._outputs:
            self.destroy_publisher(publisher)
        self._outputs = []
        if self._predictor is not None:
            self._predictor.close()
        self._predictor = self._pairing = self._camera_info = None

    def _watch_inputs(self) -> None:
        for camera in self._inputs:
            camera.watch()

    def _receive(self, role: Role, message: Any) -> None:
        for pair in self._pairing.add(role, stamp_ns(message.header.stamp), message):
            self._worker.put(pair)

    def _receive_camera_info(self, message: CameraInfo) -> None:
        self._camera_info = message

    def _fuse(self, pair: MatchedPair) -> None:
        """Make one pair of messages a fused one, in the worker thread."""
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
            fused = self._predictor.predict(frames, self._frame_settings)
            self._publish(fused, pair.visible.header)
        except Exception as error:  # noqa: BLE001 - no frame, whatever is in it, may end the node
            if self.context.ok():
                self._statistics.add_failure(step, error)
            return
        latency_ns = self.get_clock().now().nanoseconds - fused.stamp_ns
        processing_ms = (time.monotonic() - started) * 1e3
        self._statistics.add_fused(fused, processing_ms, latency_ns / 1e6)

    def _publish(self, fused: FusedFrame, header: Header) -> None:
        image_publisher, info_publisher = self._outputs
        image_publisher.publish(image_from(fused, header))
        if self._camera_info is not None:
            height, width = fused.image.shape[:2]
            info_publisher.publish(camera_info_for(self._camera_info, header, height, width))

    def _reset(self, clock_jumped: bool = False) -> None:
        """Forget what belongs to an earlier time; the worker sees it by the generation."""
        if self._pairing is not None:
            self._pairing.reset(clock_jumped)
        if self._worker is not None:
            self._worker.clear()

    def _change_parameters(self, parameters: Iterable[Parameter]) -> SetParametersResult:
        configured = self._predictor is not None
        try:
            settings = changed_settings(self.settings, parameters, configured)
            if configured:
                self._predictor.check(settings.frame)
        except FusionError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self.settings, self._frame_settings = settings, settings.frame
        return SetParametersResult(successful=True)

    def _serve_enable(
        self, request: SetBool.Request, response: SetBool.Response
    ) -> SetBool.Response:
        result = self.set_parameters([Parameter('enable', value=request.data)])[0]
        response.success, response.message = result.successful, result.reason
        return response

    def _serve_reset(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        self._reset()
        response.success, response.message = True, 'pairing and thermal range start anew'
        return response

    def _take_snapshot(self) -> Snapshot:
        return Snapshot(
            state=self._state,
            settings=self.settings,
            inputs=[camera.snapshot() for camera in self._inputs],
            sync=self._pairing.counters() if self._pairing else None,
            measured_offset_ms=self._pairing.measured_offset_ms() if self._pairing else None,
            frames=self._statistics.snapshot(),
            dropped=self._worker.dropped if self._worker else 0,
            camera_info=self._calibration(),
            guidance=self._predictor.guidance_state() if self._predictor else GuidanceState(),
        )

    def _calibration(self) -> str:
        if self._camera_info is None:
            return 'none'
        return 'calibrated' if self._camera_info.k[0] else 'uncalibrated (K[0] is 0)'
