"""
CLIP's towers: frozen, one at a time, on tensors.

The only module that knows open_clip, which is imported when a tower is loaded. Weights come
from open_clip by name and tag, or from a safetensors file, which may hold one tower alone;
files that would have to be unpickled are refused.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
import difflib
import logging
from pathlib import Path
from typing import Any

from ir_vis_fusion.config import ClipSettings, HUB
from ir_vis_fusion.errors import GuidanceError
from ir_vis_fusion.guidance.weights import fill_tower, find_tower
import torch
from torch import nn, Tensor
from torch.nn import functional

EPSILON = 1e-6


class ImageTower(nn.Module):
    """
    The image tower of a CLIP with its own preprocessing.

    Parameters are frozen and the tower stays in eval mode, but gradients reach the images. For
    a loss, float16 wants it scaled, because gradients below 6e-8 vanish: cosine to the gradient
    of float32 at a 300x451 image 0.998 with the loss scaled by 2^14, 0.02 with one divided by
    512 (a mean over as many crops); bfloat16 0.985 however scaled, features 0.99995 (float16
    0.999999). ViT-B/16, OpenAI's weights, on a CPU.

    Parameters
    ----------
    visual
        open_clip's image tower with its ``preprocess_cfg`` (size, mean, std, interpolation).
    antialias
        Filter while shrinking, as the model's own preprocessing does.

    """

    def __init__(self, visual: nn.Module, antialias: bool = True) -> None:
        super().__init__()
        facts = visual.preprocess_cfg
        size = facts['size']
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        self.interpolation = 'bilinear' if facts['interpolation'] == 'bilinear' else 'bicubic'
        self.antialias = antialias
        for name in ('mean', 'std'):
            value = torch.tensor(facts[name]).view(-1, 1, 1)
            self.register_buffer(f'_{name}', value, persistent=False)
        self.visual = visual
        _freeze(self)

    def train(self, mode: bool = True) -> 'ImageTower':  # noqa: ARG002
        """Stay in eval mode whatever the network around it does."""
        return super().train(False)

    def preprocess(self, images: Tensor) -> Tensor:
        """
        Resize and normalise as the model expects it.

        The whole frame is squashed to the model's square. open_clip itself would cut the sides
        off a wide frame, where a robot still wants to know what there is.

        Parameters
        ----------
        images
            RGB (B, 3, H, W) or grey (B, 1, H, W), which is repeated; float in [0, 1].

        Returns
        -------
        (B, 3, *size) float32.

        """
        if images.ndim != 4 or images.shape[1] not in (1, 3) or not images.is_floating_point():
            raise ValueError(
                'images must be (B, 3, H, W) or (B, 1, H, W) float in [0, 1], got '
                f'{tuple(images.shape)} {images.dtype}'
            )
        resized = functional.interpolate(
            images.float(),
            self.size,
            mode=self.interpolation,
            align_corners=False,
            antialias=self.antialias,
        )
        # Bicubic interpolation overshoots; 8-bit images, which the model learnt from, cannot.
        resized = resized.clamp(0.0, 1.0).expand(-1, 3, -1, -1)
        return (resized - self._mean) / self._std

    def forward(self, images: Tensor) -> Tensor:
        """Return the unit image features (B, E) float32 of images as for :meth:`preprocess`."""
        features = self.visual(self._input(images))
        # Some models return their tokens too.
        return unit(features[0] if isinstance(features, tuple) else features)

    def tokens(self, images: Tensor, blocks: Sequence[int] = (3, 6, 9)) -> list[Tensor]:
        """
        Return the patch tokens after some transformer blocks, for perceptual losses.

        Parameters
        ----------
        images
            As for :meth:`preprocess`.
        blocks
            Numbers of blocks from 1 on, rising; those behind the last one are not computed.

        Returns
        -------
        One (B, patches, width) float32 a block, not normalised, without the class token.

        """
        depth = len(getattr(getattr(self.visual, 'transformer', None), 'resblocks', ()))
        blocks = list(blocks)
        if not blocks or blocks != sorted({b for b in blocks if 1 <= b <= depth}):
            raise ValueError(
                f'blocks must be rising numbers from 1 to {depth}, got {blocks!r}'
                if depth
                else 'only the tokens of open_clip VisionTransformers can be read, not those of '
                f'{type(self.visual).__name__}'
            )
        output = self.visual.forward_intermediates(
            self._input(images),
            indices=[block - 1 for block in blocks],
            stop_early=True,
            intermediates_only=True,
            output_fmt='NLC',
        )
        return [tokens.float() for tokens in output['image_intermediates']]

    def _input(self, images: Tensor) -> Tensor:
        return self.preprocess(images).to(next(self.visual.parameters()).dtype)


class TextTower(nn.Module):
    """The text tower of a CLIP with its tokenizer; frozen, in eval mode."""

    def __init__(self, model: nn.Module, tokenizer: Any) -> None:
        super().__init__()
        self.model = model
        self._tokenizer = tokenizer
        _freeze(self)

    def train(self, mode: bool = True) -> 'TextTower':  # noqa: ARG002
        """Stay in eval mode whatever the network around it does."""
        return super().train(False)

    @torch.no_grad()
    def encode(self, sentences: Sequence[str]) -> Tensor:
        """
        Return unit text features (N, E) float32.

        What is longer than the model's context (77 tokens for OpenAI's) is cut off.
        """
        tokens = self._tokenizer(list(sentences))
        return unit(self.model.encode_text(tokens.to(next(self.model.parameters()).device)))


def unit(features: Tensor) -> Tensor:
    """Return vectors (..., E) in float32 with length 1; zero stays zero."""
    return functional.normalize(features.float(), dim=-1, eps=EPSILON)


def load_image_tower(
    settings: ClipSettings,
    device: str | torch.device = 'cpu',
    dtype: torch.dtype | None = None,
    antialias: bool = True,
) -> ImageTower:
    """
    Load the image tower and forget the rest of the model.

    Parameters
    ----------
    settings
        Which CLIP.
    device
        Where it shall run.
    dtype
        Precision of weights and activations; float16 on CUDA and float32 elsewhere if None.
    antialias
        See :class:`ImageTower`.

    Raises
    ------
    GuidanceError
        Where open_clip is missing, the model is unknown, or its weights cannot be had.

    """
    tower = ImageTower(_load(settings, image=True).visual, antialias).to(device)
    # The weights alone: preprocessing stays in float32.
    tower.visual.to(dtype or _precision(device))
    return tower


def load_text_tower(
    settings: ClipSettings, device: str | torch.device = 'cpu', dtype: torch.dtype | None = None
) -> TextTower:
    """
    Load the text tower and forget the image tower; arguments as for :func:`load_image_tower`.

    Raises
    ------
    GuidanceError
        As there; and where a file has no text tower, with the three ways out.

    """
    model = _load(settings, image=False)
    tokenizer = _open_clip().get_tokenizer(settings.name)
    return TextTower(model, tokenizer).to(device, dtype or _precision(device))


def _freeze(tower: nn.Module) -> None:
    tower.eval()
    tower.requires_grad_(False)


def _precision(device: str | torch.device) -> torch.dtype:
    return torch.float16 if torch.device(device).type == 'cuda' else torch.float32


def _load(settings: ClipSettings, image: bool) -> nn.Module:
    """Return open_clip's model with the weights of one tower; the text side has no visual."""
    file = Path(settings.file)
    names = find_tower(file, image) if settings.file else {}
    model = _create(settings)
    if not image:
        del model.visual
    if names:
        fill_tower(model.visual if image else model, file, names)
    return model


