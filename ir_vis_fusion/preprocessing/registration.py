"""
Where the thermal image lies in the visible one: one sampling grid and where it is valid.

Four ways to know it (``registration.mode``): none, the images cover each other; homography, by a
calibration file; plane, by both cameras, how they stand to each other and one distance of the
scene; depth, by a depth image in the visible view. All become a :class:`View`, which is kept
until what it was made of changes.
"""

from dataclasses import dataclass
import math
from typing import TypeAlias

import cv2
from ir_vis_fusion.config import RegistrationSettings
from ir_vis_fusion.errors import CalibrationError
from ir_vis_fusion.preprocessing.calibration import Calibration, read_calibration
from ir_vis_fusion.preprocessing.geometry import (
    CameraModel,
    check_shape,
    Reprojection,
    Transform,
)
from ir_vis_fusion.types import RegistrationState
import numpy as np
import torch
from torch import Tensor
import torch.nn.functional as F

# Width of the blend from the thermal view to what is outside, of the image's width.
_FEATHER = 0.05
# A point is hidden where one nearer by this share is seen at the same thermal pixel.
_OCCLUSION = 0.1

Size: TypeAlias = tuple[int, int]


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


class View:
    """
    The thermal image as it is seen in the visible one.

    Parameters
    ----------
    columns, rows
        Where each pixel of the visible image lies in the thermal one, (H, W) float32, NaN where
        nowhere.
    size
        Of the thermal image, (width, height).
    hidden
        (H, W) bool, where the thermal camera sees something nearer.

    """

    def __init__(
        self, columns: Tensor, rows: Tensor, size: Size, hidden: Tensor | None = None
    ) -> None:
        width, height = size
        inside = (columns >= -0.5) & (columns <= width - 0.5)
        inside &= (rows >= -0.5) & (rows <= height - 0.5)
        if hidden is not None:
            inside &= ~hidden
        self.mask = None if bool(inside.all()) else _feathered(inside)
        self.coverage = float(inside.float().mean())
        columns = columns.nan_to_num(nan=-1.0).clamp(-1, width)
        rows = rows.nan_to_num(nan=-1.0).clamp(-1, height)
        if columns.device.type == 'cpu':
            self._maps = columns.contiguous().numpy(), rows.contiguous().numpy()
        else:
            grid = torch.stack(
                [(columns + 0.5) * (2 / width) - 1, (rows + 0.5) * (2 / height) - 1]
            )
            self._grid = grid.permute(1, 2, 0)[None].contiguous()

    def warp(self, image: Tensor) -> Tensor:
        """
        Return a thermal image (h, w) float32 in the visible view, (H, W) float32.

        Interpolated bilinearly; outside the thermal view its edge is repeated. ``mask`` (H, W)
        float32 in [0, 1], None where all is seen, says how far to believe it.
        """
        if image.device.type == 'cpu':
            # Half the time of grid_sample.
            warped = cv2.remap(
                image.contiguous().numpy(),
                *self._maps,
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            return torch.from_numpy(warped)
        options = {'mode': 'bilinear', 'padding_mode': 'border', 'align_corners': False}
        return F.grid_sample(image[None, None], self._grid, **options)[0, 0]


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
        return View(columns, rows, thermal, _hidden(columns, rows, z, thermal) & known)

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


def map_pixels(matrix: np.ndarray, size: Size) -> tuple[Tensor, Tensor]:
    """Return where a homography (3, 3) takes each pixel of an image, two (H, W) float32."""
    width, height = size
    columns = np.arange(width)[None]
    rows = np.arange(height)[:, None]
    x, y, z = (row[0] * columns + row[1] * rows + row[2] for row in matrix)
    # Of the two sides of the line at infinity that of the image's centre is the one seen.
    middle = matrix[2] @ [(width - 1) / 2, (height - 1) / 2, 1]
    z = np.where(z * math.copysign(1, middle) > 1e-9, z, np.nan)
    return tuple(torch.from_numpy((one / z).astype(np.float32)) for one in (x, y))


def _resized(old: Size, new: Size) -> np.ndarray:
    """Return the matrix (3, 3) from pixels of an image to those of its resized self."""
    x, y = new[0] / old[0], new[1] / old[1]
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def _feathered(inside: Tensor) -> Tensor:
    """
    Return a mask (H, W) float32 that is 0 outside and rises smoothly to 1 on the way inwards.

    At the edge of the image itself it does not fall.
    """
    radius = max(1, round(_FEATHER * inside.shape[1] / 2))
    side = 2 * radius + 1
    if inside.device.type == 'cpu':
        share = cv2.blur(inside.float().numpy(), (side, side), borderType=cv2.BORDER_REPLICATE)
        share = torch.from_numpy(share)
    else:
        padded = F.pad(inside.float()[None, None], [radius] * 4, mode='replicate')
        rows = F.avg_pool2d(padded, (1, side), stride=1)
        share = F.avg_pool2d(rows, (side, 1), stride=1)[0, 0]
    # At a straight edge half of the surroundings is inside.
    ramp = (share * 2 - 1).clamp(0, 1)
    return ramp.square() * (3 - 2 * ramp) * inside


def _hidden(columns: Tensor, rows: Tensor, z: Tensor, size: Size) -> Tensor:
    """Return where a nearer point is seen at the same place of the thermal image, (H, W) bool."""
    width, height = size
    seen = z.isfinite()
    column = columns.nan_to_num(nan=-1.0).round().long()
    row = rows.nan_to_num(nan=-1.0).round().long()
    seen &= (column >= 0) & (column < width) & (row >= 0) & (row < height)
    place = torch.where(seen, row * width + column, 0).flatten()
    far = torch.where(seen, z, torch.inf).flatten()
    nearest = torch.full((width * height,), torch.inf, device=z.device)
    nearest.scatter_reduce_(0, place, far, 'amin')
    return seen & (z > (1 + _OCCLUSION) * nearest[place].view_as(z))
