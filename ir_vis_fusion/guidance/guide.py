"""The features that a network takes beside the two images: of CLIP, a bank or a sentence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import time

from ir_vis_fusion.config import ClipSettings, GuidanceSettings
from ir_vis_fusion.errors import GuidanceError, nearest
from ir_vis_fusion.guidance.clip import load_image_tower, load_text_tower, TextTower
from ir_vis_fusion.guidance.prompts import (
    describe,
    EmbeddingBank,
    encode_sentences,
    TextSource,
)
from ir_vis_fusion.guidance.refresh import Refresher, Sight
from ir_vis_fusion.preprocessing.color import to_rgb
from ir_vis_fusion.types import GuidanceState, PixelEncoding
import torch
from torch import Tensor

VISIBLE = 'vis_features'
INFRARED = 'ir_features'
TEXT = 'text_features'
# Names that describe a scene.
TOP = 5

Tower = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Wanted:
    """What a network takes: names of features, their length, and the CLIP if it is known."""

    names: Sequence[str]
    length: int
    clip: str = ''


class Guide:
    """
    Find the features that a network takes, by what there is.

    Features of the images come from CLIP's image tower. Features of text come from the prompt, by
    the bank or else by CLIP's text tower; without a prompt from what image tower and bank say of
    the visible image. What cannot be had is None, and ``note`` says once what is missing.

    Parameters
    ----------
    settings
        Which CLIP and which bank; a CLIP without weights is none.
    wanted
        What the network takes, not empty.
    device
        Where the features shall be.
    tower
        Maps images (B, 3 or 1, H, W) float in [0, 1] to unit features (B, E), in place of the
        image tower that the settings name.
    background
        Look at the scene in a thread, every ``settings.period_s``; otherwise at every frame.

    Raises
    ------
    GuidanceError
        Where CLIP, the bank and the network do not belong together, or cannot be loaded.

    """

    def __init__(
        self,
        settings: GuidanceSettings,
        wanted: Wanted,
        device: torch.device | str,
        tower: Tower | None = None,
        background: bool = False,
    ) -> None:
        self._clip = settings.clip
        self._wanted = wanted
        self._device = device
        self._bank = EmbeddingBank.load(settings.bank) if settings.bank else None
        _check(wanted, settings.clip, self._bank)
        self._tower = tower if self._looks() else None
        if tower is None and self._looks() and settings.clip.has_weights:
            self._tower = load_image_tower(settings.clip, device)
        self._text_tower: TextTower | None = None
        self._prompts: dict[str, Tensor] = {}
        self._in_force = GuidanceState.in_force
        self._seen: Sight | None = None
        self._refresher = (
            Refresher(self._look, settings.period_s, device, settings.max_age_s)
            if background and self._tower is not None
            else None
        )

    @property
    def takes_text(self) -> bool:
        """Say whether a prompt guides the network."""
        return TEXT in self._wanted.names

    @property
    def note(self) -> str:
        """Say what is missing for guidance by the scene; empty where nothing is."""
        if self._tower is not None:
            return ''
        clip = 'weights of a CLIP (pretrained or file)'
        if not self.takes_text:
            return f'no {clip} given: the network runs without features of the images'
        lacks = [] if self._clip.has_weights else [clip]
        lacks += [] if self._bank is not None else ['embedding bank']
        return (
            f'no {" and no ".join(lacks)} given: the scene is not described, only a prompt '
            'guides the network'
        )

    def features(
        self, visible: Tensor, encoding: PixelEncoding, ir: Tensor, prompt: str
    ) -> tuple[Tensor | None, ...]:
        """
        Return what the network takes, in its order, each (1, E) or None.

        Parameters
        ----------
        visible
            (H, W, 3) uint8; not to be changed afterwards, a thread may look at it later.
        encoding
            RGB8 or BGR8, the order of its colours.
        ir
            (H, W) float32 in [0, 1]; likewise.
        prompt
            A sentence, or '' for what the scene says.

        """
        if prompt and self.takes_text:
            self._in_force, self._seen = f'prompt {prompt!r}', None
            return (self.encode(prompt),)
        if self._tower is None:
            seen = None
        elif self._refresher is not None:
            seen = self._refresher.latest(visible, encoding, ir)
        else:
            seen = self._look(visible, encoding, ir)
        self._in_force, self._seen = seen.words if seen else GuidanceState.in_force, seen
        return tuple(seen.features[name] if seen else None for name in self._wanted.names)

    def encode(self, prompt: str) -> Tensor:
        """
        Return the unit vector of a sentence, (1, E).

        Raises
        ------
        GuidanceError
            Where nothing at hand knows it, with the ways out.

        """
        if prompt not in self._prompts:
            vector = encode_sentences([prompt], self._source(prompt)).to(self._device)
            self._prompts[prompt] = self._fitting(vector)
        return self._prompts[prompt]

    def state(self) -> GuidanceState:
        """Return what guides the network now; from any thread."""
        seen, refresher = self._seen, self._refresher
        return GuidanceState(
            self._in_force,
            time.monotonic() - seen.at_s if seen else None,
            refresher.failures if refresher else 0,
            refresher.fault if refresher else '',
        )

    def reset(self) -> None:
        """Forget the scene."""
        self._in_force, self._seen = GuidanceState.in_force, None
        if self._refresher is not None:
            self._refresher.reset()

    def close(self) -> None:
        """End the thread, if there is one."""
        if self._refresher is not None:
            self._refresher.close()

    def _looks(self) -> bool:
        """Say whether features of images are of use: text needs a bank to make words of them."""
        return not self.takes_text or self._bank is not None

    def _look(self, visible: Tensor, encoding: PixelEncoding, ir: Tensor) -> Sight:
        at_s = time.monotonic()
        vis_features = self._fitting(self._tower(to_rgb(visible, encoding)))
        if self.takes_text:
            description = describe(vis_features, self._bank, min(TOP, len(self._bank.names)))
            words = f'scene: {", ".join(description.names[0])}'
            return Sight({TEXT: description.text_features}, words, at_s)
        features = {VISIBLE: vis_features}
        if INFRARED in self._wanted.names:
            features[INFRARED] = self._fitting(self._tower(ir[None, None]))
        return Sight(features, 'image features', at_s)

    def _source(self, prompt: str) -> TextSource | None:
        if self._bank is not None and prompt in self._bank.names:
            return self._bank
        if not self._clip.has_weights:
            return self._bank
        if self._text_tower is None:
            try:
                self._text_tower = load_text_tower(self._clip, self._device)
            except GuidanceError as error:
                if self._bank is None:
                    raise
                raise GuidanceError(
                    f'{prompt!r} is not in the embedding bank'
                    f'{nearest(prompt, self._bank.names)}; {error}'
                ) from None
        return self._text_tower

    def _fitting(self, features: Tensor) -> Tensor:
        if features.shape[1] != self._wanted.length:
            raise GuidanceError(
                f'the network takes features of {self._wanted.length} numbers, this CLIP gives '
                f'{features.shape[1]}; set guidance.clip.name to the one it was trained with'
            )
        return features


def guidance_note(guide: Guide | None, settings: GuidanceSettings, network: str) -> str:
    """Say what is missing for a network's guidance, or has no effect; empty where all is well."""
    if guide is not None:
        return guide.note
    if settings == GuidanceSettings():
        return ''
    return f'guidance.* has no effect: {network} takes no features of CLIP'


