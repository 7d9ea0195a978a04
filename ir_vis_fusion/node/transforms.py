"""Where frames are to each other: what of TF this package needs; ROS-free."""

from collections import deque
from typing import Any

from ir_vis_fusion.preprocessing.geometry import Transform
import numpy as np


class TransformTree:
    """Collect transforms between frames and find the way from one to another."""

    def __init__(self) -> None:
        self._edges: dict[tuple[str, str], np.ndarray] = {}

    def add(self, stamped: Any) -> None:
        """Take a geometry_msgs/TransformStamped; one that is no rotation is left out."""
        q, t = stamped.transform.rotation, stamped.transform.translation
        x, y, z, w = (q.x, q.y, q.z, q.w)
        length = x * x + y * y + z * z + w * w
        matrix = np.eye(4)
        matrix[:3, 3] = t.x, t.y, t.z
        if not (np.isfinite(matrix).all() and np.isfinite(length) and length > 1e-6):
            return
        # Of a quaternion of any length; X_parent = R X_child + t.
        s = 2 / length
        matrix[:3, :3] = [
            [1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
            [s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)],
            [s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)],
        ]
        parent, child = (
            name.removeprefix('/') for name in (stamped.header.frame_id, stamped.child_frame_id)
        )
        self._edges[child, parent] = matrix
        self._edges[parent, child] = np.linalg.inv(matrix)

    def find(self, source: str, target: str) -> Transform | None:
        """Return X_target = R X_source + t, None where no chain of transforms connects them."""
        source, target = source.removeprefix('/'), target.removeprefix('/')
        reached, waiting = {source: np.eye(4)}, deque([source])
        while waiting and target not in reached:
            here = waiting.popleft()
            for (start, end), matrix in self._edges.items():
                if start == here and end not in reached:
                    reached[end] = matrix @ reached[here]
                    waiting.append(end)
        if target not in reached:
            return None
        found = reached[target]
        return Transform(tuple(found[:3, :3].ravel().tolist()), tuple(found[:3, 3].tolist()))
