"""package.xml, setup.py and the package itself tell the same story."""

import ast
from pathlib import Path
import xml.etree.ElementTree as ElementTree

import ir_vis_fusion

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = ElementTree.parse(ROOT / 'package.xml').getroot()


def ros_imports() -> set[str]:
    """Return the ROS packages that the sources import, by asking the import rules."""
    names = set()
    for folder in ('ir_vis_fusion', 'launch'):
        for path in (ROOT / folder).rglob('*.py'):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split('.')[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names.add(node.module.split('.')[0])
    return {name for name in names if name.endswith('_msgs') or name in ROS_PACKAGES}


ROS_PACKAGES = {'rclpy', 'cv_bridge', 'launch', 'launch_ros', 'std_srvs', 'builtin_interfaces'}


def test_the_manifest_names_every_ros_package_that_is_imported() -> None:
    declared = {element.text for element in MANIFEST if element.tag in ('depend', 'exec_depend')}
    assert 'rclpy' in ros_imports()
    assert ros_imports() - declared == set()


def test_the_manifest_has_the_version_of_the_package() -> None:
    assert MANIFEST.attrib['format'] == '3'
    assert MANIFEST.findtext('version') == ir_vis_fusion.__version__
    assert MANIFEST.findtext('license') == 'Apache-2.0'
    assert MANIFEST.findtext('export/build_type') == 'ament_python'


def test_the_changelog_describes_the_version() -> None:
    assert f'## {ir_vis_fusion.__version__}' in (ROOT / 'CHANGELOG.md').read_text()


def test_shipped_weights_stay_small() -> None:
    files = list((ROOT / 'ir_vis_fusion' / 'weights').glob('*.safetensors'))
    assert files
    assert all(path.stat().st_size <= 5_000_000 for path in files)
    assert (ROOT / 'ir_vis_fusion/weights/student.safetensors').stat().st_size <= 1_000_000
