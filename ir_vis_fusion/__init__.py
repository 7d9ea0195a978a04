"""
Thermal and visible image fusion for robots.

Importing the package loads neither torch nor rclpy; import the room that is needed:
``ir_vis_fusion.predictor`` to fuse, ``ir_vis_fusion.synchronization`` to pair two streams.
"""

__version__ = '0.1.0'
