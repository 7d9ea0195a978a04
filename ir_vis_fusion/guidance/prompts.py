"""
Text as vectors: embedding banks, sentences, and what a bank says of an image.

A bank is a safetensors file of names and unit vectors. With one, a robot needs neither a text
tower nor open_clip to know what a sentence means.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Protocol

from ir_vis_fusion.errors import GuidanceError, nearest
from ir_vis_fusion.files import checked_file, MAX_WEIGHTS_BYTES
from ir_vis_fusion.guidance.clip import unit
from ir_vis_fusion.guidance.weights import THREE_WAYS_TO_TEXT
import torch
from torch import Tensor

# What CLIP's contrastive training ends at, and where OpenAI clipped it.
LOGIT_SCALE = 100.0
NAMES = 'names'
VECTORS = 'vectors'


class TextSource(Protocol):
    """Whatever turns sentences into unit vectors: a TextTower or an EmbeddingBank."""

    def encode(self, sentences: Sequence[str]) -> Tensor:
        """Return (N, E) float32."""


@dataclass(frozen=True, eq=False)
class EmbeddingBank:
    """
    Names with their unit vectors (N, E) float32 in CLIP's joint space.

    ``clip`` says which CLIP made them; vectors of different CLIPs cannot be compared.
    """

    names: tuple[str, ...]
    vectors: Tensor
    clip: str = ''

    def __post_init__(self) -> None:
        """Bring the vectors to length 1 and check that each has a name."""
        if self.vectors.ndim != 2 or len(self.names) != len(self.vectors) or not self.names:
            raise GuidanceError(
                f'an embedding bank needs one vector a name, got {len(self.names)} names and '
                f'vectors of shape {tuple(self.vectors.shape)}'
            )
        object.__setattr__(self, 'vectors', unit(self.vectors))

    def encode(self, sentences: Sequence[str]) -> Tensor:
        """Look sentences up, (N, E); a bank knows only what it was made with."""
        rows = {name: row for row, name in enumerate(self.names)}
        for sentence in sentences:
            if sentence not in rows:
                hint = nearest(sentence, self.names)
                raise GuidanceError(
                    f'{sentence!r} is not in the embedding bank of {len(self.names)} names'
                    f'{hint}; for new sentences {THREE_WAYS_TO_TEXT}'
                )
        return self.vectors[[rows[sentence] for sentence in sentences]]

    def save(self, path: str | Path) -> None:
        """Write a file; an existing one is replaced as a whole or not at all."""
        from safetensors.torch import save

        metadata = {NAMES: json.dumps(self.names), 'clip': self.clip}
        path = Path(path)
        partial = path.with_name(f'{path.name}.partial')
        try:
            partial.write_bytes(save({VECTORS: self.vectors.cpu().contiguous()}, metadata))
            partial.replace(path)
        except OSError as error:
            raise GuidanceError(f'{path}: cannot be written: {error.strerror}') from None

    @classmethod
    def load(cls, source: str | Path) -> 'EmbeddingBank':
        """
        Read a file.

        Parameters
        ----------
        source
            Path of a .safetensors file; ``PATH#TENSOR`` chooses one where it holds several,
            whose names then stand in the metadata as ``names`` or, shared by all tensors that
            begin so, as ``PREFIX_names``.

        Raises
        ------
        GuidanceError
            Where the file is missing, damaged, no bank, or does not say which of several.

        """
        from safetensors import safe_open, SafetensorError

        path, _, chosen = str(source).partition('#')
        advice = '; `ivf prompts encode` writes an embedding bank'
        found = checked_file(path, MAX_WEIGHTS_BYTES, GuidanceError, advice=advice)
        try:
            with safe_open(found, framework='pt') as file:
                metadata = file.metadata() or {}
                key = _choose(path, list(file.keys()), chosen)
                vectors = file.get_tensor(key)
        except (SafetensorError, OSError) as error:
            raise GuidanceError(
                f'{path}: not a safetensors file, or cut off ({error}); copy or write it again'
            ) from None
        return cls(_names_of(path, key, metadata), vectors, metadata.get('clip', ''))


@dataclass(frozen=True, eq=False)
class Description:
    """
    What a bank says of B images.

    ``names`` are B times the ``top`` most probable names and ``probabilities`` (B, top) theirs
    among the whole bank, falling; ``text_features`` (B, E) is the unit vector of their text
    vectors' mean, weighted by probability.
    """

    names: tuple[tuple[str, ...], ...]
    probabilities: Tensor
    text_features: Tensor


def describe(image_features: Tensor, bank: EmbeddingBank, top: int = 5) -> Description:
    """
    Say what images show, zero-shot: softmax over a bank of 100 times the cosine.

    Parameters
    ----------
    image_features
        Image features (B, E) of the CLIP that the bank was made with.
    bank
        The names to choose from.
    top
        How many of them describe an image.

    """
    if image_features.ndim != 2 or image_features.shape[1] != bank.vectors.shape[1]:
        raise GuidanceError(
            f'image features of shape {tuple(image_features.shape)} do not fit an embedding bank '
            f'of {bank.vectors.shape[1]} numbers a vector ({bank.clip or "of an unnamed CLIP"}); '
            'take a bank that was made with the same CLIP'
        )
    if not 1 <= top <= len(bank.names):
        raise GuidanceError(f'top must be from 1 to the {len(bank.names)} names, got {top!r}')
    vectors = bank.vectors.to(image_features.device)
    logits = LOGIT_SCALE * unit(image_features) @ vectors.T
    probabilities, rows = logits.softmax(dim=-1).topk(top)
    text_features = unit(torch.einsum('bk,bke->be', probabilities, vectors[rows]))
    names = tuple(tuple(bank.names[row] for row in of_image) for of_image in rows.tolist())
    return Description(names, probabilities, text_features)


def encode_sentences(sentences: Sequence[str], source: TextSource | None) -> Tensor:
    """
    Turn sentences into unit vectors (N, E) by whatever there is.

    Raises
    ------
    GuidanceError
        Where there is no source, or it is a bank that lacks a sentence; with the ways out.

    """
    if source is None:
        raise GuidanceError(f'no text tower for {list(sentences)!r}; {THREE_WAYS_TO_TEXT}')
    return source.encode(sentences)


def _choose(path: str, keys: list[str], chosen: str) -> str:
    if chosen in keys:
        return chosen
    if not chosen and len(keys) == 1:
        return keys[0]
    wanted = f'{chosen!r} is not one of its tensors' if chosen else 'it holds several tensors'
    raise GuidanceError(
        f'{path}: {wanted}; write {path}#NAME with one of {", ".join(sorted(keys))}'
    )


def _names_of(path: str, key: str, metadata: Mapping[str, str]) -> tuple[str, ...]:
    prefix = next(
        (
            name
            for name in metadata
            if name.endswith(f'_{NAMES}') and key.startswith(name.removesuffix(f'_{NAMES}'))
        ),
        NAMES,
    )
    try:
        names = json.loads(metadata[prefix])
    except (KeyError, ValueError, RecursionError):
        raise GuidanceError(
            f'{path}: not an embedding bank: its metadata hold no names for {key}'
        ) from None
    if not isinstance(names, list):
        raise GuidanceError(f'{path}: not an embedding bank: its {prefix} are no list')
    return tuple(map(str, names))
