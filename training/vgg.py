"""
VGG-19 as a judge of images: frozen features for the perceptual loss.

Weights are torchvision's, downloaded once, or come from a safetensors file; files that would
have to be unpickled are refused.
"""

from collections.abc import Mapping
import math
from pathlib import Path

from ir_vis_fusion.errors import CheckpointError
from safetensors import safe_open, SafetensorError
import torch
from torch import nn, Tensor

# Channels of the convolutions up to conv4_2; 0 halves the size.
CHANNELS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512)
# Place of the ReLU behind each convolution.
LAYERS = {'conv2_1': 6, 'conv3_1': 11, 'conv4_2': 22}
SMALLEST_SIDE = 8
SUFFIX = '.safetensors'


class Vgg19(nn.Module):
    """
    The features that LDFusion compares (Wang et al., ACM MM 2025, public code).

    Simonyan and Zisserman, ICLR 2015, configuration E up to conv4_2, tensors named as
    torchvision names them. As there, maps are those behind the ReLU of their convolution (in the
    public code because torchvision's ReLUs overwrite its outputs; here none does), and images
    are not normalised with ImageNet's mean and deviation, although the weights were trained so.
    Frozen, but gradients reach the images.
    """

    def __init__(self) -> None:
        super().__init__()
        layers, inputs = [], 3
        for channels in CHANNELS:
            if channels == 0:
                layers.append(nn.MaxPool2d(2))
                continue
            layers += [nn.Conv2d(inputs, channels, 3, padding=1), nn.ReLU()]
            inputs = channels
        self.features = nn.Sequential(*layers)
        self.eval()
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """
        Return the maps of conv2_1, conv3_1 and conv4_2.

        Parameters
        ----------
        images
            RGB (B, 3, H, W) or grey (B, 1, H, W), which is repeated; float in [0, 1], H and W
            at least 8.

        Returns
        -------
        (B, 128, H/2, W/2), (B, 256, H/4, W/4) and (B, 512, H/8, W/8), rounded down, 0 or more.

        """
        if (
            images.ndim != 4
            or images.shape[1] not in (1, 3)
            or min(images.shape[2:]) < SMALLEST_SIDE
            or not images.is_floating_point()
        ):
            raise ValueError(
                'images must be (B, 3, H, W) or (B, 1, H, W) float in [0, 1], H and W at least '
                f'{SMALLEST_SIDE}, got {tuple(images.shape)} {images.dtype}'
            )
        x = images.to(self.features[0].weight.dtype).expand(-1, 3, -1, -1)
        maps = []
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in LAYERS.values():
                maps.append(x)
        return maps


def load_vgg19(weights: str = 'torchvision', device: str | torch.device = 'cpu') -> Vgg19:
    """
    Load the network; no chance is drawn from torch's global generator.

    Parameters
    ----------
    weights
        ``torchvision``: its ImageNet weights (548 MiB, downloaded once). ``random``: the same
        random weights each time, for dry runs and tests. Anything else: a safetensors file with
        torchvision's tensor names, which may hold the whole network.
    device
        Where it shall run.

    Raises
    ------
    CheckpointError
        Where the weights cannot be had or belong to another network.

    """
    with torch.device('meta'):
        network = Vgg19()
    wanted = {name: tensor.shape for name, tensor in network.state_dict().items()}
    if weights == 'random':
        found = _draw(wanted)
    elif weights == 'torchvision':
        found = _download()
    else:
        found = _read(Path(weights), wanted)
    faults = [name for name in wanted if name not in found or found[name].shape != wanted[name]]
    if faults:
        raise CheckpointError(
            f'{weights}: not the weights of a VGG-19 as torchvision names them: {len(faults)} of '
            f'{len(wanted)} tensors are missing or of another shape ({faults[0]}, …)'
        )
    network.load_state_dict({name: found[name].float() for name in wanted}, assign=True)
    return network.requires_grad_(False).to(device)


def _draw(shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Return weights that keep the size of activations (He et al., ICCV 2015), and no biases."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(shape, generator=generator) * math.sqrt(2 / shape[1:].numel())
        if len(shape) == 4
        else torch.zeros(shape)
        for name, shape in shapes.items()
    }


def _download() -> Mapping[str, Tensor]:
    try:
        from torchvision.models import VGG19_Weights

        return VGG19_Weights.IMAGENET1K_V1.get_state_dict(
            check_hash=True, map_location='cpu', weights_only=True
        )
    except ImportError as error:
        fault, remedy = f'it needs torchvision ({error})', 'pip install torchvision'
    except (OSError, RuntimeError) as error:
        fault = f'its weights cannot be had ({error})'
        remedy = 'torchvision downloads them once, so try with a network'
    raise CheckpointError(
        f'VGG-19: {fault}; {remedy}, or give a {SUFFIX} file with its tensors, or use the tokens '
        'of CLIP for the perceptual loss'
    )


def _read(path: Path, names: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    if path.suffix != SUFFIX:
        raise CheckpointError(
            f"{path}: VGG-19 weights must be 'torchvision', 'random' or a {SUFFIX} file; others "
            'can run code when they are read (convert them with safetensors.torch.save_file)'
        )
    if not path.is_file():
        raise CheckpointError(f'{path}: no such file')
    try:
        with safe_open(path, framework='pt') as file:
            return {name: file.get_tensor(name) for name in set(file.keys()) & names.keys()}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f'{path}: not a safetensors file, or cut off ({error}); copy or download it again'
        ) from None
