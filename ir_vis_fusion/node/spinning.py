"""Run the fusion node in an executor until it is told to stop."""

from collections.abc import Sequence
import socket
import sys
import threading

from ir_vis_fusion.errors import ConfigError
from ir_vis_fusion.node.fusion_node import FusionNode
import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.signals import SignalHandlerOptions


def run(arguments: Sequence[str] | None, signals: socket.socket) -> int:
    """Spin until ``signals`` becomes readable; return the exit code, 0 for a clean stop."""
    try:
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # RCLError: wrong ROS arguments or parameter file
        sys.stderr.write(f'fusion_node: unknown or wrong ROS arguments: {error}\n')
        return 1
    threading.Thread(target=_shut_down_on, args=(signals,), daemon=True).start()
    node = None
    try:
        node = FusionNode()
        if not node.start():
            return 1 if rclpy.ok() else 0
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        executor.spin()
    except (ConfigError, ParameterException) as error:  # the latter of use_sim_time
        get_logger('fusion_node').error(str(error))
        return 1
    except ExternalShutdownException:
        pass
    except Exception:
        # A signal may come at any point, and what rclpy then raises depends on that point.
        if rclpy.ok():
            raise
    finally:
        if node is not None:
            node.close()
        rclpy.try_shutdown()
    return 0


def _shut_down_on(signals: socket.socket) -> None:
    signals.recv(1)
    rclpy.try_shutdown()
