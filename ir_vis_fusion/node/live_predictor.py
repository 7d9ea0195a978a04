"""The predictor of a node that must not stop: ROS-free."""

from collections.abc import Callable, Set
import dataclasses
from dataclasses import dataclass
import threading
from typing import Any

from ir_vis_fusion.config import FrameSettings
from ir_vis_fusion.errors import GuidanceError
from ir_vis_fusion.node.parameters import NodeSettings
from ir_vis_fusion.node.snapshot import ModelSnapshot
from ir_vis_fusion.predictor import FusionPredictor
from ir_vis_fusion.preprocessing.registration import Rig
from ir_vis_fusion.types import Frame, FramePair, FusedFrame, SideProduct
from ir_vis_fusion.worker import Worker
import torch

_WARM_UP_SIZE = (480, 640)
# How drivers and libraries of a GPU begin what they say when they fail.
_DEVICE_WORDS = ('CUDA', 'CUBLAS', 'cuBLAS', 'cuDNN', 'CUDNN')
# Frames go first where both want the same cores.
_NICE = 10


@dataclass(frozen=True)
class _Request:
    """What to build; ``why`` says what went wrong, '' for a wish of the user."""

    settings: NodeSettings
    why: str = ''


class LivePredictor:
    """
    Hold a predictor, replace it while frames are fused, and when its device fails.

    A replacement is built in a thread of its own and put in force between two frames. Where the
    GPU's memory is full its cache is emptied; if that does not help, the network runs at half
    size, and then on the CPU. After another failure of CUDA the predictor is built anew, after
    the second one on the CPU. A frame for which there is nothing that works raises.

    Frames are fused by one thread, all else may come from any.

    Parameters
    ----------
    make
        Builds a predictor of settings, with ``background=True``.
    settings
        What is built first.

    Raises
    ------
    FusionError
        What ``make`` raises for the first one.

    """

    def __init__(self, make: Callable[..., FusionPredictor], settings: NodeSettings) -> None:
        self._make = make
        self._wanted = settings
        self._current = make(settings, background=True)
        self._model = settings.model
        self._recovery = ''
        self._fault = ''
        self._halved = self._rebuilt = False
        self._size = _WARM_UP_SIZE
        self._rig = Rig()
        self._lock = threading.Lock()
        self._pending: _Request | None = None
        self._next: tuple[_Request, FusionPredictor] | None = None
        self._builder = Worker(self._build, 'model', _NICE)

    @property
    def current(self) -> FusionPredictor:
        """The predictor that is in force."""
        return self._current

    def snapshot(self) -> ModelSnapshot:
        """Return what is known now."""
        pending = self._pending
        return ModelSnapshot(
            name=self._model,
            sha256=self._current.network.sha256,
            device=str(self._current.device),
            loading=pending.settings.model if pending else '',
            recovery=self._recovery,
            fault=self._fault,
        )

    def check(self, settings: FrameSettings) -> None:
        """
        Raise GuidanceError where a prompt cannot be followed.

        Nor is a prompt changed for which a model that is being loaded was not asked.
        """
        pending = self._pending
        if pending and settings.prompt != pending.settings.prompt:
            raise GuidanceError(
                f'model {pending.settings.model!r} is being loaded, change the prompt afterwards'
            )
        self._current.check(settings)
        # Whatever is built from now on is to follow it too.
        self._wanted = dataclasses.replace(self._wanted, prompt=settings.prompt)

    def replace(self, settings: NodeSettings) -> None:
        """Build another predictor and put it in force, unless it cannot be had."""
        self._wanted, self._rebuilt = settings, False
        self._request(_Request(settings))

    def restore(self) -> None:
        """Try again what the settings ask for, after a failure of the device."""
        if self._recovery:
            self.replace(self._wanted)

    def warm_up(self) -> None:
        """Fuse a pair, so that the first real one is not the slow one."""
        self._current.warm_up(*self._size)

    def reset(self) -> None:
        """Forget what was learnt from earlier frames."""
        self._current.reset()

    def predict(
        self,
        frames: FramePair,
        settings: FrameSettings,
        wanted: Set[SideProduct] = frozenset(),
    ) -> FusedFrame:
        """Fuse a pair with the newest predictor, and by whatever means there are."""
        self._take_next()
        self._size = frames.visible.image.shape[:2]
        outcome = self._attempt(frames, settings, wanted)
        if isinstance(outcome, FusedFrame):
            return outcome
        if not self._pending and str(self._current.device) != 'cpu':
            outcome = self._recover(outcome, frames, settings, wanted)
        if isinstance(outcome, FusedFrame):
            return outcome
        raise outcome

    def visible_only(self, frame: Frame) -> FusedFrame:
        """Return the visible image as it is."""
        return self._current.visible_only(frame)

    def thermal_only(
        self,
        frame: Frame,
        height: int,
        width: int,
        settings: FrameSettings,
        wanted: Set[SideProduct] = frozenset(),
    ) -> FusedFrame:
        """Return the thermal image alone."""
        self._take_next()
        return self._current.thermal_only(frame, height, width, settings, wanted)

    def tell_calibrating(self, calibrating: bool) -> None:
        """Take what the thermal camera's telemetry says of a calibration."""
        self._current.tell_calibrating(calibrating)

    def set_rig(self, rig: Rig) -> None:
        """Tell what is known of the cameras, to this predictor and to those that follow it."""
        self._rig = rig
        self._current.set_rig(rig)

    def close(self) -> None:
        """End all threads."""
        self._builder.close()
        if self._next is not None:
            self._next[1].close()
        self._current.close()

    def _attempt(self, *what: Any) -> FusedFrame | Exception:
        try:
            return self._current.predict(*what)
        except Exception as error:  # noqa: BLE001 - what it is decides what is done
            # The traceback would hold the tensors for which there was no memory.
            return error.with_traceback(None)

    def _recover(self, error: Exception, *what: Any) -> FusedFrame | Exception:
        why = f'{type(error).__name__}: {error}'.partition('\n')[0]
        if _is_out_of_memory(error):
            for halve in (False, True):
                if halve and self._halved:
                    break
                if halve:
                    self._current.halve()
                    self._halved, self._recovery = True, f'at half size after {why}'
                torch.cuda.empty_cache()
                outcome = self._attempt(*what)
                if isinstance(outcome, FusedFrame) or not _is_out_of_memory(outcome):
                    return outcome
            self._request(_Request(dataclasses.replace(self._wanted, device='cpu'), why))
        elif isinstance(error, RuntimeError) and any(word in str(error) for word in _DEVICE_WORDS):
            device = 'cpu' if self._rebuilt else self._wanted.device
            self._rebuilt = True
            self._request(_Request(dataclasses.replace(self._wanted, device=device), why))
        return error

    def _request(self, request: _Request) -> None:
        with self._lock:
            self._pending, self._fault = request, ''
        self._builder.put(request)

    def _build(self, request: _Request) -> None:
        choices = [request.settings]
        if request.why and request.settings.device != 'cpu':
            choices.append(dataclasses.replace(request.settings, device='cpu'))
        for settings in choices:
            try:
                built = self._built(settings)
                break
            except Exception as error:  # noqa: BLE001 - what is in force stays
                fault = f'{settings.model} could not be loaded: {error}'
        else:
            with self._lock:
                self._fault = fault
                if self._pending is request:
                    self._pending = None
            return
        with self._lock:
            replaced, self._next = self._next, (request, built)
        if replaced is not None:
            replaced[1].close()

    def _built(self, settings: NodeSettings) -> FusionPredictor:
        """Return a predictor that has fused a pair of the size that comes."""
        predictor = self._make(settings, background=True)
        try:
            predictor.set_rig(self._rig)
            predictor.check(settings.frame)
            predictor.warm_up(*self._size)
        except BaseException:
            predictor.close()
            raise
        return predictor

    def _take_next(self) -> None:
        if self._next is None:
            return
        with self._lock:
            request, predictor = self._next
            old, self._current, self._next = self._current, predictor, None
            # Another wish may have come meanwhile.
            if self._pending is request:
                self._pending = None
        self._model, self._halved = request.settings.model, False
        self._recovery = f'anew on {predictor.device} after {request.why}' if request.why else ''
        # It may have to wait for its own threads.
        threading.Thread(target=old.close, daemon=True).start()


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, torch.cuda.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and 'out of memory' in str(error)
    )
