"""CLIP in the losses: frozen towers whose gradients reach the fused image, and texts."""

from dataclasses import dataclass

from ir_vis_fusion.config import ClipSettings, setting, Settings
from ir_vis_fusion.guidance.clip import load_image_tower, load_text_tower
from ir_vis_fusion.guidance.prompts import EmbeddingBank, encode_sentences
import torch
from torch import Tensor
from training.chance import Chance
from training.losses import accept_patches, cut_patches, draw_windows


class ClipLoss:
    """
    The image tower behind the losses in CLIP's space.

    In bfloat16, whose range keeps small gradients (see ImageTower); the losses compute in
    float32. On a CPU images go one by one: for several, the backward pass of PyTorch's
    attention copies its weights for each of them and takes twenty times as long.
    """

    def __init__(self, settings: ClipSettings, device: torch.device) -> None:
        self._tower = load_image_tower(settings, device, torch.bfloat16, antialias=False)
        self._chunk = 1 if device.type == 'cpu' else 256

    def features(self, images: Tensor) -> Tensor:
        """Return unit features (..., E) of images (..., 1 or 3, H, W) in [0, 1]."""
        flat = images.flatten(0, -4).float()
        features = torch.cat([self._tower(part) for part in flat.split(self._chunk)])
        return features.unflatten(0, images.shape[:-3])

    @torch.no_grad()
    def constant(self, images: Tensor) -> Tensor:
        """Return the same without gradients, for the sources."""
        flat = images.flatten(0, -4).float()
        return self._tower(flat).unflatten(0, images.shape[:-3]).clone()

    def tokens(self, images: Tensor) -> list[Tensor]:
        """Return the patch tokens after blocks 3, 6 and 9 of images (B, 1 or 3, H, W)."""
        parts = [self._tower.tokens(part) for part in images.float().split(self._chunk)]
        return [torch.cat(layer) for layer in zip(*parts, strict=True)]


def draw_patches(
    fused: Tensor, vis_y: Tensor, ir: Tensor, count: int, least_bits: float, chance: Chance
) -> tuple[Tensor, Tensor]:
    """
    Cut the same patches out of crops and leave out those that show nothing in a source.

    Parameters
    ----------
    fused, vis_y, ir
        (B, 1, S, S) in [0, 1].
    count
        Patches a crop, N.
    least_bits
        Entropy that a patch must have in both sources.
    chance
        Where the patches lie.

    Returns
    -------
    Which are accepted, (N, B) bool, and these of the fused image, (K, 1, 224, 224).

    """
    windows = draw_windows(count, chance.generator)
    sources = cut_patches(vis_y, windows), cut_patches(ir, windows)
    accepted = accept_patches(*sources, least_bits)
    return accepted, cut_patches(fused, windows)[accepted]


@dataclass(frozen=True)
class TextSettings(Settings):
    """The three texts of a language-driven loss: sentences, or names in an embedding bank."""

    fused: str = setting(
        'a clear image with detailed background and salient objects', 'what is wanted'
    )
    visible: str = setting('a visible gray image', 'what the visible image is')
    infrared: str = setting('an infrared image', 'what the infrared image is')
    bank: str = setting(
        '', 'FILE[#TENSOR] of an embedding bank with these names; empty: the text tower of CLIP'
    )


def encode_texts(settings: TextSettings, clip: ClipSettings, device: torch.device) -> Tensor:
    """
    Return the unit vectors of fused, visible and infrared, (3, E).

    Raises
    ------
    GuidanceError
        Where the bank lacks a name, or CLIP has no text tower: with the three ways out.

    """
    source = EmbeddingBank.load(settings.bank) if settings.bank else load_text_tower(clip)
    texts = (settings.fused, settings.visible, settings.infrared)
    return encode_sentences(texts, source).to(device)