def _create(settings: ClipSettings) -> nn.Module:
    open_clip = _open_clip()
    name, tag = settings.name, settings.pretrained
    hub = name.startswith(HUB)
    if not hub and name not in (known := open_clip.list_models()):
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f'; near: {", ".join(near)}' if near else ''
        raise GuidanceError(f'unknown CLIP model {name!r} (open_clip.list_models()){hint}')
    tags = open_clip.list_pretrained_tags_by_model(name)
    if settings.file:
        # The file does not say how images were prepared; the model's published weights do.
        preparation = open_clip.get_pretrained_cfg(name, tags[0]) if tags else {}
        with _no_word_on_random_weights():
            return open_clip.create_model(
                name, load_weights=False, pretrained_text=False, force_preprocess_cfg=preparation
            )
    if not hub and not open_clip.is_pretrained_cfg(name, tag):
        fault = f'has no pretrained weights {tag!r}' if tag else 'needs weights'
        raise GuidanceError(
            f'CLIP {name} {fault}: give one of the pretrained tags '
            f'{", ".join(tags) or "(there are none)"}, or a .safetensors file'
        )
    published = {} if hub else open_clip.get_pretrained_cfg(name, tag)
    try:
        return open_clip.create_model(
            name,
            pretrained=tag or None,
            # OpenAI's weights need it, and open_clip only warns where the name lacks it.
            force_quick_gelu=bool(published.get('quick_gelu')),
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise GuidanceError(
            f'CLIP {name} {tag}: its weights cannot be had ({error}); open_clip downloads them '
            'once, so try with a network, or give a .safetensors file'
        ) from error


def _open_clip() -> Any:
    try:
        import open_clip
    except ImportError as error:
        raise GuidanceError(
            f"CLIP needs open_clip ({error}): pip install 'ir_vis_fusion[clip]'; features that "
            'were encoded elsewhere (embedding banks) do without'
        ) from None
    return open_clip


@contextmanager
def _no_word_on_random_weights() -> Iterator[None]:
    """Keep open_clip from warning of random weights where a file is about to fill them."""

    def keep(record: logging.LogRecord) -> bool:
        return 'No pretrained weights loaded' not in record.getMessage()

    logger = logging.getLogger()
    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)
