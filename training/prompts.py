"""
Learning the prompts of CLIPFusion: what infrared, visible and fused images look like to CLIP.

Prompts learn from the features of a fixed set of crops, which CLIP sees once. First they tell
the three kinds apart (:func:`learn`); later they are tuned to rank results (:func:`tune`).
"""

from dataclasses import dataclass

from ir_vis_fusion.checkpoint import load_checkpoint, resolve
from ir_vis_fusion.config import setting, Settings
from ir_vis_fusion.evaluation.baselines import laplacian
from ir_vis_fusion.models.prompts import KINDS, PromptNetwork
import torch
from torch import nn, Tensor
from training.augmentations import AugmentationSettings, Augmenter, draw_batch
from training.chance import Chance
from training.clip import ClipLoss
from training.datasets import ImagePair
from training.losses import fused_probability, prompt_classification_loss, ranking_loss

INFRARED, VISIBLE, FUSED = range(len(KINDS))
# Beside the seeds of steps, which are not negative.
CROPS_SEED, DRAWS_SEED = -1, -2


@dataclass(frozen=True)
class PromptSettings(Settings):
    """How the prompts learn."""

    crops: int = setting(256, 'crops whose features they learn from', minimum=8)
    hidden: int = setting(128, 'width of their conditioning on the image; 0: none', minimum=0)
    weight: float = setting(0.1, 'weight of that conditioning', minimum=0)
    iterations: int = setting(8000, 'steps that tell the kinds apart', minimum=1)
    learning_rate: float = setting(1e-3, 'of these steps', minimum=0)
    batch: int = setting(48, 'features a step', minimum=1)
    tune_iterations: int = setting(1000, 'steps of a tuning', minimum=0)
    tune_rate: float = setting(1e-4, 'learning rate of these steps', minimum=0)
    outer_margin: float = setting(0.9, 'lead of results over sources', minimum=0, maximum=1)
    inner_margin: float = setting(
        0.2, 'lead of newer results over older ones; halved each time', minimum=0, maximum=1
    )


@dataclass(frozen=True, eq=False)
class Crops:
    """Fixed crops (N, 1, S, S) of both sources and the features of images of each kind."""

    vis_y: Tensor
    ir: Tensor
    features: tuple[Tensor, Tensor, Tensor]


def cut_crops(
    pairs: list[ImagePair],
    settings: PromptSettings,
    augment: Augmenter,
    clip: ClipLoss,
    device: torch.device,
    seed: int,
) -> Crops:
    """
    Cut crops and show them to CLIP.

    There is no true fused image; as such serve, a third each, the pixel-wise maximum, the
    Laplacian pyramid and the student that ships.
    """
    chance = Chance(seed, CROPS_SEED, device=device)
    batch = draw_batch(pairs, [1.0] * len(pairs), settings.crops, augment, chance, device)
    vis_y, ir = batch.clean_vis_y, batch.clean_ir
    student = load_checkpoint(resolve('student')).model.to(device)
    with torch.inference_mode():
        fused = torch.cat(
            (
                torch.maximum(vis_y, ir)[0::3],
                laplacian(ir[1::3], vis_y[1::3]),
                student(vis_y[2::3], ir[2::3]),
            )
        )
    return Crops(vis_y, ir, tuple(look(clip, images) for images in (ir, vis_y, fused)))


def plain(side: int) -> AugmentationSettings:
    """Return augmentations that leave crops as they are but for how they lie."""
    return AugmentationSettings(
        crop=side, radiometric_share=0, contrast_share=0, gamma_share=0, noise_share=0
    )


def look(clip: ClipLoss, images: Tensor, part: int = 16) -> Tensor:
    """Return the features of many images, without gradients."""
    return torch.cat([clip.constant(some) for some in images.split(part)])


def learn(network: PromptNetwork, crops: Crops, settings: PromptSettings, seed: int) -> float:
    """Train the prompts to tell the kinds apart; return the share of crops that they do."""
    features = torch.cat(crops.features)
    kinds = torch.cat(
        [torch.full((len(one),), kind) for kind, one in enumerate(crops.features)]
    ).to(features.device)
    chance = Chance(seed, DRAWS_SEED)
    network.requires_grad_(True)
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    for _ in range(settings.iterations):
        rows = torch.randint(len(features), (settings.batch,), generator=chance.generator)
        some = features[rows]
        step(optimizer, prompt_classification_loss(some, network(some), kinds[rows]))
    network.requires_grad_(False)
    with torch.no_grad():
        prompts = network(features)
        nearest = torch.einsum('bke,be->bk', prompts.expand(len(features), -1, -1), features)
    return (nearest.argmax(-1) == kinds).float().mean().item()


def tune(
    network: PromptNetwork,
    crops: Crops,
    older: Tensor,
    newer: Tensor | None,
    settings: PromptSettings,
    inner_margin: float,
) -> float:
    """
    Tune the prompts to rank sources below older below newer results; return the last loss.

    Parameters
    ----------
    network
        The prompts.
    crops
        The crops whose results these are.
    older, newer
        Features of the results of an earlier and the present network, (N, E); `newer` is None
        where there is but one, or the present one was not measured to be better.
    settings
        Number and size of the steps.
    inner_margin
        Lead of newer over older results.

    """
    network.requires_grad_(True)
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.tune_rate)
    loss = torch.zeros(())
    for _ in range(settings.tune_iterations):
        loss = torch.zeros((), device=older.device)
        for sources in crops.features[:FUSED]:
            scores = [
                None if one is None else fused_probability(one, network(one), FUSED)
                for one in (sources, older, newer)
            ]
            loss = loss + ranking_loss(*scores, settings.outer_margin, inner_margin)
        step(optimizer, loss)
    network.requires_grad_(False)
    return loss.item()


def step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Take one step down a loss."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


class Snapshot(nn.Module):
    """The features of the results (N, E) of the network as it was when last tuned to."""

    def __init__(self, count: int, features: int) -> None:
        super().__init__()
        self.register_buffer('features', torch.zeros(count, features))
