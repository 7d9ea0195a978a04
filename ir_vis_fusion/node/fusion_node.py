"""The lifecycle node: thermal and visible images in, fused images out."""

from collections.abc import Callable, Iterable
import functools
import traceback
from typing import Any

from ir_vis_fusion.backends.chooser import check_model
from ir_vis_fusion.config import flatten
from ir_vis_fusion.errors import ConfigError, FusionError
from ir_vis_fusion.node.declaration import (
    changed_settings,
    declare_settings,
    warn_of_unknown_overrides,
)
from ir_vis_fusion.node.ffc_telemetry import FfcTelemetry
from ir_vis_fusion.node.freshness import Freshness
from ir_vis_fusion.node.inputs import image_topic, ImageInput
from ir_vis_fusion.node.ladder import Ladder
from ir_vis_fusion.node.live_predictor import LivePredictor
from ir_vis_fusion.node.messages import stamp_ns
from ir_vis_fusion.node.outputs import CameraInfoOutput, Outputs
from ir_vis_fusion.node.pairing import Pairing
from ir_vis_fusion.node.pipeline import Pipeline
from ir_vis_fusion.node.points import PointsOutput
from ir_vis_fusion.node.reporter import StatusReporter
from ir_vis_fusion.node.rig import GeometryInputs
from ir_vis_fusion.node.side_outputs import ThermalOutputs
from ir_vis_fusion.node.snapshot import FrameSnapshot, ModelSnapshot, Snapshot
from ir_vis_fusion.node.snapshot_files import Picture
from ir_vis_fusion.node.snapshot_service import SnapshotService
from ir_vis_fusion.predictor import FusionPredictor
from ir_vis_fusion.types import GuidanceState, RegistrationState, Role, ThermalReport
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType, JumpThreshold
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger

