"""Bags in and out, as messages or as their CDR bytes; the only module that knows rosbags."""

from collections.abc import Collection, Iterator
import contextlib
from dataclasses import replace
from pathlib import Path
import struct
import tempfile
from types import TracebackType

from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation.topics import ImageTopic
from ir_vis_fusion.types import CompressedImage, RawImage
import numpy as np
from rosbags import rosbag1, rosbag2
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.serde import SerdeError
from rosbags.typesys import get_typestore, Stores

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
NANOSECONDS = 1_000_000_000

# The layout of images and camera infos is the same in all ROS 2 distributions, so one store
# serves every bag and the definitions inside a bag, however broken, are not needed.
_STORE = get_typestore(Stores.ROS2_HUMBLE)
_FOREVER = QosTime(9223372036, 854775807)
_RELIABLE = Qos(
    QosHistory.KEEP_LAST,
    10,
    QosReliability.RELIABLE,
    QosDurability.VOLATILE,
    _FOREVER,
    _FOREVER,
    QosLiveliness.AUTOMATIC,
    _FOREVER,
    False,
)


class BagReader:
    """
    A rosbag2 (folder, .mcap or .db3, compressed or not) or a ROS 1 .bag, as a context manager.

    ``topics`` maps every topic to its message type, ``counts`` to its number of messages;
    times are nanoseconds.

    Raises
    ------
    EvaluationError
        Where the bag, or later a message in it, cannot be read.

    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with self._translated():
            self._is_ros1 = self.path.suffix == '.bag'
            source = self.path if self._is_ros1 else _storage(self.path)
            self._reader = (rosbag1 if self._is_ros1 else rosbag2).Reader(source)

    def __enter__(self) -> 'BagReader':
        with self._translated():
            self._reader.open()
        connections = self._reader.connections
        self.topics = {connection.topic: connection.msgtype for connection in connections}
        self.counts = dict.fromkeys(self.topics, 0)
        for connection in connections:
            self.counts[connection.topic] += connection.msgcount
        self.start_ns = self._reader.start_time
        self.end_ns = self._reader.end_time
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reader.close()

    def image_topics(self) -> list[ImageTopic]:
        """List the topics that hold images, with the encoding of the first of each."""
        listing = []
        for topic, msgtype in self.topics.items():
            if msgtype in (IMAGE, COMPRESSED_IMAGE) and self.counts[topic]:
                first = next(image for _, image in self.images((topic,)))
                encoding = first.encoding if isinstance(first, RawImage) else first.format
                listing.append(ImageTopic(topic, msgtype, self.counts[topic], encoding))
        return listing

    def messages(self, topics: Collection[str]) -> Iterator[tuple[str, int, memoryview]]:
        """Yield (topic, time of recording, CDR bytes) in order; ROS 1 messages are converted."""
        chosen = [x for x in self._reader.connections if x.topic in topics]
        if not chosen:
            return
        with self._translated():
            for connection, stamp_ns, data in self._reader.messages(chosen):
                if self._is_ros1:
                    data = _STORE.ros1_to_cdr(data, connection.msgtype)
                yield connection.topic, stamp_ns, memoryview(data)

    def images(self, topics: Collection[str]) -> Iterator[tuple[str, RawImage | CompressedImage]]:
        """
        Yield (topic, image) in the order of recording; the image has its header's stamp.

        Where that is 0, not set, it is stamped with the time of recording.
        """
        for topic, recorded_ns, data in self.messages(topics):
            image = image_from_cdr(data, self.topics[topic])
            yield topic, image if image.stamp_ns else replace(image, stamp_ns=recorded_ns)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        # rosbags lets errors of its storages (apsw, zstd, struct, ...) through; a bag is a file
        # that a user gave, so whatever is wrong with it is told in one clean line.
        try:
            yield
        except EvaluationError:
            raise
        except Exception as error:  # noqa: BLE001
            raise EvaluationError(f'{str(self.path)!r}: not a readable bag: {error}') from None


class BagWriter:
    """
    Write one .mcap file that ``ros2 bag play`` and :class:`BagReader` read; a context manager.

    The file appears under its name when all is written, and not at all after an error.
    ``compress`` packs the chunks with zstd (about half the size of noisy images, at 5 ms a
    640x480 colour image).
    """

    def __init__(self, path: str | Path, compress: bool = False) -> None:
        self.path = Path(path)
        if self.path.suffix != '.mcap':
            raise EvaluationError(f'{str(path)!r}: a bag is written as .mcap, change the ending')
        self._compress = compress

    def __enter__(self) -> 'BagWriter':
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._folder = tempfile.TemporaryDirectory(dir=self.path.parent, prefix='.bag-')
        except OSError as error:
            raise EvaluationError(f'{str(self.path)!r}: cannot be written: {error}') from None
        # Version 8 tells QoS policies by number, which all distributions understand.
        self._writer = rosbag2.Writer(
            Path(self._folder.name, self.path.stem),
            version=8,
            storage_plugin=rosbag2.StoragePlugin.MCAP,
        )
        if self._compress:
            self._writer.set_compression(
                rosbag2.CompressionMode.STORAGE, rosbag2.CompressionFormat.ZSTD
            )
        self._writer.open()
        self._connections = {}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._folder:
            self._writer.__exit__(kind, error, trace)
            if kind is None:
                written = Path(self._folder.name, self.path.stem, self.path.stem + '.mcap')
                written.replace(self.path)

    def write(self, topic: str, msgtype: str, stamp_ns: int, data: bytes | memoryview) -> None:
        """Append a message as CDR bytes; a topic is added with its first message."""
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, msgtype, typestore=_STORE, offered_qos_profiles=(_RELIABLE,)
            )
        self._writer.write(self._connections[topic], stamp_ns, data)

    def write_image(self, topic: str, image: RawImage | CompressedImage) -> None:
        """Append an image at the time of its stamp."""
        msgtype = IMAGE if isinstance(image, RawImage) else COMPRESSED_IMAGE
        self.write(topic, msgtype, image.stamp_ns, image_to_cdr(image))


def _storage(path: Path) -> Path:
    """Return what rosbags opens: a folder with metadata, else the one storage file in it."""
    if not path.is_dir() or (path / 'metadata.yaml').exists():
        return path
    files = [file for file in path.iterdir() if file.suffix in ('.mcap', '.db3')]
    if len(files) != 1:
        raise EvaluationError(
            f'{str(path)!r}: no metadata.yaml and {len(files)} .mcap or .db3 files, expected a '
            'bag; "ros2 bag reindex" restores the metadata'
        )
    return files[0]
