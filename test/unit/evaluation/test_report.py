"""The page of ``ivf evaluate --html``: whole in itself, complete, and alive in a browser."""

import base64
from html.parser import HTMLParser
import io
import json
from pathlib import Path
import re
import shutil
import subprocess
import sys
from typing import Any

from ir_vis_fusion.cli.main import main
from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation import gallery, quality_report
from ir_vis_fusion.evaluation.image_sets import list_pairs
from ir_vis_fusion.evaluation.measures import MEASURES
from ir_vis_fusion.evaluation.methods import folder_method, trivial_methods
from ir_vis_fusion.evaluation.report import page, picture, require_matplotlib
from ir_vis_fusion.preprocessing.encodings import write_image
import numpy as np
from PIL import Image
import pytest

BROWSER = next(
    filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), ''
)
QUIET = (
    '--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync '
    '--disable-background-networking --disable-component-update --virtual-time-budget=3000'
).split()
METHODS = [*trivial_methods(), 'other', 'student']
# What a user would do, and what must have happened then.
VISIT = """<script>
addEventListener('load', () => {
  const move = (id, value, event) => {
    const control = document.getElementById(id);
    control.value = value;
    control.dispatchEvent(new Event(event));
  };
  move('metric', 'Nabf', 'change');
  move('position', 0.5, 'input');
  const heading = [...document.querySelectorAll('thead th')].find((x) => /^VIF/.test(x.innerText));
  heading.click();
  const stage = document.querySelector('#gallery .stage');
  const loaded = [...document.images].filter((x) => x.naturalWidth > 0).length;
  document.body.dataset.seen = JSON.stringify({
    figures: document.querySelectorAll('#gallery figure').length,
    images: document.images.length, loaded,
    tags: [...stage.querySelectorAll('.tag')].map((x) => x.textContent),
    cut: stage.querySelectorAll('img')[1].style.clipPath,
    worst: document.querySelector('#worst figcaption span').textContent,
    first: document.querySelector('tbody th').textContent,
  });
});
</script></body>"""


class Links(HTMLParser):
    """Collects what a page refers to and the text of its table."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.rows: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        names = ('src', 'href', 'xlink:href', 'action', 'data', 'poster', 'srcset')
        self.links += [value or '' for name, value in attributes if name in names]

    def handle_data(self, data: str) -> None:
        self.rows.append(data)


@pytest.fixture(scope='module')
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the command on three pairs; return the folder it left."""
    pytest.importorskip('matplotlib', reason='matplotlib is not installed')
    folder = tmp_path_factory.mktemp('report')
    random = np.random.default_rng(0)
    for role in ('ir', 'vi', 'other'):
        (folder / role).mkdir()
        for stem in ('one', 'two', 'three'):
            image = random.integers(0, 255, (48, 56, 3), dtype=np.uint8)
            write_image(folder / role / f'{stem}.png', image)
    options = ['--thermal', str(folder / 'ir'), '--visible', str(folder / 'vi')]
    options += ['--model', 'student', '--fused', str(folder / 'other')]
    files = ['--json', str(folder / 'r.json'), '--html', str(folder / 'r.html')]
    assert main(['evaluate', *options, *files, '--device', 'cpu']) == 0
    return folder


def data_of(text: str) -> dict[str, Any]:
    return json.loads(text.partition('id="data">')[2].partition('</script>')[0])


def test_the_page_refers_to_nothing_outside_itself(written: Path) -> None:
    text = (written / 'r.html').read_text()
    parser = Links()
    parser.feed(text)
    assert all(link.startswith(('data:', '#')) for link in parser.links), parser.links
    assert '@import' not in text
    assert all(link.startswith('#') for link in re.findall(r'url\(([^)]*)\)', text))
    assert parser.tags.count('svg') == 2


