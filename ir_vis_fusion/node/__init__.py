"""The ROS 2 side: the only room that knows rclpy and messages."""
