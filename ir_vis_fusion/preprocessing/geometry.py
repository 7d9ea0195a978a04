"""
Pinhole cameras with lens distortion: from pixels to rays and back, on tensors.

Pixel (0, 0) is the centre of the first pixel, cameras look along +z with x to the right and y
down: the conventions of OpenCV and of ROS's optical frames. Models and the order of their
coefficients are those of sensor_msgs/CameraInfo, formulas those of OpenCV's calib3d and fisheye
modules.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
import functools
import math

from ir_vis_fusion.errors import CalibrationError
import numpy as np
import torch
from torch import Tensor

# Numbers of coefficients that a model may have; what is missing is 0.
MODELS = {
    'plumb_bob': (0, 4, 5),
    'rational_polynomial': (0, 8, 12, 14),
    'equidistant': (0, 4),
}
_ASPECT_TOLERANCE = 0.01
# Up to 87 degrees from the axis.
_LARGEST_TANGENT = 20.0
_SAMPLES = 20001
_ITERATIONS = 8


@dataclass(frozen=True)
class CameraModel:
    """
    One camera as its CameraInfo describes it.

    ``matrix`` holds the nine numbers of K row by row, ``distortion`` the coefficients of
    ``distortion_model``: plumb_bob (k1, k2, p1, p2, k3), rational_polynomial (k1, k2, p1, p2, k3,
    k4, k5, k6) or equidistant (k1, k2, k3, k4). Without coefficients there is no distortion.

    Raises
    ------
    CalibrationError
        Where the numbers describe no camera; the text says why.

    """

    width: int
    height: int
    matrix: tuple[float, ...]
    distortion_model: str = 'plumb_bob'
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise CalibrationError(f'the image size must be > 0, got {self.width}x{self.height}')
        if len(self.matrix) != 9 or not all(map(math.isfinite, self.matrix)):
            raise CalibrationError(f'K must be 9 finite numbers, got {list(self.matrix)!r}')
        if self.matrix[0] <= 0 or self.matrix[4] <= 0:
            raise CalibrationError(
                f'K[0] is {self.matrix[0]:g} and K[4] {self.matrix[4]:g}, expected focal lengths '
                '> 0: the camera is not calibrated'
            )
        if not self.distortion:
            return
        if self.distortion_model not in MODELS:
            known = ', '.join(MODELS)
            raise CalibrationError(
                f'distortion model {self.distortion_model!r} is unknown, expected one of {known}'
            )
        if not all(map(math.isfinite, self.distortion)):
            raise CalibrationError(f'D must be finite numbers, got {list(self.distortion)!r}')
        counts = MODELS[self.distortion_model]
        if len(self.distortion) not in counts:
            raise CalibrationError(
                f'D of {self.distortion_model} must have {" or ".join(map(str, counts))} '
                f'coefficients, got {len(self.distortion)}'
            )
        if any(self.distortion[8:]):
            raise CalibrationError(
                'thin prism and tilt (s1 to s4, tau) of rational_polynomial are not supported, '
                f'got {list(self.distortion[8:])!r}'
            )

    def at(self, width: int, height: int) -> 'CameraModel':
        """
        Return the camera as it gives images of another size, scaled as a whole.

        Raises
        ------
        CalibrationError
            Where the shape differs: then the image was cropped, and nothing says how.

        """
        if (width, height) == (self.width, self.height):
            return self
        check_shape((self.width, self.height), (width, height))
        x, y = width / self.width, height / self.height
        k = self.matrix
        matrix = (k[0] * x, k[1] * x, (k[2] + 0.5) * x - 0.5)
        matrix += (0.0, k[4] * y, (k[5] + 0.5) * y - 0.5, 0.0, 0.0, 1.0)
        return replace(self, width=width, height=height, matrix=matrix)

    def project(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """
        Return pixel columns, rows and where they can be trusted, of rays (x, y, 1).

        Beyond the angle at which the radial polynomial turns back rays fold into the image; they
        are not trusted.
        """
        trusted = x.square() + y.square() < self._largest_tangent() ** 2
        x, y = self._distort(x, y)
        k = self.matrix
        return k[0] * x + k[1] * y + k[2], k[4] * y + k[5], trusted

    def rays(self) -> tuple[Tensor, Tensor]:
        """Return x and y of the ray (x, y, 1) of every pixel, (H, W) float64; NaN without one."""
        k = self.matrix
        rows = torch.arange(self.height, dtype=torch.float64)[:, None].expand(-1, self.width)
        columns = torch.arange(self.width, dtype=torch.float64).expand(self.height, -1)
        y_seen = (rows - k[5]) / k[4]
        x_seen = (columns - k[2] - k[1] * y_seen) / k[0]
        x, y = self._undistort(x_seen, y_seen)
        x_again, y_again = self._distort(x, y)
        wrong = ((x_again - x_seen).abs() * k[0]).maximum((y_again - y_seen).abs() * k[4]) > 0.1
        wrong |= x.square() + y.square() >= self._largest_tangent() ** 2
        return x.masked_fill(wrong, math.nan), y.masked_fill(wrong, math.nan)

    def _distort(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        if not any(self.distortion):
            return x, y
        if self.distortion_model == 'equidistant':
            r = (x.square() + y.square()).sqrt().clamp(min=1e-12)
            factor = self._radial(r) / r
            return x * factor, y * factor
        _, _, p1, p2 = self.distortion[:4]
        r2 = x.square() + y.square()
        factor = self._radial_factor(r2)
        return (
            x * factor + 2 * p1 * x * y + p2 * (r2 + 2 * x.square()),
            y * factor + p1 * (r2 + 2 * y.square()) + 2 * p2 * x * y,
        )

    def _radial_factor(self, r2: Tensor) -> Tensor:
        k1, k2, _, _, k3, k4, k5, k6 = (*self.distortion[:8], *[0.0] * 8)[:8]
        return (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))

    def _radial(self, r: Tensor) -> Tensor:
        """Return the distorted radius of the tangents r of angles to the axis."""
        if self.distortion_model != 'equidistant':
            return r * self._radial_factor(r.square())
        k1, k2, k3, k4 = self.distortion
        angle = r.atan()
        t2 = angle.square()
        return angle * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))))

    @functools.cached_property
    def _growing(self) -> tuple[np.ndarray, np.ndarray]:
        """Return radii before and after distortion, up to where the latter stop to grow."""
        before = torch.linspace(0, _LARGEST_TANGENT, _SAMPLES, dtype=torch.float64)
        after = self._radial(before)
        falling = (after.diff() <= 0).nonzero()
        end = int(falling[0, 0]) + 1 if len(falling) else _SAMPLES
        return before[:end].numpy(), after[:end].numpy()

    def _largest_tangent(self) -> float:
        return float(self._growing[0][-1]) if any(self.distortion) else math.inf

    def _undistort(self, x_seen: Tensor, y_seen: Tensor) -> tuple[Tensor, Tensor]:
        """Look the radius up in a table; what the tangential terms add is found by iteration."""
        if not any(self.distortion):
            return x_seen, y_seen
        before, after = self._growing
        x_radial, y_radial = x_seen, y_seen
        tangential = self.distortion_model != 'equidistant' and any(self.distortion[2:4])
        for _ in range(_ITERATIONS if tangential else 1):
            seen = (x_radial.square() + y_radial.square()).sqrt()
            radius = torch.from_numpy(np.interp(seen.numpy(), after, before))
            factor = torch.where(seen > 0, radius / seen.clamp(min=1e-12), 1.0)
            x, y = x_radial * factor, y_radial * factor
            if tangential:
                x_again, y_again = self._distort(x, y)
                x_radial, y_radial = x_radial + x_seen - x_again, y_radial + y_seen - y_again
        return x, y


@dataclass(frozen=True)
class Transform:
    """
    Where the thermal camera is: X_visible = R X_thermal + t, both in optical frames.

    ``rotation`` holds the nine numbers of R row by row, ``translation_m`` t in metres.

    Raises
    ------
    CalibrationError
        Where R is no rotation.

    """

    rotation: tuple[float, ...]
    translation_m: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.rotation) != 9 or len(self.translation_m) != 3:
            raise CalibrationError('extrinsics must be 9 numbers of R and 3 of t')
        r, t = self.arrays()
        if not (np.isfinite(r).all() and np.isfinite(t).all()):
            raise CalibrationError('extrinsics must be finite numbers')
        if not np.allclose(r @ r.T, np.eye(3), atol=1e-3) or np.linalg.det(r) < 0:
            raise CalibrationError(
                f'R must be a rotation, got {np.round(r, 4).tolist()!r}: rows of length 1 at '
                'right angles, determinant 1'
            )

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return R (3, 3) and t (3,), float64."""
        return np.array(self.rotation).reshape(3, 3), np.array(self.translation_m)


