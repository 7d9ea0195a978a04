"""Bags in and out, as messages or as their CDR bytes; with cdr.py all that knows rosbags."""

from collections.abc import Collection, Iterator
import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
import tempfile
from types import TracebackType
from typing import Any

from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation.cdr import (
    COMPRESSED_IMAGE,
    IMAGE,
    image_from_cdr,
    image_to_cdr,
    STORE,
)
from ir_vis_fusion.evaluation.topics import ImageTopic
from ir_vis_fusion.types import CompressedImage, RawImage
from rosbags import rosbag1, rosbag2
from rosbags.interfaces import (
    Connection,
    MessageDefinitionFormat,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.typesys import get_types_from_msg, get_typestore, Stores, TypesysError
from rosbags.typesys.store import Typestore

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
_LATCHED = _RELIABLE._replace(depth=1, durability=QosDurability.TRANSIENT_LOCAL)
_NO_HASH = 'RIHS01_' + 64 * '0'


@dataclass(frozen=True)
class Topic:
    """How a topic is written: ``definition`` and ``digest`` of its type, and what QoS it had."""

    msgtype: str
    definition: str
    digest: str
    qos: tuple[Qos, ...] = (_RELIABLE,)


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
        # Apart from the shared one where a ROS 1 bag has types of its own.
        self._store = STORE
        self._described = {topic: self._describe(topic) for topic in self.topics}
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

    def topic(self, name: str) -> Topic | None:
        """
        Return what a copy of a topic needs; the QoS is the one recorded.

        None where ROS 2 cannot hold it: a ROS 1 type whose fields differ from those of the ROS 2
        type of that name, or whose definition cannot be read.
        """
        return self._described[name]

    def messages(self, topics: Collection[str]) -> Iterator[tuple[str, int, memoryview]]:
        """Yield (topic, time of recording, CDR bytes) in order; ROS 1 messages are converted."""
        chosen = [x for x in self._reader.connections if x.topic in topics]
        if not chosen:
            return
        with self._translated():
            for connection, stamp_ns, data in self._reader.messages(chosen):
                if self._is_ros1:
                    data = self._store.ros1_to_cdr(data, connection.msgtype)
                yield connection.topic, stamp_ns, memoryview(data)

    def images(self, topics: Collection[str]) -> Iterator[tuple[str, RawImage | CompressedImage]]:
        """
        Yield (topic, image) in the order of recording; the image has its header's stamp.

        Where that is 0, not set, it is stamped with the time of recording.
        """
        for topic, recorded_ns, data in self.messages(topics):
            image = image_from_cdr(data, self.topics[topic])
            yield topic, image if image.stamp_ns else replace(image, stamp_ns=recorded_ns)

    def _describe(self, name: str) -> Topic | None:
        connection = next(x for x in self._reader.connections if x.topic == name)
        if self._is_ros1:
            return self._describe_ros1(connection)
        qos = tuple(connection.ext.offered_qos_profiles) or (_RELIABLE,)
        definition = connection.msgdef.data
        if connection.msgdef.format is MessageDefinitionFormat.NONE:
            if connection.msgtype in STORE.fielddefs:
                return Topic(connection.msgtype, *_known(STORE, connection.msgtype), qos)
            definition = ''
        return Topic(connection.msgtype, definition, connection.digest or _NO_HASH, qos)

    def _describe_ros1(self, connection: Connection) -> Topic | None:
        try:
            found = get_types_from_msg(connection.msgdef.data, connection.msgtype)
            # Its seq is left out on the way to ROS 2.
            found.pop('std_msgs/msg/Header', None)
            known = self._store.fielddefs
            if any(_fields(found[name]) != _fields(known[name]) for name in found.keys() & known):
                return None
            if new := {name: found[name] for name in found.keys() - known}:
                if self._store is STORE:
                    self._store = get_typestore(Stores.ROS2_HUMBLE)
                self._store.register(new)
            qos = (_LATCHED if connection.ext.latching else _RELIABLE,)
            return Topic(connection.msgtype, *_known(self._store, connection.msgtype), qos)
        except (TypesysError, KeyError, ValueError):
            return None

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

    def add_topic(self, name: str, topic: Topic) -> None:
        """Add a topic, with or without messages."""
        self._connections[name] = self._writer.add_connection(
            name,
            topic.msgtype,
            msgdef=topic.definition,
            rihs01=topic.digest,
            offered_qos_profiles=topic.qos,
        )

    def write(self, topic: str, msgtype: str, stamp_ns: int, data: bytes | memoryview) -> None:
        """Append a message as CDR bytes; a new topic, of a type of ROS 2, is added reliable."""
        if topic not in self._connections:
            self.add_topic(topic, Topic(msgtype, *_known(STORE, msgtype)))
        self._writer.write(self._connections[topic], stamp_ns, data)

    def write_image(self, topic: str, image: RawImage | CompressedImage) -> None:
        """Append an image at the time of its stamp."""
        msgtype = IMAGE if isinstance(image, RawImage) else COMPRESSED_IMAGE
        self.write(topic, msgtype, image.stamp_ns, image_to_cdr(image))


def _known(store: Typestore, msgtype: str) -> tuple[str, str]:
    """Return definition and digest in ROS 2 of a type in a store."""
    return store.generate_msgdef(msgtype, ros_version=2)[0], store.hash_rihs01(msgtype)


def _fields(fielddefs: tuple[Any, Any]) -> list[tuple[str, Any]]:
    """Return the fields of a type; ROS 2 has some of them in lower case."""
    return [(name.lower(), kind) for name, kind in fielddefs[1]]


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