def test_the_page_shows_every_method_metric_and_figure(written: Path) -> None:
    results = json.loads((written / 'r.json').read_text())
    text = (written / 'r.html').read_text()
    parser = Links()
    parser.feed(text)
    assert [row for row in parser.rows if row in METHODS][: len(METHODS)] == METHODS
    for name in MEASURES:
        assert any(row.startswith(f'{name} ') for row in parser.rows)
        assert f'<title>{name}' in text or f'>{name}</text>' in text
    assert f'{results["methods"]["student"]["mean"]["VIF"]:.3f}' in parser.rows
    assert results['methods']['student']['sha256'] in text
    data = data_of(text)
    assert list(data['pictures']) == ['one', 'three', 'two']
    assert set(data['pictures']['one']) == set(METHODS)
    assert data['methods'] == ['other', 'student', 'mean', 'max', 'laplacian']
    value = results['methods']['other']['per_image']['two']['Qabf']
    assert data['values']['Qabf']['other']['two'] == value


def test_pictures_are_small_and_of_the_right_colours() -> None:
    image = np.full((600, 1000, 3), (200, 100, 40), np.uint8)
    address = picture(image)
    assert address.startswith('data:image/webp;base64,')
    bytes_of = base64.b64decode(address.partition(',')[2])
    pixels = np.asarray(Image.open(io.BytesIO(bytes_of)).convert('RGB'))
    assert pixels.shape == (384, 640, 3)
    np.testing.assert_allclose(pixels[10, 10].astype(int), (200, 100, 40), atol=6)


def test_text_cannot_break_out_of_the_page() -> None:
    text = page('<b>', [('a & b', '')], {'name': '</script><b>'})
    assert '<b>' not in text.replace('\\/', '/').partition('<script')[0]
    assert data_of(text) == {'name': '</script><b>'}
    assert '<title>&lt;b&gt;</title>' in text


def test_of_too_many_pairs_ends_and_an_even_spread_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 40 pairs 10 fit: the worst and the best by the first metric are among them."""
    for role in ('ir', 'vi', 'other'):
        (tmp_path / role).mkdir()
        for at in range(40):
            write_image(tmp_path / role / f'{at}.png', np.zeros((4, 4), np.uint8))
    pairs = list_pairs(tmp_path / 'ir', tmp_path / 'vi')
    methods = {'other': folder_method(tmp_path / 'other', pairs)}
    monkeypatch.setattr(gallery, 'MOST_PICTURES', 30)
    values = {stem: dict.fromkeys(MEASURES, float((int(stem) * 7) % 40)) for stem in pairs}
    rows = {'other': {'per_image': values}}
    stems = quality_report.pictured(rows, pairs, methods)
    assert len(stems) == 10
    assert {'0', '17'} <= set(stems)  # 17 * 7 = 119 = 39 mod 40
    assert stems == sorted(stems, key=int)
    assert int(stems[-1]) > 30


def test_a_missing_matplotlib_is_told_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'matplotlib', None)
    with pytest.raises(EvaluationError, match=r'matplotlib is missing: pip install .*\[report\]'):
        require_matplotlib()


@pytest.mark.skipif(not BROWSER, reason='no chromium or chrome')
def test_slider_cases_and_sorting_work_in_a_browser(written: Path, tmp_path: Path) -> None:
    """Half way from thermal to visible the cut is in the middle; cases follow the metric."""
    text = (written / 'r.html').read_text()
    visited = tmp_path / 'visited.html'
    visited.write_text(text.replace('</body>', VISIT))
    command = [BROWSER, *QUIET, f'--user-data-dir={tmp_path / "profile"}', '--dump-dom']
    result = subprocess.run(
        [*command, '--enable-logging=stderr', visited.as_uri()],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    seen = re.search(r'data-seen="([^"]*)"', result.stdout)
    assert seen, result.stderr
    facts = json.loads(seen[1].replace('&quot;', '"'))
    results = json.loads((written / 'r.json').read_text())['methods']
    nabf = {stem: row['Nabf'] for stem, row in results['other']['per_image'].items()}
    assert facts['figures'] == 3
    assert facts['images'] == facts['loaded'] == 2 * (3 + 1 + 1)
    assert facts['tags'] == ['thermal', 'visible']
    assert facts['cut'] == 'inset(0px 0px 0px 50%)'
    assert facts['worst'] == max(nabf, key=nabf.get)
    assert facts['first'] == max(results, key=lambda name: results[name]['mean']['VIF'])
    assert 'Uncaught' not in result.stderr
