"""``~/save_snapshot``: what is published now and what it was made from, as files."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ir_vis_fusion.errors import FusionError
from ir_vis_fusion.node.snapshot_files import Picture, save_picture, snapshot_folder
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger


class SnapshotService:
    """
    Serve ``~/save_snapshot``; files are written in a thread of its own.

    Parameters
    ----------
    node
        Offers the service.
    take
        Returns the last picture that was published, None before the first, and the facts that
        are to stand beside it.
    folder
        Returns where to put it.

    """

    def __init__(
        self,
        node: Node,
        take: Callable[[], tuple[Picture | None, Mapping[str, Any]]],
        folder: Callable[[], str],
    ) -> None:
        self._node = node
        self._take = take
        self._folder = folder
        self._busy = False
        self._writer = ThreadPoolExecutor(1, 'snapshot')
        # In the node's own group everything else would wait as long as the answer does.
        apart = ReentrantCallbackGroup()
        node.create_service(Trigger, '~/save_snapshot', self._serve, callback_group=apart)

    def close(self) -> None:
        """Wait for what is being written."""
        self._writer.shutdown()

    async def _serve(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        response.success, response.message = False, ''
        picture, facts = self._take()
        if picture is None:
            response.message = 'nothing was published yet'
        elif self._busy:
            response.message = 'another snapshot is being written'
        else:
            self._busy = True
            done = Future(executor=self._node.executor)
            self._writer.submit(self._write, picture, facts, done)
            response.success, response.message = await done
            self._busy = False
        return response

    def _write(self, picture: Picture, facts: Mapping[str, Any], done: Future) -> None:
        try:
            path = save_picture(snapshot_folder(self._folder()), picture, facts)
        except (FusionError, OSError) as error:
            done.set_result((False, str(error)))
        else:
            done.set_result((True, str(path)))
