"""Packaging for pip (library and ``ivf``) and for ament_python (node, launch, config, weights)."""

from glob import glob
from pathlib import Path
import re

from setuptools import find_packages, setup

package = 'ir_vis_fusion'
here = Path(__file__).resolve().parent
version = re.search(r"__version__ = '(.+)'", (here / package / '__init__.py').read_text())[1]

# Message wheels of ROS 2 Jazzy for machines without a ROS 2 installation.
ros = [
    'ros-jazzy-rclpy[fastrtps]',
    *(
        f'ros-jazzy-{name}'
        for name in (
            'sensor-msgs',
            'std-msgs',
            'std-srvs',
            'diagnostic-msgs',
            'lifecycle-msgs',
            'rosgraph-msgs',
        )
    ),
]
clip = ['open_clip_torch>=3.0', 'torchvision']
bags = ['rosbags>=0.11.9']  # opens .mcap files without metadata.yaml
report = ['matplotlib>=3.10']
ray = ['ray>=2.9']  # ivf replay --ray
onnx = ['onnxruntime']
export = ['onnx', 'onnxscript', *onnx]  # torch's exporter wants the first two
detect = [*onnx, 'pycocotools']
train = ['accelerate>=1.0', 'tensorboard', *clip]
test = ['hypothesis', 'piq', 'pytest>=9', 'scikit-image', 'torchmetrics']

setup(
    name=package,
    version=version,
    description='Real-time CLIP-guided fusion of thermal and visible images for ROS 2 robots',
    long_description=(here / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    author='ir_vis_fusion maintainers',
    maintainer='ir_vis_fusion maintainers',
    maintainer_email='maintainers@ir-vis-fusion.invalid',
    packages=find_packages(include=['ir_vis_fusion', 'ir_vis_fusion.*']),
    package_data={package: ['weights/*', 'node/fastdds.xml', 'evaluation/report.*s']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{package}']),
        (f'share/{package}', ['package.xml']),
        (f'share/{package}/launch', sorted(glob('launch/*.launch.py'))),
        (
            f'share/{package}/config',
            [*sorted(glob('config/*.yaml')), f'{package}/node/fastdds.xml'],
        ),
        (f'share/{package}/config/sros2', sorted(glob('config/sros2/*.xml'))),
        (f'share/{package}/config/calibration', sorted(glob('config/calibration/*.yaml'))),
        (f'share/{package}/weights', sorted(glob(f'{package}/weights/*'))),
    ],
    python_requires='>=3.10',
    install_requires=[
        'av',
        'numpy',
        'opencv-python-headless',
        'pillow>=10.1',
        'pyyaml',
        'safetensors',
        'torch>=2.3',
        'tqdm',
    ],
    extras_require={
        'ros': ros,
        'clip': clip,
        'bags': bags,
        'report': report,
        'ray': ray,
        'onnx': onnx,
        'export': export,
        'detect': detect,
        'train': train,
        'test': test,  # colcon runs pytest where it is named here
        'dev': [*bags, *report, *detect, *export, *train, *test, 'ruff'],
    },
    zip_safe=False,
    entry_points={
        'console_scripts': [
            'ivf = ir_vis_fusion.cli.main:main',
            'fusion_node = ir_vis_fusion.node.main:main',
        ],
    },
)
