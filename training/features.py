"""
CLIP's features of the images at hand, kept on disk: ``python3 -m training cache-features``.

CLIP is frozen and the images are fixed, so that each image goes through the tower once. With
the file, networks that are guided by features train and validate where CLIP does not fit or
open_clip is not installed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
import hashlib
import json
from pathlib import Path

from ir_vis_fusion.backends.device import select_device
from ir_vis_fusion.config import ClipSettings, group, setting, Settings
from ir_vis_fusion.errors import GuidanceError
from ir_vis_fusion.guidance.clip import ImageTower, load_image_tower
from ir_vis_fusion.guidance.guide import TOP
from ir_vis_fusion.guidance.prompts import describe, EmbeddingBank
from ir_vis_fusion.preprocessing.color import to_rgb
from safetensors import safe_open, SafetensorError
from safetensors.torch import save
import torch
from torch import Tensor
from tqdm import tqdm
from training.chance import Chance
from training.datasets import data_folder, ImagePair, read_pairs, validation_sets

FILE = 'runs/features.safetensors'


@dataclass(frozen=True)
class FeatureSettings(Settings):
    """Where the features are and which CLIP makes those that are missing."""

    file: str = setting(FILE, 'features of images, as `cache-features` writes them')
    clip: ClipSettings = group(ClipSettings)


@dataclass(frozen=True)
class RecipeSettings(Settings):
    """What is cached."""

    train_sets: str = setting('roadscene/train.txt, m3svd_frames, m3svd_video@40', 'of training')
    validation_sets: str = setting('roadscene/val.txt, msrs_val', 'of validation')
    device: str = setting('auto', 'auto (CUDA where it is), cpu, cuda or cuda:N')
    features: FeatureSettings = group(FeatureSettings)


class FeatureCache:
    """
    An image tower that remembers, on disk, what it saw.

    Images are known by the content of their 8 bits, whatever file or frame they come from.
    Called as a tower: (B, 3 or 1, H, W) float in [0, 1] to unit features (B, E).

    Parameters
    ----------
    settings
        File and CLIP. The tower is loaded when the first image is missing.
    device
        Where the tower shall run.

    Raises
    ------
    GuidanceError
        Where the file is damaged or of another CLIP.

    """

    def __init__(self, settings: FeatureSettings, device: str | torch.device = 'cpu') -> None:
        self._settings = settings
        self._device = device
        self._path = Path(settings.file)
        self._tower: ImageTower | None = None
        # A tag or the name of a file; empty where the cache itself has to do.
        self._weights = settings.clip.pretrained or Path(settings.clip.file).name
        self._known = self._read()

    def __call__(self, images: Tensor) -> Tensor:
        """Return the features of images, on their device."""
        keys = [fingerprint(image) for image in images]
        for key, image in zip(keys, images, strict=True):
            if key not in self._known:
                self._known[key] = self._look(image)
        return torch.stack([self._known[key] for key in keys]).to(images.device)

    def of_pair(self, pair: ImagePair) -> tuple[Tensor, Tensor]:
        """Return the features of the visible and the thermal image of a pair, each (E,)."""
        images = (to_rgb(pair.visible, pair.encoding), pair.thermal[None, None] / 255)
        vis_features, ir_features = (self(image.cpu())[0] for image in images)
        return vis_features, ir_features

    def of_pairs(
        self, pairs: Iterable[ImagePair], length: int = 0, keep: bool = True
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """
        Return the features of pairs by their names, with a progress bar; save new ones.

        Parameters
        ----------
        pairs
            The pairs.
        length
            What the network takes, to be checked; 0: any.
        keep
            Save features that were not known.

        Raises
        ------
        GuidanceError
            Where a feature is missing and there is no CLIP, or the length is another.

        """
        known = len(self._known)
        bar = tqdm(list(pairs), desc='CLIP features', unit='pair', disable=None)
        features = {pair.name: self.of_pair(pair) for pair in bar}
        if keep and len(self._known) > known:
            self.save()
        found = next(iter(self._known.values())).numel()
        if length and found != length:
            raise GuidanceError(
                f'{self._settings.clip.name} gives features of {found} numbers, the network '
                f'takes {length}; set its length in the model.* settings to {found}'
            )
        return features

    def descriptions(
        self, pairs: Iterable[ImagePair], bank: str, length: int, keep: bool = True
    ) -> dict[str, Tensor]:
        """Return text features (E,) that describe pairs in the words of a bank, by their names."""
        names = EmbeddingBank.load(bank)
        top = min(TOP, len(names.names))
        found = self.of_pairs(pairs, length, keep)
        return {
            pair: describe(vis_features[None], names, top).text_features[0]
            for pair, (vis_features, _) in found.items()
        }

    def save(self) -> None:
        """Write the file; an existing one is replaced as a whole or not at all."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        metadata = {
            'clip': self._settings.clip.name,
            'weights': self._weights,
            'images': json.dumps(list(self._known)),
        }
        partial = self._path.with_name(f'{self._path.name}.partial')
        features = torch.stack(list(self._known.values()))
        partial.write_bytes(save({'features': features}, metadata))
        partial.replace(self._path)

    def _read(self) -> dict[str, Tensor]:
        if not self._path.is_file():
            return {}
        try:
            with safe_open(self._path, framework='pt') as file:
                metadata = file.metadata()
                features = file.get_tensor('features')
            clip, images = metadata['clip'], json.loads(metadata['images'])
            weights = metadata.get('weights', '')
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise GuidanceError(
                f'{self._path}: not a file of features, or cut off ({error}); remove it'
            ) from None
        if clip != self._settings.clip.name:
            raise GuidanceError(
                f'{self._path} holds features of {clip}, asked for is '
                f'{self._settings.clip.name}: give another features.file or that CLIP'
            )
        if self._weights and weights and weights != self._weights:
            raise GuidanceError(
                f'{self._path} holds features of {clip} with the weights {weights}, asked for is '
                f'{self._weights}: give another features.file or those weights'
            )
        self._weights = self._weights or weights
        return dict(zip(images, features, strict=True))

    @torch.inference_mode()
    def _look(self, image: Tensor) -> Tensor:
        clip = self._settings.clip
        if self._tower is None:
            if not (clip.pretrained or clip.file):
                raise GuidanceError(
                    f'{self._path} lacks features of an image, and no CLIP is given to make '
                    'them: set features.clip.pretrained or features.clip.file, or run '
                    '`python3 -m training cache-features` where there is one'
                )
            self._tower = load_image_tower(clip, self._device)
        return self._tower(image[None].to(self._device))[0].float().cpu().clone()


