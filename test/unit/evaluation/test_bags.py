"""Bags: what is written in any format comes back, and the right topics are found."""

from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation import bags, cdr
from ir_vis_fusion.types import CompressedImage, RawImage
import numpy as np
import pytest
from rosbags import rosbag1, rosbag2
from rosbags.typesys import get_typestore, Stores

STAMP_NS = 1_700_000_000_123_456_789


def thermal_image(index=0):
    data = (np.arange(12, dtype='<u2') + 1000 * index).tobytes()
    return RawImage(3, 4, 'mono16', False, 8, data, STAMP_NS + index * 10**7, 'thermal_optical')


def contents(path):
    """Return (topic, fields of the image) of all images in a bag."""
    with bags.BagReader(path) as bag:
        names = [topic.name for topic in bag.image_topics()]
        return [(topic, fields(image)) for topic, image in bag.images(names)]


def fields(image):
    return {name: bytes(v) if name == 'data' else v for name, v in vars(image).items()}


def expected(count):
    return [('/thermal/image_raw', fields(thermal_image(index))) for index in range(count)]


@pytest.mark.parametrize('compress', [False, True])
def test_images_written_as_mcap_come_back(tmp_path, compress):
    with bags.BagWriter(tmp_path / 'a.mcap', compress) as bag:
        for index in range(3):
            bag.write_image('/thermal/image_raw', thermal_image(index))
    assert contents(tmp_path / 'a.mcap') == expected(3)
    assert [path.name for path in tmp_path.iterdir()] == ['a.mcap']


def test_a_compressed_image_comes_back(tmp_path):
    image = CompressedImage('mono16; png compressed ', b'not really a png', STAMP_NS, 'cam')
    with bags.BagWriter(tmp_path / 'a.mcap') as bag:
        bag.write_image('/thermal/compressed', image)
    assert contents(tmp_path / 'a.mcap') == [('/thermal/compressed', fields(image))]


@pytest.mark.parametrize('storage', ['MCAP', 'SQLITE3'])
@pytest.mark.parametrize('compression', ['NONE', 'FILE', 'MESSAGE'])
def test_rosbag2_folders_are_read(tmp_path, storage, compression):
    write_folder(tmp_path / 'bag', storage, compression)
    assert contents(tmp_path / 'bag') == expected(2)


@pytest.mark.parametrize('storage', ['MCAP', 'SQLITE3'])
def test_a_folder_without_metadata_and_a_bare_file_are_read(tmp_path, storage):
    write_folder(tmp_path / 'bag', storage, 'NONE')
    (tmp_path / 'bag' / 'metadata.yaml').unlink()
    assert contents(tmp_path / 'bag') == expected(2)
    assert contents(next((tmp_path / 'bag').iterdir())) == expected(2)


def write_folder(path, storage, compression):
    store = get_typestore(Stores.ROS2_JAZZY)
    writer = rosbag2.Writer(path, version=9, storage_plugin=rosbag2.StoragePlugin[storage])
    writer.set_compression(rosbag2.CompressionMode[compression], rosbag2.CompressionFormat.ZSTD)
    with writer:
        topic = writer.add_connection('/thermal/image_raw', cdr.IMAGE, typestore=store)
        for index in range(2):
            image = thermal_image(index)
            writer.write(topic, image.stamp_ns, cdr.image_to_cdr(image))


def test_a_ros1_bag_is_read_and_its_messages_become_cdr(tmp_path):
    store = get_typestore(Stores.ROS1_NOETIC)
    types = store.types
    with rosbag1.Writer(tmp_path / 'a.bag') as writer:
        topic = writer.add_connection('/thermal/image_raw', cdr.IMAGE, typestore=store)
        for index in range(2):
            image = thermal_image(index)
            stamp = types['builtin_interfaces/msg/Time'](*divmod(image.stamp_ns, 10**9))
            header = types['std_msgs/msg/Header'](index, stamp, image.frame_id)
            data = np.frombuffer(image.data, np.uint8)
            message = types[cdr.IMAGE](header, 3, 4, 'mono16', 0, 8, data)
            raw = store.serialize_ros1(message, cdr.IMAGE)
            writer.write(topic, image.stamp_ns, raw)
    assert contents(tmp_path / 'a.bag') == expected(2)
    with bags.BagReader(tmp_path / 'a.bag') as bag:
        raw = [bytes(data) for _, _, data in bag.messages(['/thermal/image_raw'])]
    assert raw == [bytes(cdr.image_to_cdr(thermal_image(index))) for index in range(2)]