def check_prompt(guide: Guide | None, prompt: str, network: str) -> None:
    """
    Raise GuidanceError where a network cannot follow a prompt.

    A prompt that it can is encoded here, which may take seconds for the first one, so that no
    frame waits for that.
    """
    if not prompt:
        return
    if guide is None or not guide.takes_text:
        raise GuidanceError(
            f'prompt {prompt!r}: {network} takes no text; leave it empty, or take a model that '
            'does (`ivf models` shows it)'
        )
    guide.encode(prompt)


def _check(wanted: Wanted, clip: ClipSettings, bank: EmbeddingBank | None) -> None:
    """Features of different CLIPs cannot be compared."""
    if wanted.clip and clip.has_weights and clip.name != wanted.clip:
        raise GuidanceError(
            f'the network was trained with features of CLIP {wanted.clip}, guidance.clip.name is '
            f'{clip.name}; set it to {wanted.clip}'
        )
    if bank is None:
        return
    made_by = bank.clip.partition(' ')[0]
    expected = wanted.clip or (clip.name if clip.has_weights else '')
    if made_by and expected and made_by != expected:
        raise GuidanceError(
            f'the embedding bank was made with CLIP {made_by}, features of {expected} are needed; '
            'write one with that (`ivf prompts encode`)'
        )
    if bank.vectors.shape[1] != wanted.length:
        raise GuidanceError(
            f'the embedding bank has {bank.vectors.shape[1]} numbers a vector, the network takes '
            f'{wanted.length}; take one of the CLIP that it was trained with'
        )
