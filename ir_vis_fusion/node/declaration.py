"""The parameter table as rclpy parameters."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ir_vis_fusion.config import flatten, Parameter, unflatten, unknown_name
from ir_vis_fusion.errors import ConfigError
from ir_vis_fusion.node.parameters import NodeSettings, TABLE
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

_CHANGEABLE = 'may change while the node runs'
_FIXED = 'read when the node is configured: clean up and configure it again, or restart it'
# Descriptors know no one-sided ranges.
_UNBOUNDED = 2**31 - 1
_OVERRIDES = 'qos_overrides.'


def declare_settings(node: Node) -> NodeSettings:
    """
    Declare all parameters, with the values from files and the command line.

    Unknown names are warned of: rclpy takes them silently, and a mistyped name in a parameter
    file would leave the default in force without a word.

    Raises
    ------
    ConfigError
        With every wrong type and value at once.

    """
    # rclpy has no public list of what was given for parameters that nobody declared.
    given = {name: value.value for name, value in node._parameter_overrides.items()}
    for name in given:
        # Those that rclpy declares itself (use_sim_time) are there already.
        known = name in TABLE or node.has_parameter(name) or name.startswith(_OVERRIDES)
        if not known:
            node.get_logger().warning(f'ignored: {unknown_name(name, TABLE)}')
    settings = unflatten(NodeSettings, {name: given[name] for name in given if name in TABLE})
    for name, value in flatten(settings).items():
        # The override was checked and turned into the right type above; rclpy itself would
        # refuse 20 for 20.0 with an exception that does not say what to do.
        node.declare_parameter(name, value, descriptor(TABLE[name]), ignore_override=True)
    return settings


@contextmanager
def checked_overrides(node: Node) -> Iterator[None]:
    """
    Say which QoS override is wrong, where rclpy finds out: when it makes a publisher.

    Raises
    ------
    ConfigError
        In place of the several exceptions of rclpy.

    """
    try:
        yield
    except (ParameterException, RuntimeError) as error:
        if not node.context.ok():
            raise
        raise ConfigError(f'wrong value of a {_OVERRIDES}* parameter: {error}') from error


def warn_of_unknown_overrides(node: Node, expected: Iterable[str]) -> None:
    """Name QoS overrides that were given and have no effect; ``expected`` will be declared."""
    declared = node.get_parameters_by_prefix('qos_overrides')
    known = {*expected, *(f'{_OVERRIDES}{name}' for name in declared)}
    for name in node._parameter_overrides:
        if not name.startswith(_OVERRIDES) or name in known:
            continue
        if name.endswith('.subscription.reliability'):
            remedy = f'{name!r} is no parameter, set qos.reliability, which is for both inputs'
        else:
            remedy = unknown_name(name, known)
        node.get_logger().warning(f'ignored: {remedy}')


def descriptor(row: Parameter) -> ParameterDescriptor:
    """Turn a row of the parameter table into what ``ros2 param describe`` shows."""
    message = ParameterDescriptor(
        name=row.name,
        description=row.description + (f' [{row.unit}]' if row.unit else ''),
        additional_constraints=_CHANGEABLE if row.live else _FIXED,
        # rclpy would refuse `ros2 param set /fusion_node strength 1`: an integer.
        dynamic_typing=row.type is float,
    )
    if row.choices:
        message.additional_constraints += f'; one of {", ".join(row.choices)}'
    if row.minimum is not None or row.maximum is not None:
        kind = IntegerRange if row.type is int else FloatingPointRange
        low = -_UNBOUNDED if row.minimum is None else row.minimum
        high = _UNBOUNDED if row.maximum is None else row.maximum
        span = kind(from_value=row.type(low), to_value=row.type(high))
        setattr(message, f'{"integer" if row.type is int else "floating_point"}_range', [span])
    return message


def changed_settings(
    settings: NodeSettings, parameters: Iterable[RosParameter], configured: bool
) -> NodeSettings:
    """
    Return the settings after a change by ``ros2 param set`` or a client.

    Raises
    ------
    ConfigError
        Where a value is wrong, or is fixed while the node is configured.

    """
    values = {
        parameter.name: parameter.value for parameter in parameters if parameter.name in TABLE
    }
    if configured:
        fixed = [name for name in values if not TABLE[name].live]
        if fixed:
            raise ConfigError(f'{", ".join(fixed)}: {_FIXED}')
    return unflatten(NodeSettings, flatten(settings) | values)
