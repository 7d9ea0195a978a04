"""A folder of tiny image sets in the shape that the training reads."""

from pathlib import Path

from ir_vis_fusion.evaluation.videos import VideoWriter
from ir_vis_fusion.preprocessing.encodings import write_image
import numpy as np
import pytest


def picture(rng: np.random.Generator, channels: int, side: tuple[int, int]) -> np.ndarray:
    """Return smooth noise; blocks of eight pixels are alike."""
    blocks = rng.integers(20, 235, (side[0] // 8 + 1, side[1] // 8 + 1, channels))
    image = blocks.repeat(8, axis=0).repeat(8, axis=1)[: side[0], : side[1]]
    return np.squeeze(image).astype(np.uint8)


@pytest.fixture(scope='session')
def image_sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('data')
    rng = np.random.default_rng(0)
    for name, stems in {'roadscene': 'abc', 'm3svd_frames': 'd', 'msrs_val': 'ef'}.items():
        for folder, channels in (('ir', 1), ('vi', 3)):
            (root / name / folder).mkdir(parents=True)
            for stem in stems:
                image = picture(rng, channels, (56, 64))
                write_image(root / name / folder / f'{stem}.png', image)
    (root / 'roadscene' / 'train.txt').write_text('a\nb\n')
    (root / 'roadscene' / 'val.txt').write_text('c\n')
    for folder in ('ir', 'vi'):
        (root / 'm3svd_video' / folder).mkdir(parents=True)
        with VideoWriter(root / 'm3svd_video' / folder / 'walk.mp4', fps=30) as video:
            for _ in range(7):
                image = picture(rng, 3, (48, 64))
                video.write(image[..., :1].repeat(3, axis=-1) if folder == 'ir' else image)
    return root


@pytest.fixture
def data(image_sets: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv('IR_VIS_FUSION_DATA', str(image_sets))
    return image_sets