def test_a_camera_info_keeps_its_matrix(tmp_path):
    matrix = np.array([[520.0, 0, 320], [0, 520, 240], [0, 0, 1]])
    data = cdr.camera_info_to_cdr(STAMP_NS, 'cam', 480, 640, matrix)
    message = get_typestore(Stores.ROS2_JAZZY).deserialize_cdr(data, cdr.CAMERA_INFO)
    assert (message.height, message.width) == (480, 640)
    assert np.array_equal(message.k.reshape(3, 3), matrix)
    assert np.array_equal(message.p.reshape(3, 4)[:, :3], matrix)


def test_a_stamp_is_read_and_replaced_in_the_bytes_alone():
    data = bytes(cdr.image_to_cdr(thermal_image()))
    changed = cdr.restamped(data, STAMP_NS + 1)
    assert cdr.header_stamp(data) == STAMP_NS
    assert cdr.header_stamp(changed) == STAMP_NS + 1
    assert (changed[:4], changed[12:]) == (data[:4], data[12:])


def test_a_stamp_in_big_endian_bytes_is_understood():
    data = bytes.fromhex('00000000') + (7).to_bytes(4, 'big') + (9).to_bytes(4, 'big')
    assert cdr.header_stamp(data) == 7 * 10**9 + 9
    assert cdr.header_stamp(cdr.restamped(data, 5)) == 5


def test_an_error_while_writing_leaves_nothing(tmp_path):
    def write_and_stop():
        with bags.BagWriter(tmp_path / 'a.mcap') as bag:
            bag.write_image('/thermal/image_raw', thermal_image())
            raise RuntimeError('stop')

    with pytest.raises(RuntimeError, match='stop'):
        write_and_stop()
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_bag_is_named(tmp_path):
    for name in ('a.mcap', 'a.db3', 'a.bag', 'a.txt'):
        (tmp_path / name).write_bytes(b'no bag at all, really not')
        with pytest.raises(EvaluationError, match=f'{name}.: not a readable bag'):
            contents(tmp_path / name)
    with pytest.raises(EvaluationError, match='missing.: not a readable bag'):
        bags.BagReader(tmp_path / 'missing')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(EvaluationError, match=r'no metadata.yaml and 0 .mcap or .db3 files'):
        bags.BagReader(tmp_path / 'empty')


def test_a_cut_off_bag_is_named(tmp_path):
    with bags.BagWriter(tmp_path / 'a.mcap') as bag:
        for index in range(3):
            bag.write_image('/thermal/image_raw', thermal_image(index))
    whole = (tmp_path / 'a.mcap').read_bytes()
    (tmp_path / 'a.mcap').write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EvaluationError, match='not a readable bag'):
        contents(tmp_path / 'a.mcap')


def test_a_damaged_image_message_is_named():
    data = bytes(cdr.image_to_cdr(thermal_image()))
    with pytest.raises(EvaluationError, match='damaged sensor_msgs/msg/Image message'):
        cdr.image_from_cdr(memoryview(data[:40]), cdr.IMAGE)


def test_only_mcap_is_written():
    with pytest.raises(EvaluationError, match=r"'a.db3': a bag is written as .mcap"):
        bags.BagWriter('a.db3')


def test_a_topic_of_a_type_without_definition_is_copied_as_bytes(tmp_path):
    store = get_typestore(Stores.ROS2_HUMBLE)
    with rosbag2.Writer(
        tmp_path / 'in', version=8, storage_plugin=rosbag2.StoragePlugin.SQLITE3
    ) as writer:
        qos = bags._LATCHED._replace(depth=3)
        topic = writer.add_connection(
            '/odd', 'robot/msg/Odd', msgdef='', rihs01='RIHS01_1', offered_qos_profiles=(qos,)
        )
        writer.write(topic, STAMP_NS, b'\0\1\0\0odd')
    with bags.BagReader(tmp_path / 'in') as source, bags.BagWriter(tmp_path / 'a.mcap') as copy:
        copy.add_topic('/odd', source.topic('/odd'))
        copy.add_topic('/never', bags.Topic(cdr.IMAGE, *bags._known(store, cdr.IMAGE)))
        for name, at_ns, data in source.messages(['/odd']):
            copy.write(name, source.topics[name], at_ns, data)
    with bags.BagReader(tmp_path / 'a.mcap') as bag:
        assert bag.counts == {'/odd': 1, '/never': 0}
        assert bag.topics['/odd'] == 'robot/msg/Odd'
        assert bag.topic('/odd').qos == (qos,)
        assert [(at, bytes(x)) for _, at, x in bag.messages(['/odd'])] == [
            (STAMP_NS, b'\0\1\0\0odd')
        ]
