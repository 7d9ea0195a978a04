"""
Where the thermal image lies in the visible one: one sampling grid and where it is valid.

Four ways to know it (``registration.mode``): none, the images cover each other; homography, by a
calibration file; plane, by both cameras, how they stand to each other and one distance of the
scene; depth, by a depth image in the visible view. All become a :class:`View`, which is kept
until what it was made of changes.
"""

from dataclasses import dataclass

from ir_vis_fusion.config import RegistrationSettings
from ir_vis_fusion.errors import CalibrationError
from ir_vis_fusion.preprocessing.calibration import Calibration, read_calibration
from ir_vis_fusion.preprocessing.geometry import (
    CameraModel,
    check_shape,
    Reprojection,
    Transform,
)
from ir_vis_fusion.preprocessing.view import hidden, map_pixels, Size, View
from ir_vis_fusion.types import RegistrationState
import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Rig:
    """
    What is known of the cameras beside the calibration file; None where nothing is.

    ``faults`` say why something is not known, in words for the user.
    """

    thermal: CameraModel | None = None
    visible: CameraModel | None = None
    transform: Transform | None = None
    faults: tuple[str, ...] = ()


class Registration:
    """
    Gives the :class:`View` of each pair; for one pair of cameras, one thread at a time.

    Only :meth:`set_rig` and :meth:`state` may be called from other threads.

    Raises
    ------
    CalibrationError
        Where the file cannot be read or lacks what the mode needs.

    """

    def __init__(self, settings: RegistrationSettings, device: torch.device) -> None:
        self._mode = settings.mode
        self._device = device
        self._file = read_calibration(settings.file) if settings.file else None
        if self._mode == 'homography' and self._file.homography is None:
            raise CalibrationError(
                f'{settings.file}: has no homography; make one by `ivf calibrate`, or set '
                'registration.mode to plane or depth'
            )
        self._rig = Rig()
        self._key: tuple | None = None
        self._view: View | None = None
        self._reprojection: tuple[tuple, Reprojection] | None = None
        self._state = RegistrationState(self._mode)

    def set_rig(self, rig: Rig) -> None:
        """Take what has become known of the cameras; from the next view on."""
        self._rig = rig

    def state(self) -> RegistrationState:
        """Return how images are registered now."""
        return self._state

    def reset(self) -> None:
        """Forget the view; what is known of the cameras stays."""
        self._view = self._key = None
        self._state = RegistrationState(self._mode)

    def view(
        self, thermal: Size, visible: Size, distance_m: float, depth_m: Tensor | None = None
    ) -> View | None:
        """
        Return the view for images of these sizes (width, height), None: they cover each other.

        Where the geometry is not known it is None too, and :meth:`state` says why.

        Parameters
        ----------
        thermal, visible
            Sizes of the images.
        distance_m
            Of the scene from the visible camera, for mode plane, and for mode depth where the
            depth is not known.
        depth_m
            (H, W) float32, depths in the visible view, of its size; not finite or <= 0 where
            unknown.

        """
        if self._mode == 'none':
            return None
        rig = self._rig
        try:
            if self._mode == 'depth' and depth_m is not None:
                self._view = self._by_depth(rig, thermal, visible, distance_m, depth_m)
                self._key = None
                self._note(self._view, 'depth')
                return self._view
            key = (thermal, visible, rig, distance_m if self._mode != 'homography' else None)
            if key != self._key:
                self._view, self._key = None, key
                self._view = self._make(rig, thermal, visible, distance_m)
                self._note(self._view, 'plane' if self._mode == 'depth' else self._mode)
        except CalibrationError as error:
            self._view = None
            self._state = RegistrationState(self._mode, 'none', None, str(error))
        return self._view

    def _note(self, view: View, in_force: str) -> None:
        fault = ''
        if in_force != self._mode:
            fault = 'no depth image: registered at registration.distance_m'
        elif view.coverage == 0:
            fault = 'the calibration places the thermal image outside the visible one'
        self._state = RegistrationState(self._mode, in_force, view.coverage, fault)

    def _make(self, rig: Rig, thermal: Size, visible: Size, distance_m: float) -> View:
        if self._mode == 'homography':
            columns, rows = _by_homography(self._file, thermal, visible)
            return View(columns.to(self._device), rows.to(self._device), thermal)
        columns, rows, _ = self._reproject(rig, thermal, visible).coordinates(distance_m)
        return View(columns, rows, thermal)

    def _by_depth(
        self, rig: Rig, thermal: Size, visible: Size, distance_m: float, depth_m: Tensor
    ) -> View:
        if depth_m.shape != (visible[1], visible[0]):
            raise CalibrationError(
                f'the depth image is {depth_m.shape[1]}x{depth_m.shape[0]}, the visible one '
                f'{visible[0]}x{visible[1]}: it must be registered to the visible camera'
            )
        known = depth_m.isfinite() & (depth_m > 0)
        depth_m = torch.where(known, depth_m, distance_m)
        columns, rows, z = self._reproject(rig, thermal, visible).coordinates(depth_m)
        return View(columns, rows, thermal, hidden(columns, rows, z, thermal) & known)

    def _reproject(self, rig: Rig, thermal: Size, visible: Size) -> Reprojection:
        """Return what does not depend on the depth; it is kept."""
        key = (rig, thermal, visible)
        if self._reprojection is None or self._reprojection[0] != key:
            cameras = self._cameras(rig)
            sizes = {'thermal': thermal, 'visible': visible}
            for name, size in sizes.items():
                try:
                    cameras[name] = cameras[name].at(*size)
                except CalibrationError as error:
                    raise CalibrationError(f'{name} camera: {error}') from None
            self._reprojection = key, Reprojection(**cameras, device=self._device)
        return self._reprojection[1]

    def _cameras(self, rig: Rig) -> dict:
        """Return both cameras and the transform; the file goes before what the node has heard."""
        known, missing = {}, []
        for name, words in (
            ('thermal', 'calibration of the thermal camera'),
            ('visible', 'calibration of the visible camera'),
            ('transform', 'transform between the cameras'),
        ):
            known[name] = getattr(self._file, name, None) or getattr(rig, name)
            if known[name] is None:
                missing.append(f'no {words}')
        if missing:
            raise CalibrationError('; '.join([*missing, *rig.faults]))
        return known


def depth_in_metres(image: np.ndarray) -> np.ndarray:
    """Return a depth image of uint16 millimetres or float32 metres as float32 metres."""
    return image.astype(np.float32) * 1e-3 if image.dtype == np.uint16 else image


def _by_homography(
    calibration: Calibration, thermal: Size, visible: Size
) -> tuple[Tensor, Tensor]:
    """Return columns and rows in the thermal image for each pixel of the visible one."""
    for name, calibrated, given in (
        ('thermal', calibration.thermal_size, thermal),
        ('visible', calibration.visible_size, visible),
    ):
        try:
            check_shape(calibrated, given)
        except CalibrationError as error:
            raise CalibrationError(f'homography, {name} image: {error}') from None
    homography = np.array(calibration.homography).reshape(3, 3)
    to_thermal = (
        _resized(calibration.thermal_size, thermal)
        @ np.linalg.inv(homography)
        @ np.linalg.inv(_resized(calibration.visible_size, visible))
    )
    return map_pixels(to_thermal, visible)


def _resized(old: Size, new: Size) -> np.ndarray:
    """Return the matrix (3, 3) from pixels of an image to those of its resized self."""
    x, y = new[0] / old[0], new[1] / old[1]
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
