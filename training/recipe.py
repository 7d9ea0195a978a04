"""What a recipe is: settings that all share, and what its file gives to the loop."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ir_vis_fusion.checkpoint import load_checkpoint, resolve
from ir_vis_fusion.config import (
    flatten,
    group,
    GuidanceSettings,
    setting,
    Settings,
    ThermalSettings,
)
from ir_vis_fusion.errors import ConfigError
from ir_vis_fusion.models.registry import build
import torch
from torch import nn, Tensor
from training.augmentations import AugmentationSettings, Batch
from training.chance import Chance
from training.datasets import ImagePair

PLACES = ('run_dir', 'device', 'workers', 'file', 'bank', 'vgg')
LARGEST_DRY_CROP = 64


@dataclass(frozen=True)
class RunSettings(Settings):
    """What every run is made of; a run that is taken up again must have the same."""

    run_dir: str = setting('runs/unnamed', 'folder of the run, made if need be')
    init: str = setting(
        '',
        'name of a shipped model, or a .safetensors checkpoint, whose weights the network starts '
        'with; empty: random ones',
    )
    seed: int = setting(0, 'seed of weights and samples', minimum=0)
    device: str = setting(
        'auto', 'auto: what accelerate finds; cpu: not the GPU', choices=('auto', 'cpu')
    )
    workers: int = setting(
        -1,
        'processes that draw crops; -1: for a GPU one less than its share of cores, else none',
        minimum=-1,
    )
    mixed_precision: str = setting(
        'auto',
        "arithmetic of the network; auto: as accelerate's configuration says, else float32",
        choices=('auto', 'no', 'bf16', 'fp16'),
    )
    steps: int = setting(10000, 'optimizer steps', minimum=1)
    epoch_steps: int = setting(1000, 'steps between validations', minimum=1)
    batch: int = setting(16, 'crops a step and process', minimum=1)
    learning_rate: float = setting(1e-3, 'highest learning rate', minimum=0)
    final_share: float = setting(
        0.02, 'share of it that is left at the last step', minimum=0, maximum=1
    )
    warmup_steps: int = setting(100, 'steps of linear warm-up before the cosine', minimum=1)
    weight_decay: float = setting(0.01, 'of AdamW', minimum=0)
    clip_norm: float = setting(1.0, 'largest norm of the gradient', minimum=0)
    ema_decay: float = setting(0.998, 'decay of the averaged weights', minimum=0, maximum=1)
    half_weights: bool = setting(
        False, 'write the finished weights in float16: half the bytes; they compute in float32'
    )
    train_sets: str = setting(
        'roadscene/train.txt, m3svd_frames, m3svd_video@40',
        'FOLDER[/LIST.txt][@STRIDE][*WEIGHT], with commas: what is learnt from',
    )
    validation_sets: str = setting('roadscene/val.txt, msrs_val', 'the same for validation')
    validation_stride: int = setting(6, 'pairs between two validated in an epoch', minimum=1)
    augmentation: AugmentationSettings = group(AugmentationSettings)
    thermal: ThermalSettings = group(ThermalSettings)


class Recipe:
    """
    A recipe as the loop sees it: a network to train and the losses of a batch.

    The files in ``training/recipes`` derive from it. Everything random comes from the Chance
    they are given, everything that changes stands in ``network``, ``companions`` or ``facts``:
    that is what makes a stopped run go on as if it had not been stopped.

    Parameters
    ----------
    settings
        Of the recipe.
    name, config
        Name and arguments of the network.

    """

    # Set by the loop: leave nothing behind.
    dry_run = False

    def __init__(self, settings: RunSettings, name: str, config: Mapping[str, Any]) -> None:
        torch.manual_seed(settings.seed)
        self.settings = settings
        self.name = name
        self.config = dict(config)
        self.network = build(name, config)
        if settings.init:
            start_from(settings.init, self.network, name)
        self.device = torch.device('cpu')
        # Modules beside the network that learn too; kept in the state of the run.
        self.companions: dict[str, nn.Module] = {}
        # What else changes while the run goes on; JSON.
        self.facts: dict[str, Any] = {}

    @classmethod
    def shortened(cls, settings: RunSettings) -> RunSettings:
        """Return settings for a dry run: two small steps that reach every term."""
        crop = min(settings.augmentation.crop, LARGEST_DRY_CROP)
        augmentation = replace(settings.augmentation, crop=crop)
        return replace(settings, steps=2, batch=2, augmentation=augmentation)

    def start(self, device: torch.device, pairs: list[ImagePair]) -> list[ImagePair]:
        """Get ready on a device, before a state is loaded; return the pairs to train on."""
        self.device = device
        return pairs

    def losses(
        self, network: nn.Module, batch: Batch, step: int, chance: Chance
    ) -> dict[str, Tensor]:
        """Fuse a batch by the network (which may be wrapped); return its weighted losses."""
        raise NotImplementedError

    def finish_epoch(
        self, average: nn.Module, pairs: list[ImagePair], step: int, figures: Mapping[str, Any]
    ) -> None:
        """Do what stands between two epochs, such as tuning the companions."""

    def finished(self, network: nn.Module) -> nn.Module:
        """Return the best network as it is to be measured and written."""
        return network.half() if self.settings.half_weights else network

    def guidance(self) -> GuidanceSettings:
        """Return the guidance that the package's predictor has in validation."""
        return GuidanceSettings()

    def tower(self) -> Any:
        """Return the image tower of the predictor in validation, or None."""
        return None

    def facts_of_clip(self) -> dict[str, Any]:
        """Return what a checkpoint says of the CLIP that its network wants at run time."""
        return {}


def start_from(init: str, network: nn.Module, name: str) -> None:
    """
    Give a network the weights of a checkpoint.

    What it lacks may be parts of which the network says that they do nothing at first.

    Raises
    ------
    ConfigError
        Where the checkpoint is of another network.

    """
    start = load_checkpoint(resolve(init))
    idle = getattr(network, 'idle_at_first', ())
    kept = {k: v for k, v in network.state_dict().items() if k.partition('.')[0] in idle}
    try:
        network.load_state_dict(kept | start.model.state_dict())
    except RuntimeError as error:
        raise ConfigError(
            f'init={init!r} is a {start.name} of {dict(start.config)}; expected a {name} of the '
            f"recipe's size ({error})"
        ) from None


def choices(settings: RunSettings) -> dict[str, Any]:
    """Return the settings that make a difference to the result: all but where things are."""
    values = flatten(settings).items()
    return {key: value for key, value in values if key.rpartition('.')[2] not in PLACES}
