"""
The weights of one tower out of a file with one tower or both.

A file is a safetensors file with open_clip's names: those of the image tower begin with
``visual.``, all others belong to the text tower.
"""

from collections.abc import Mapping
from pathlib import Path

from ir_vis_fusion.errors import GuidanceError
from ir_vis_fusion.files import checked_file, MAX_WEIGHTS_BYTES
from torch import nn

THREE_WAYS_TO_TEXT = (
    'give a CLIP with a text tower (name and pretrained tag, or a file that holds it), '
    'an embedding bank (which `ivf prompts encode` writes on a machine that has the tower), '
    'or learned prompts (a bank that a training wrote)'
)
SUFFIX = '.safetensors'
IMAGE_PREFIX = 'visual.'
# Of both towers; what compares features brings its own scale.
SHARED = {'logit_scale', 'logit_bias'}


def find_tower(path: Path, image: bool) -> dict[str, str]:
    """
    Map the tensor names of the image or the text tower to those in a file.

    Raises
    ------
    GuidanceError
        Where the file cannot be read or has no such tower.

    """
    from safetensors import safe_open, SafetensorError

    if path.suffix != SUFFIX:
        raise GuidanceError(
            f'{path}: CLIP weights must be a {SUFFIX} file; others can run code when they are '
            'read (convert them with safetensors.torch.save_file)'
        )
    found = checked_file(path, MAX_WEIGHTS_BYTES, GuidanceError)
    try:
        with safe_open(found, framework='pt') as file:
            keys = set(file.keys())
    except (SafetensorError, OSError) as error:
        raise GuidanceError(
            f'{path}: not a safetensors file, or cut off ({error}); copy or download it again'
        ) from None
    of_image = {key for key in keys if key.startswith(IMAGE_PREFIX)}
    if image and not of_image:
        raise GuidanceError(f'{path}: no image tower in it (open_clip names it {IMAGE_PREFIX}*)')
    of_text = keys - of_image - SHARED
    if not image and not of_text:
        raise GuidanceError(f'{path}: no text tower in it; {THREE_WAYS_TO_TEXT}')
    return {key.removeprefix(IMAGE_PREFIX): key for key in (of_image if image else of_text)}


def fill_tower(tower: nn.Module, path: Path, names: Mapping[str, str]) -> None:
    """
    Copy the tensors that :func:`find_tower` found into a tower, which must want just these.

    Raises
    ------
    GuidanceError
        Where they belong to another model.

    """
    from safetensors import safe_open

    expected = {k: v.shape for k, v in tower.state_dict().items() if k not in SHARED}
    with safe_open(path, framework='pt') as file:
        found = {name: file.get_tensor(key) for name, key in names.items()}
    faults = [
        name
        for name in sorted(expected.keys() | found.keys())
        if name not in found or found[name].shape != expected.get(name)
    ]
    if faults:
        raise GuidanceError(
            f'{path}: made for another CLIP model: {len(faults)} tensors are missing, unknown or '
            f'of another shape ({faults[0]}, …); give the name of the model that it belongs to'
        )
    tower.load_state_dict(found, strict=False)
