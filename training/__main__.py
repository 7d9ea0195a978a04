"""``python3 -m training RECIPE [key=value ...]``: train a network as its recipe says."""

import argparse
from collections.abc import Sequence
from pathlib import Path
import shlex
import sys
from typing import Any

from ir_vis_fusion.config import nested_to_dotted, read_yaml, Settings, unflatten
from ir_vis_fusion.errors import ConfigError, FusionError
from training import features
from training.recipes import clipfusion, ldfusion, mgfusion, student, textfusion
import yaml

CONFIGS = Path(__file__).parent / 'configs'
# Each has RecipeSettings and train(settings, command, dry_run).
RECIPES = {
    'cache-features': features,
    'clipfusion': clipfusion,
    'ldfusion': ldfusion,
    'mgfusion': mgfusion,
    'student': student,
    'textfusion': textfusion,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train; return the exit status."""
    options = parse(arguments)
    try:
        settings = read_settings(options.recipe, options.config, options.overrides)
        RECIPES[options.recipe].train(settings, command_of(options), dry_run=options.dry_run)
    except FusionError as error:
        sys.stderr.write(f'training: {error}\n')
        return 1
    except KeyboardInterrupt:
        sys.stderr.write('\ntraining: stopped; the same command goes on from the last epoch\n')
        return 130
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog='python3 -m training',
        description='Train a network. The folder of the image sets is taken from the variable '
        'IR_VIS_FUSION_DATA. A run that was stopped goes on when it is started again. Several '
        'processes: `accelerate launch -m training ...`.',
    )
    parser.add_argument('recipe', choices=sorted(RECIPES))
    parser.add_argument(
        'overrides',
        nargs='*',
        metavar='key=value',
        help='settings that differ from the configuration file, such as steps=500',
    )
    parser.add_argument('--config', type=Path, help='default: training/configs/RECIPE.yaml')
    parser.add_argument(
        '--dry-run', action='store_true', help='two steps with whatever data there is, no output'
    )
    # Overrides may stand on both sides of the options.
    return parser.parse_intermixed_args(arguments)


def command_of(options: argparse.Namespace) -> str:
    """Return the command line as one would type it again."""
    config = ['--config', str(options.config)] if options.config else []
    words = ('python3', '-m', 'training', options.recipe, *config, *options.overrides)
    return shlex.join(words)


def read_settings(recipe: str, config: Path | None, overrides: Sequence[str]) -> Settings:
    """
    Build a recipe's settings from its file and the overrides of the command line.

    Raises
    ------
    ConfigError
        With every unknown key and bad value at once.

    """
    path = config or CONFIGS / f'{recipe}.yaml'
    values = nested_to_dotted(read_yaml(path))
    for override in overrides:
        key, separator, value = override.partition('=')
        if not separator:
            raise ConfigError(f'override {override!r} must have the form key=value')
        values[key] = value_of(value)
    return unflatten(RECIPES[recipe].RecipeSettings, values, where=path.name)


def value_of(text: str) -> Any:
    """Read what stands behind the = of an override, as YAML but for two cases."""
    # Nothing is the empty text, not null; 1e-3 is a number, which YAML would write 1.0e-3.
    if not text:
        return ''
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f'override value {text!r} is not valid YAML: {error}') from None
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


if __name__ == '__main__':
    sys.exit(main())
