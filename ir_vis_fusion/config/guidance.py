"""What CLIP is and what it tells."""

from collections.abc import Iterable
from dataclasses import dataclass

from ir_vis_fusion.config.table import group, setting, Settings

# Names of CLIP models that bring their weights.
HUB = 'hf-hub:'


@dataclass(frozen=True)
class ClipSettings(Settings):
    """Which CLIP: a model of open_clip with published weights, or with those of a file."""

    name: str = setting(
        'ViT-B-16-quickgelu', "open_clip's name of the CLIP model, or hf-hub:ORG/REPO"
    )
    pretrained: str = setting('', "open_clip's tag of published weights (openai, say)")
    file: str = setting(
        '', 'path of a .safetensors file with the weights; it may hold one tower alone'
    )

    def contradictions(self) -> Iterable[str]:
        """Weights come from one place."""
        if self.pretrained and self.file:
            yield (f'give pretrained or file, not both: got {self.pretrained!r} and {self.file!r}')

    @property
    def has_weights(self) -> bool:
        """Say whether a CLIP is named at all; without weights there is none."""
        return bool(self.pretrained or self.file) or self.name.startswith(HUB)


@dataclass(frozen=True)
class GuidanceSettings(Settings):
    """What CLIP tells networks that take its features; without it they run all the same."""

    clip: ClipSettings = group(ClipSettings)
    bank: str = setting(
        '',
        'embedding bank, FILE or FILE#TENSOR: knows the vectors of prompts and, with an image '
        'tower, describes the scene',
    )
    period_s: float = setting(
        1.0,
        'how often CLIP looks at the scene of a live stream',
        unit='s',
        minimum=0.0,
        maximum=3600.0,
    )
    max_age_s: float = setting(
        10.0,
        'how long after the next look was due what CLIP saw last stays in force, when CLIP fails '
        'or takes its time; the network then runs without it',
        unit='s',
        minimum=0.0,
    )