def of_batch(
    features: Mapping[str, Tensor], names: Iterable[str], dropout: float, chance: Chance
) -> Tensor:
    """Return the features of pairs, (B, E), zeros for the share that goes without."""
    rows = [features[name] * (not chance.happens(dropout)) for name in names]
    return torch.stack(rows).to(chance.device)


def fingerprint(image: Tensor) -> str:
    """Return the hash of an image (C, H, W) in [0, 1] as 8 bits."""
    levels = (image * 255).round().to(torch.uint8).cpu().contiguous()
    digest = hashlib.sha256(repr(tuple(levels.shape)).encode())
    digest.update(levels.numpy().tobytes())
    return digest.hexdigest()[:32]


def train(settings: RecipeSettings, command: str, dry_run: bool = False) -> None:  # noqa: ARG001
    """Fill the file with the features of all sets; a dry run looks at one pair and keeps none."""
    root = data_folder()
    pairs: Sequence[ImagePair] = read_pairs(root, settings.train_sets)[0]
    for one in validation_sets(root, settings.validation_sets).values():
        pairs = [*pairs, *one]
    cache = FeatureCache(settings.features, select_device(settings.device))
    if dry_run:
        cache.of_pair(pairs[0])
        return
    cache.of_pairs(pairs)
    tqdm.write(f'{settings.features.file}: features of {len(pairs)} pairs')
