"""Two small cameras and what is fused of them."""

from types import SimpleNamespace

from ir_vis_fusion.types import RawImage
import numpy as np
import pytest

START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 33_333_333
THERMAL, VISIBLE = '/boson/image_raw', '/camera/image_raw'


def stamp(number):
    """Return the stamp of a visible image."""
    return START_NS + number * PERIOD_NS


def thermal_image(number, stamp_ns):
    pixels = np.full((40, 52), 29000, np.uint16) + np.arange(52, dtype=np.uint16) * 10
    pixels[10:20, number % 40 : number % 40 + 10] = 30800
    return RawImage(40, 52, 'mono16', False, 104, pixels.tobytes(), stamp_ns, 'thermal_frame')


def visible_image(number, stamp_ns):
    rows, columns = np.mgrid[:48, :64]
    pixels = np.stack([rows + number, columns + 2 * number, rows + columns], -1).astype(np.uint8)
    return RawImage(48, 64, 'rgb8', False, 192, pixels.tobytes(), stamp_ns, 'visible_frame')


def frames(count, thermal_every=1, first=0):
    """Return (recorded_ns, topic, image) of two cameras at 30 Hz, or thermal every n-th time."""
    sent = []
    for number in range(first, first + count):
        at_ns = stamp(number)
        if number % thermal_every == 0:
            sent.append((at_ns + 1_000_000, THERMAL, thermal_image(number, at_ns + 2_000_000)))
        sent.append((at_ns + 4_000_000, VISIBLE, visible_image(number, at_ns)))
    return sent


def write(path, sent):
    from ir_vis_fusion.evaluation import bags, cdr

    with bags.BagWriter(path) as bag:
        for recorded_ns, topic, image in sent:
            kind = cdr.IMAGE if isinstance(image, RawImage) else cdr.COMPRESSED_IMAGE
            bag.write(topic, kind, recorded_ns, cdr.image_to_cdr(image))
    return path


def run(folder, sent, settings=None, **options):
    """Replay ``in.mcap`` into ``out.mcap``; returns the report."""
    from ir_vis_fusion.evaluation.replay import replay, ReplaySettings, ReplayTopics

    bag, out = write(folder / 'in.mcap', sent), folder / 'out.mcap'
    settings = settings or ReplaySettings(cpu_threads=1)
    return replay(bag, out, settings, ReplayTopics(), quiet=True, **options).report


@pytest.fixture(scope='session')
def cameras():
    """Return what the tests of replays share; conftest itself cannot be imported."""
    return SimpleNamespace(
        PERIOD_NS=PERIOD_NS,
        stamp=stamp,
        thermal_image=thermal_image,
        visible_image=visible_image,
        frames=frames,
        write=write,
        run=run,
    )
