"""
Check the package that colcon installed, from a folder outside the source tree.

Usage: ``python check_installed.py INSTALL_PREFIX`` with ``setup.bash`` of the workspace sourced.
"""

from pathlib import Path
import subprocess
import sys

import ir_vis_fusion
from ir_vis_fusion.checkpoint import load_checkpoint, resolve


def main() -> int:
    """Return 0 where everything is in place."""
    prefix = Path(sys.argv[1]).resolve()
    share = prefix / 'share' / 'ir_vis_fusion'
    wanted = [
        prefix / 'share/ament_index/resource_index/packages/ir_vis_fusion',
        share / 'package.xml',
        share / 'launch' / 'fusion.launch.py',
        share / 'launch' / 'replay.launch.py',
        share / 'config' / 'fusion.yaml',
        share / 'config' / 'calibration' / 'example.yaml',
        share / 'config' / 'sros2' / 'fusion_node.policy.xml',
        share / 'weights' / 'student.safetensors',
        prefix / 'lib' / 'ir_vis_fusion' / 'fusion_node',
        prefix / 'lib' / 'ir_vis_fusion' / 'ivf',
    ]
    faults = [f'missing: {path}' for path in wanted if not path.exists()]
    if prefix not in Path(ir_vis_fusion.__file__).resolve().parents:
        faults.append(f'imported from elsewhere: {ir_vis_fusion.__file__}')
    in_share = resolve('package://ir_vis_fusion/weights/student.safetensors')
    if share not in in_share.resolve().parents:
        faults.append(f'package:// found {in_share} instead of a file below {share}')
    if load_checkpoint(in_share).sha256 != load_checkpoint(resolve('student')).sha256:
        faults.append('the weights in share/ differ from those of the Python package')
    if any(prefix.glob('lib/python3*/site-packages/training*')):
        faults.append('training must not be installed')
    ivf = subprocess.run(
        [prefix / 'lib/ir_vis_fusion/ivf', 'models'], capture_output=True, text=True, check=False
    )
    if ivf.returncode or 'student' not in ivf.stdout:
        faults.append(f'ivf models: exit {ivf.returncode}: {ivf.stdout}{ivf.stderr}')
    print('\n'.join(faults) or 'installed package: all parts found')
    return int(bool(faults))


if __name__ == '__main__':
    sys.exit(main())
