"""Folders of fused images that know what made them, so that nothing else is mixed in."""

from collections.abc import Mapping
import hashlib
import json
from pathlib import Path
from typing import Any

from ir_vis_fusion import __version__
from ir_vis_fusion.config import flatten, FrameSettings
from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation.image_sets import Pairs
from ir_vis_fusion.evaluation.sources import IMAGE_SUFFIXES
from ir_vis_fusion.predictor import FusionPredictor
from ir_vis_fusion.preprocessing.encodings import read_image, write_image
from ir_vis_fusion.types import FramePair, Role
from tqdm import tqdm

RECORD = 'configuration.json'
# Where they name or place what the hashes and the device identify, or change no pixel.
LEFT_OUT = ('model', 'device', 'cpu_threads', 'guidance.clip.file', 'guidance.bank')


def fuse_set(
    predictor: FusionPredictor,
    frame_settings: FrameSettings,
    pairs: Pairs,
    folder: Path,
    overwrite: bool = False,
) -> dict[str, Any]:
    """
    Fuse every pair by itself into ``folder``/STEM.png; returns the configuration beside them.

    Images that the same configuration made, and that are newer than their sources, are kept.

    Raises
    ------
    EvaluationError
        Where the folder holds images of another configuration and ``overwrite`` is not set, or
        images that this package did not make.

    """
    configuration = _configuration(predictor, frame_settings) | _folders(pairs)
    _prepare(folder, configuration, overwrite)
    targets = {stem: folder / f'{stem}.png' for stem in pairs}
    wanted = [stem for stem in pairs if not _is_made(targets[stem], pairs[stem])]
    for stem in tqdm(wanted, unit='pair', desc=f'fusing {folder.name}', disable=None):
        thermal, visible = pairs[stem]
        frames = FramePair(read_image(thermal, Role.THERMAL), read_image(visible, Role.VISIBLE))
        predictor.reset()
        image = predictor.predict(frames, frame_settings).image
        # An image that is there is a whole one, even after Ctrl-C.
        partial = folder / f'.{stem}.png'
        write_image(partial, image)
        partial.replace(targets[stem])
    return configuration


def _configuration(predictor: FusionPredictor, frame_settings: FrameSettings) -> dict[str, Any]:
    settings = predictor.settings
    values = {name: value for name, value in flatten(settings).items() if name not in LEFT_OUT}
    files = (settings.guidance.clip.file, settings.guidance.bank.partition('#')[0])
    return {
        'version': __version__,
        'network': predictor.network.name,
        'sha256': predictor.network.sha256,
        'device': predictor.device.type,
        'settings': values | flatten(frame_settings),
        'clip_sha256': _sha256(files[0]),
        'bank_sha256': _sha256(files[1]),
        'bank_tensor': settings.guidance.bank.partition('#')[2],
    }


def _folders(pairs: Pairs) -> dict[str, str]:
    thermal, visible = (path.parent.resolve() for path in next(iter(pairs.values())))
    return {'thermal': str(thermal), 'visible': str(visible)}


def _sha256(path: str) -> str:
    if not path:
        return ''
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def _prepare(folder: Path, configuration: Mapping[str, Any], overwrite: bool) -> None:
    """Make the folder, or see that what is in it fits."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        images = [file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES]
        record = folder / RECORD
        if images and not record.is_file():
            raise EvaluationError(
                f'{str(folder)!r}: holds images that ivf evaluate did not make; name another '
                '--out, or measure them with --fused'
            )
        before = json.loads(record.read_text()) if images else configuration
        if before != configuration:
            if not overwrite:
                raise EvaluationError(
                    f'{str(folder)!r}: holds images of another configuration '
                    f'({_difference(before, configuration)}); name another --out, or give '
                    '--overwrite to delete them'
                )
            for image in images:
                image.unlink()
        record.write_text(json.dumps(configuration, indent=1) + '\n')
    except OSError as error:
        raise EvaluationError(f'{str(folder)!r}: cannot be used: {error}') from None
    except ValueError:
        raise EvaluationError(f'{str(record)!r}: damaged; delete the folder') from None


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Name the first entry that differs, nested ones with a dot."""
    for name, value in now.items():
        other = before.get(name)
        if value == other:
            continue
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            return f'{name}.{_difference(other, value)}'
        return f'{name} was {_short(other)}, is {_short(value)}'
    return 'it has other entries'


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f'{text[:13]}...'


def _is_made(target: Path, sources: tuple[Path, Path]) -> bool:
    if not target.is_file():
        return False
    return all(target.stat().st_mtime >= source.stat().st_mtime for source in sources)