def check_shape(calibrated: Sequence[int], given: Sequence[int]) -> None:
    """Raise CalibrationError where two sizes (width, height) differ by more than a scale."""
    change = given[0] * calibrated[1] / (given[1] * calibrated[0])
    if abs(change - 1) > _ASPECT_TOLERANCE:
        raise CalibrationError(
            f'calibrated for {calibrated[0]}x{calibrated[1]}, but the images are '
            f'{given[0]}x{given[1]}, which is no scaled version of that: calibrate for this size'
        )


class Reprojection:
    """
    From pixels of the visible image and what they are distant to places in the thermal image.

    A point at depth z (along the optical axis of the visible camera) on the ray (x, y, 1) is
    X_v = z (x, y, 1) and X_t = R' (X_v - t). For one z, without distortion, this is the
    plane-induced homography of Hartley and Zisserman (2nd ed., 13.1), H = K_v (R - t n'/d) K_t^-1,
    with the plane in front of the visible camera instead of the thermal one.

    Parameters
    ----------
    thermal, visible
        The cameras, at the sizes of their images.
    transform
        From the thermal to the visible camera.
    device
        Of what is computed.

    """

    def __init__(
        self,
        thermal: CameraModel,
        visible: CameraModel,
        transform: Transform,
        device: torch.device,
    ) -> None:
        self._thermal = thermal
        rotation, translation = transform.arrays()
        x, y = visible.rays()
        # Of R' (x, y, 1), which the depth stretches.
        self._directions = [
            (row[0] * x + row[1] * y + row[2]).to(device, torch.float32) for row in rotation.T
        ]
        self._offset = (rotation.T @ translation).tolist()

    def coordinates(self, depth_m: float | Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """
        Return columns and rows in the thermal image, (H, W) float32, and depths seen from it.

        Where there is no such place all three are NaN. ``depth_m`` is one depth for all, or
        (H, W) float32 with NaN where it is unknown.
        """
        x, y, z = (
            direction * depth_m - shift
            for direction, shift in zip(self._directions, self._offset, strict=True)
        )
        z = torch.where(z > 1e-3, z, torch.nan)
        columns, rows, trusted = self._thermal.project(x / z, y / z)
        nowhere = ~trusted | z.isnan()
        return tuple(one.masked_fill(nowhere, torch.nan) for one in (columns, rows, z))
