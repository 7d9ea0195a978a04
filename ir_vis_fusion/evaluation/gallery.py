"""The pictures of a report: a grid of pairs, each with a slider from infrared to fused."""

from collections.abc import Mapping, Sequence
from typing import Any

from ir_vis_fusion.evaluation.image_sets import Pairs
from ir_vis_fusion.evaluation.methods import Method
from ir_vis_fusion.evaluation.report import MOST_PICTURES, picture
from tqdm import tqdm

SOURCES = ('infrared', 'visible')
# On a page a camera is called what users call it.
LABELS = {'infrared': 'thermal'}

METHOD_CHOICE = '<label>fused by <select class="method"></select></label>'


def gallery(count: int, total: int, more: str = '') -> str:
    """Return the grid of ``count`` of ``total`` pairs; ``more`` goes beside its controls."""
    some = f'{count} of {total} pairs are shown. ' if count < total else ''
    return f"""<p class="hint">{some}The slider moves from thermal over visible to fused; drag
across a picture to move it there alone.</p>
<div class="controls sticky">{METHOD_CHOICE}
<label>thermal <input id="position" type="range" min="0" max="2" step="0.01"> fused</label>
{more}</div>
<div id="gallery" class="cards"></div>
"""


def shown(methods: Mapping[str, Method]) -> list[str]:
    """Return the methods to look at: those that are compared, then trivial ways of fusion."""
    names = [name for name in methods if name not in SOURCES]
    return sorted(names, key=lambda name: methods[name].kind == 'trivial')


def most_pairs(methods: Mapping[str, Method]) -> int:
    """Return of how many pairs a page shows pictures, for its size."""
    return max(1, MOST_PICTURES // (len(shown(methods)) + len(SOURCES)))


def gallery_data(
    pairs: Pairs, stems: Sequence[str], methods: Mapping[str, Method]
) -> dict[str, Any]:
    """Draw every method's picture of some pairs; returns what the script needs."""
    names = shown(methods)
    pictures: dict[str, dict[str, str]] = {}
    sizes: dict[str, list[int]] = {}
    for stem in tqdm(stems, unit='pair', desc='drawing', disable=None):
        images = {name: methods[name].picture(stem, *pairs[stem]) for name in (*SOURCES, *names)}
        height, width = images['visible'].shape[:2]
        sizes[stem] = [width, height]
        pictures[stem] = {name: picture(image) for name, image in images.items()}
    return {
        'sources': SOURCES,
        'labels': LABELS,
        'methods': names,
        'pictures': pictures,
        'sizes': sizes,
    }


def evenly(stems: Sequence[str], count: int) -> list[str]:
    """Take at most ``count`` of them from begin to end."""
    if len(stems) <= count:
        return list(stems)
    return [stems[at * len(stems) // count] for at in range(count)]
