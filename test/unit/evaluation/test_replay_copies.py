"""Replay of a ROS 1 bag with all its topics: types, times and QoS are kept."""

from ir_vis_fusion.checkpoint import shipped
from ir_vis_fusion.evaluation import bags, cdr
from ir_vis_fusion.evaluation.replay import replay, ReplaySettings, ReplayTopics
import pytest
from rosbags import rosbag1
from rosbags.interfaces import QosDurability
from rosbags.typesys import get_types_from_msg, get_typestore, Stores

pytestmark = pytest.mark.skipif(not shipped(), reason='no weights are shipped')

THERMAL, VISIBLE = '/boson/image_raw', '/camera/image_raw'
STRING = 'std_msgs/msg/String'


def test_all_topics_are_copied_with_type_times_and_qos(cameras, tmp_path):
    store, ros2 = get_typestore(Stores.ROS1_NOETIC), get_typestore(Stores.ROS2_HUMBLE)
    store.register(get_types_from_msg('float32 volts\nHeader header\n', 'robot/msg/Battery'))
    types = store.types
    stamp = types['builtin_interfaces/msg/Time'](1_700_000_000, 5)
    header = types['std_msgs/msg/Header'](7, stamp, 'base')
    with rosbag1.Writer(tmp_path / 'in.bag') as writer:
        add = writer.add_connection
        battery = add('/battery', 'robot/msg/Battery', typestore=store)
        static = add('/description', STRING, typestore=store, latching=1)
        add('/odd', 'sensor_msgs/msg/BatteryState', msgdef='float32 volts', md5sum='0' * 32)
        image_topics = {t: add(t, cdr.IMAGE, typestore=store) for t in (THERMAL, VISIBLE)}
        message = types['robot/msg/Battery'](12.5, header)
        raw = store.serialize_ros1(message, 'robot/msg/Battery')
        writer.write(battery, cameras.stamp(0), raw)
        writer.write(
            static, cameras.stamp(0), store.serialize_ros1(types[STRING]('a robot'), STRING)
        )
        for at, topic, image in cameras.frames(3):
            data = ros2.cdr_to_ros1(cdr.image_to_cdr(image), cdr.IMAGE)
            writer.write(image_topics[topic], at, data)
    settings = ReplaySettings(cpu_threads=1)
    paths = (tmp_path / 'in.bag', tmp_path / 'out.mcap')
    report = replay(*paths, settings, ReplayTopics(), all_topics=True, quiet=True).report
    # Its type is not what ROS 2 has under that name, so its bytes would be misread.
    assert report['topics']['left_out'] == ['/odd']
    with bags.BagReader(tmp_path / 'out.mcap') as bag:
        assert bag.counts == {
            '/battery': 1,
            '/description': 1,
            THERMAL: 3,
            VISIBLE: 3,
            '/fused/image': 3,
        }
        latched = bag.topic('/description').qos[0]
        assert latched.durability is QosDurability.TRANSIENT_LOCAL
        described = bag.topic('/battery')
        ((_, at, data),) = bag.messages(['/battery'])
        copied = [image for _, image in bag.images([VISIBLE])]
    assert 'volts' in described.definition
    assert described.definition.index('volts') < described.definition.index('header')
    definition = 'float32 volts\nstd_msgs/Header header\n'
    ros2.register(get_types_from_msg(definition, 'robot/msg/Battery'))
    read = ros2.deserialize_cdr(data, 'robot/msg/Battery')
    assert (at, read.volts, read.header.frame_id) == (cameras.stamp(0), 12.5, 'base')
    assert bytes(copied[1].data) == cameras.visible_image(1, 0).data
