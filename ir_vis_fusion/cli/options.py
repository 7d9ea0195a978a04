"""Options that several commands share."""

import argparse

from ir_vis_fusion.config import ClipSettings, FrameSettings, GuidanceSettings, PredictorSettings
from ir_vis_fusion.errors import EvaluationError


def add_clip_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--clip``, ``--pretrained`` or ``--clip-file``, and ``--device``."""
    _add_clip(parser)
    _add_device_option(parser)


def add_bank_option(parser: argparse._ActionsContainer, required: bool = False) -> None:
    """Add ``--bank``."""
    parser.add_argument(
        '--bank',
        default='',
        required=required,
        metavar='FILE[#TENSOR]',
        help='embedding bank (see `ivf prompts encode`), and which tensor if it holds several',
    )


def add_predictor_options(parser: argparse.ArgumentParser) -> None:
    """Add what :func:`predictor_settings` and :func:`frame_settings` read."""
    parser.add_argument(
        '--model',
        default=PredictorSettings.model,
        help='name of a shipped model (see `ivf models`), path of a .safetensors checkpoint or of '
        'what `ivf export` wrote (.onnx, .engine)',
    )
    _add_device_option(parser)
    parser.add_argument(
        '--local-contrast',
        type=float,
        default=FrameSettings.local_contrast,
        metavar='GAIN',
        help='more contrast to the surroundings, 0 to 1; 0.2 helps detectors a little',
    )
    group = parser.add_argument_group(
        'guidance', 'for models that take features of CLIP; they run without it too'
    )
    _add_clip(group)
    add_bank_option(group)
    group.add_argument(
        '--prompt',
        default='',
        metavar='SENTENCE',
        help='guides models that take text; without it, what image tower and bank say',
    )


def predictor_settings(options: argparse.Namespace) -> PredictorSettings:
    """Return what the options of :func:`add_predictor_options` mean."""
    guidance = GuidanceSettings(clip=clip_settings(options), bank=options.bank)
    return PredictorSettings(model=options.model, device=options.device, guidance=guidance)


def frame_settings(options: argparse.Namespace) -> FrameSettings:
    """Return what the options of :func:`add_predictor_options` mean for every frame."""
    return FrameSettings(prompt=options.prompt, local_contrast=options.local_contrast)


def clip_settings(options: argparse.Namespace) -> ClipSettings:
    """Return what the options of :func:`add_clip_options` mean."""
    return ClipSettings(options.clip, options.pretrained, options.clip_file)


def count(text: str) -> int:
    """Take a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'must be a whole number of at least 1, got {text!r}')
    return int(text)


def missing_ros(error: ModuleNotFoundError) -> EvaluationError:
    """Return the error of a command that needs rclpy and rosbags, with the remedy."""
    return EvaluationError(
        f"{error.name} is missing: pip install 'ir_vis_fusion[ros,bags]', or source ROS 2 and "
        "pip install 'ir_vis_fusion[bags]' (`ivf doctor` shows what is there)"
    )


def _add_clip(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        '--clip',
        default=ClipSettings.name,
        metavar='NAME',
        help="open_clip's name of the model (default: %(default)s)",
    )
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument(
        '--pretrained', default='', metavar='TAG', help="open_clip's tag of its weights (openai)"
    )
    weights.add_argument(
        '--clip-file', default='', metavar='FILE', help='.safetensors file with its weights'
    )


def _add_device_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--device', default='auto', help='auto (CUDA where it is), cpu, cuda or cuda:N'
    )
