"""
Wait until a lifecycle node is active: ``python -m ir_vis_fusion.node.await_active /fusion_node``.

For launch files: what a bag plays before is lost.
"""

import argparse
import sys
import time

from ir_vis_fusion.node.stopping import StopFlag
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
import rclpy
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

POLL_S = 0.2


def main(arguments: list[str] | None = None) -> int:
    """Return 0 when the node is active, 1 if it is not within the time."""
    arguments = sys.argv if arguments is None else ['await_active', *arguments]
    options = _parser().parse_args(remove_ros_args(arguments)[1:])
    stop = StopFlag().set_by_signals()
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    try:
        if _active(options.node, options.timeout_s, stop):
            return 0
    finally:
        rclpy.try_shutdown()
    if not stop:
        print(  # noqa: T201
            f'await_active: {options.node} is not active after {options.timeout_s:g} s; does it '
            'run in this ROS domain, and is autostart true?',
            file=sys.stderr,
        )
    return 1


def _active(name: str, timeout_s: float, stop: StopFlag) -> bool:
    node = rclpy.create_node('await_active')
    client = node.create_client(GetState, f'{name}/get_state')
    deadline = time.monotonic() + timeout_s
    while not stop and time.monotonic() < deadline:
        # Asked anew each time, for an answer may be lost while the two find each other.
        if client.wait_for_service(POLL_S):
            answer = client.call_async(GetState.Request())
            rclpy.spin_until_future_complete(node, answer, timeout_sec=POLL_S)
            found = answer.result() if answer.done() else None
            if found and found.current_state.id == State.PRIMARY_STATE_ACTIVE:
                return True
            stop.wait(POLL_S)
    return False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='await_active', description=__doc__.splitlines()[1])
    parser.add_argument('node', help='full name of the node')
    parser.add_argument('--timeout-s', type=float, default=120.0, help='how long to wait')
    return parser


if __name__ == '__main__':
    sys.exit(main())