_WATCH_PERIOD_S = 0.2


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

    Callbacks only hand messages to the synchronizer; pairs go to the pipeline, whose thread
    decodes, fuses and publishes. Made for a SingleThreadedExecutor.

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
        self._predictor: LivePredictor | None = None
        self._pairing: Pairing | None = None
        self._pipeline: Pipeline | None = None
        self._inputs: list[ImageInput] = []
        self._outputs: Outputs | None = None
        self._camera_info: CameraInfoOutput | None = None
        self._telemetry: FfcTelemetry | None = None
        self._geometry: GeometryInputs | None = None
        self._state = 'unconfigured'
        self._reporter = StatusReporter(self, self._take_snapshot)
        self.add_on_set_parameters_callback(self._change_parameters)
        self.create_service(SetBool, '~/enable', self._serve_enable)
        self.create_service(Trigger, '~/reset', self._serve_reset)
        self._snapshots = SnapshotService(
            self, self._take_picture, lambda: self.settings.snapshot_dir
        )
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
        self._snapshots.close()
        self._jump_handle.unregister()
        self.destroy_node()

    def destroy_node(self) -> None:
        """Destroy it now and with it its DDS threads: rclpy forgets the state machine."""
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()

    @_reported
    def on_configure(self) -> None:
        """Load the network and offer the output."""
        self._predictor = LivePredictor(self._make_predictor, self.settings)
        first = self._predictor.current
        first.check(self._frame_settings)
        self._outputs = Outputs(self)
        self._camera_info = CameraInfoOutput(self, image_topic(self, Role.VISIBLE))
        self._outputs.add(self._camera_info)
        self._outputs.add(ThermalOutputs(self))
        if self.settings.points != 'off':
            self._outputs.add(PointsOutput(self, self.settings.points, self._predictor))
        self._state = 'inactive'
        self.get_logger().info(f'{self.settings.model} runs on {first.device}')
        if first.guidance_note:
            self.get_logger().warning(first.guidance_note)

    @_reported
    def on_activate(self) -> None:
        """Warm the network up, subscribe and begin to count."""
        self._predictor.warm_up()
        sync = self.settings.sync
        ladder = Ladder(self.settings.ladder, hold=sync.mode == 'hold_thermal')
        self._pairing = Pairing(sync, ladder)
        self._geometry = GeometryInputs(self, self.settings, self._predictor.set_rig)
        self._pipeline = Pipeline(
            self,
            self._predictor,
            self._outputs,
            ladder,
            Freshness(self.settings.max_age_ms, sync.jump_back_ms),
            lambda: self._frame_settings,
            self._geometry.depth_at,
        )
        self._reporter.start_anew()
        self._inputs = [ImageInput(self, role, self.settings, self._receive) for role in Role]
        self._outputs.activate()
        if topic := self.settings.thermal.ffc_topic:
            self._telemetry = FfcTelemetry(self, topic, self._predictor.tell_calibrating)
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
        for part in (*self._inputs, self._telemetry, self._geometry):
            if part is not None:
                part.close()
        self._inputs, self._telemetry, self._geometry = [], None, None
        if self._outputs is not None:
            self._outputs.deactivate()
        if self._pipeline is not None:
            self._pipeline.close()

    def _release(self) -> None:
        self._unsubscribe()
        if self._outputs is not None:
            self._outputs.close()
        if self._predictor is not None:
            self._predictor.close()
        self._predictor = self._pairing = self._pipeline = None
        self._outputs = self._camera_info = None

    def _watch_inputs(self) -> None:
        wanted = not self.settings.lazy or (self._inputs and self._outputs.listeners() > 0)
        for camera in self._inputs:
            camera.watch(wanted)
        if self._predictor is not None:
            model = self._predictor.snapshot()
            if model.fault and not model.loading and model.name != self.settings.model:
                self.set_parameters([Parameter('model', value=model.name)])

    def _receive(self, role: Role, message: Any) -> None:
        at_ns, fusing = stamp_ns(message.header.stamp), self._frame_settings.enable
        for job in self._pairing.add(role, at_ns, message, fusing):
            self._pipeline.put(job)

    def _reset(self, clock_jumped: bool = False) -> None:
        """Forget what belongs to an earlier time; the worker sees it by the generation."""
        if self._pairing is not None:
            self._pairing.reset(clock_jumped)
        if self._pipeline is not None:
            self._pipeline.clear()

    def _change_parameters(self, parameters: Iterable[Parameter]) -> SetParametersResult:
        live = self._predictor
        try:
            settings = changed_settings(self.settings, parameters, live is not None)
            other_model = settings.model != self.settings.model
            if live is not None and other_model:
                check_model(settings.model)
            elif live is not None:
                live.check(settings.frame)
        except FusionError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self.settings, self._frame_settings = settings, settings.frame
        if live is not None and other_model and not self._takes_back_model():
            live.replace(settings)
        return SetParametersResult(successful=True)

    def _takes_back_model(self) -> bool:
        """Say whether the parameter follows a model that stays because another failed."""
        model = self._predictor.snapshot()
        return bool(model.fault) and not model.loading and model.name == self.settings.model

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
        if self._predictor is not None:
            self._predictor.restore()
        response.success, response.message = True, 'pairing and thermal range start anew'
        return response

    def _take_picture(self) -> tuple[Picture | None, dict[str, Any]]:
        facts = {'parameters': flatten(self.settings), 'status': self._reporter.values()}
        return (self._pipeline.last if self._pipeline else None), facts

    def _take_snapshot(self) -> Snapshot:
        live = self._predictor
        return Snapshot(
            state=self._state,
            settings=self.settings,
            inputs=[camera.snapshot() for camera in self._inputs],
            sync=self._pairing.counters() if self._pairing else None,
            measured_offset_ms=self._pairing.measured_offset_ms() if self._pairing else None,
            frames=self._pipeline.statistics.snapshot() if self._pipeline else FrameSnapshot(),
            dropped=self._pipeline.dropped if self._pipeline else 0,
            camera_info=self._camera_info.calibration if self._camera_info else 'none',
            guidance=live.current.guidance_state() if live else GuidanceState(),
            model=live.snapshot() if live else ModelSnapshot(name=self.settings.model),
            thermal=live.current.thermal_report() if live else ThermalReport(),
            registration=live.current.registration_state() if live else RegistrationState(),
        )
