"""Many bags: each is replayed once, whatever becomes of the others; the command and its pages."""

import importlib.util
import json
import os
from pathlib import Path
import re
import subprocess
import sys

from ir_vis_fusion.checkpoint import shipped
from ir_vis_fusion.cli.main import main
from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation import bags, replay_many
from ir_vis_fusion.evaluation.replay import ReplaySettings, ReplayTopics
from ir_vis_fusion.evaluation.replay_many import find_bags, Job, replay_bags, table_rows
from ir_vis_fusion.types import RawImage
import numpy as np
import pytest

pytestmark = pytest.mark.skipif(not shipped(), reason='no weights are shipped')

ROOT = Path(__file__).resolve().parents[3]
START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 40_000_000


def write(path, count=3, level=0, names=('thermal', 'visible')):
    """Write a bag of 40x32 images at 25 Hz."""
    ramp = np.arange(40, dtype=np.uint8) + np.arange(32, dtype=np.uint8)[:, None] + level
    with bags.BagWriter(path) as bag:
        for index in range(count):
            at_ns = START_NS + index * PERIOD_NS
            thermal = RawImage(32, 40, 'mono8', False, 40, (ramp + index).tobytes(), at_ns)
            colours = np.repeat((2 * ramp + index)[..., None], 3, 2)
            visible = RawImage(32, 40, 'rgb8', False, 120, colours.tobytes(), at_ns)
            for name, image in (('thermal', thermal), ('visible', visible)):
                if name in names:
                    bag.write_image(f'/{name}/image_raw', image)
    return path


@pytest.fixture
def folder(tmp_path):
    """Return a folder of two good bags and one without a visible topic."""
    write(tmp_path / 'bags' / 'a.mcap')
    write(tmp_path / 'bags' / 'b.mcap', count=5, level=40)
    write(tmp_path / 'bags' / 'c.mcap', names=('thermal',))
    return tmp_path / 'bags'


def jobs_of(folder, out, **changes):
    settings = ReplaySettings(cpu_threads=1)
    return [
        Job(bag, out / f'{bag.stem}.mcap', settings, ReplayTopics(), **changes)
        for bag in find_bags(folder)
    ]


def in_this_process(jobs, workers):
    return ((job, replay_many.run_job(job)) for job in jobs)


def test_every_bag_is_replayed_and_a_bad_one_is_told(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(replay_many, '_in_processes', in_this_process)
    reports = replay_bags(jobs_of(folder, tmp_path / 'out'))
    assert list(reports) == ['a', 'b', 'c']
    assert [reports[name].get('fused') for name in 'abc'] == [3, 5, None]
    assert 'cannot tell the visible topic' in reports['c']['error']
    rows = table_rows(reports)
    assert [row[:4] for row in rows[1:]] == [
        ['a', '3', '3', '0'],
        ['b', '5', '5', '0'],
        ['c', '-', '-', '-'],
    ]
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {
        'a.json',
        'a.mcap',
        'b.json',
        'b.mcap',
    }


def test_finished_bags_are_skipped_until_bag_or_settings_change(folder, tmp_path, monkeypatch):
    run = []

    def counted(jobs, workers):
        run.append([job.bag.stem for job in jobs])
        return in_this_process(jobs, workers)

    monkeypatch.setattr(replay_many, '_in_processes', counted)
    out = tmp_path / 'out'
    first = replay_bags(jobs_of(folder, out))
    assert replay_bags(jobs_of(folder, out)) == first
    write(folder / 'a.mcap', level=1)
    replay_bags(jobs_of(folder, out))
    replay_bags(jobs_of(folder, out, all_topics=True))
    (out / 'b.mcap').unlink()
    replay_bags(jobs_of(folder, out, all_topics=True))
    assert run == [['a', 'b', 'c'], ['c'], ['a', 'c'], ['a', 'b', 'c'], ['b', 'c']]


def test_bags_are_found_as_files_and_folders_without_what_was_written(folder):
    (folder / 'd').mkdir()
    (folder / 'a.mcap').rename(folder / 'd' / 'd_0.mcap')
    (folder / 'notes.txt').touch()
    (folder / 'out').mkdir()
    write(folder / 'out' / 'b.mcap')
    found = find_bags(folder, folder / 'out')
    assert [path.name for path in found] == ['b.mcap', 'c.mcap', 'd']
    assert find_bags(folder / 'd', folder / 'd.mcap') == [folder / 'd']


def test_one_loose_file_is_not_taken_for_the_only_bag(folder):
    (folder / 'more' / 'd').mkdir(parents=True)
    (folder / 'a.mcap').rename(folder / 'more' / 'a.mcap')
    (folder / 'b.mcap').rename(folder / 'more' / 'd' / 'd_0.mcap')
    more = folder / 'more'
    assert find_bags(more) == [more / 'a.mcap', more / 'd']
    assert find_bags(more / 'd', folder / 'fused') == [more / 'd' / 'd_0.mcap']


def test_no_bags_and_equal_names_are_told(tmp_path):
    with pytest.raises(EvaluationError, match='no such bag or folder'):
        find_bags(tmp_path / 'nowhere')
    with pytest.raises(EvaluationError, match=r'holds no bags \(.bag, .db3, .mcap\)'):
        find_bags(tmp_path)
    for name in ('a.bag', 'a.db3'):
        (tmp_path / name).touch()
    with pytest.raises(EvaluationError, match="two bags are named 'a'"):
        find_bags(tmp_path)


def test_the_command_runs_bags_in_processes_and_merges_the_results(folder, tmp_path, capsys):
    out, merged = tmp_path / 'out', tmp_path / 'all.json'
    arguments = ['replay', str(folder), '--out', str(out), '--json', str(merged)]
    assert main([*arguments, '--workers', '2', '--param', 'cpu_threads=1']) == 1
    told = capsys.readouterr().out
    reports = json.loads(merged.read_text())['bags']
    assert [reports[name].get('fused') for name in 'abc'] == [3, 5, None]
    assert 'frames' not in reports['a']
    assert 'cannot tell the visible topic' in told
    assert len(json.loads((out / 'b.json').read_text())['frames']['EN']) == 5
    with bags.BagReader(out / 'b.mcap') as bag:
        assert bag.counts == {'/fused/image': 5}


def test_a_worker_ends_by_ctrl_c_without_a_traceback():
    ctrl_c = (
        'import os, signal; from ir_vis_fusion.evaluation import replay_many\n'
        'replay_many._prepare_worker(); os.kill(os.getpid(), signal.SIGINT)'
    )
    ended = subprocess.run([sys.executable, '-c', ctrl_c], capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (130, b'')


def test_the_command_takes_parameters_and_the_nodes_file(tmp_path, capsys):
    bag = write(tmp_path / 'a.mcap', 4)
    params = tmp_path / 'node.yaml'
    params.write_text(
        '/**/fusion_node:\n  ros__parameters:\n    use_sim_time: true\n    strength: 0.25\n'
        '    qos:\n      depth: 10\n    sync:\n      mode: hold_thermal\n'
    )
    arguments = ['replay', str(bag), '--out', str(tmp_path / 'out.mcap')]
    arguments += ['--json', str(tmp_path / 'out.json'), '--params-file', str(params)]
    assert main([*arguments, '--param', 'sync.max_offset_ms=7', 'output_encoding=bgr8']) == 0
    report = json.loads((tmp_path / 'out.json').read_text())
    used = report['configuration']
    assert (used['strength'], used['sync.mode'], used['sync.max_offset_ms']) == (
        0.25,
        'hold_thermal',
        7.0,
    )
    with bags.BagReader(tmp_path / 'out.mcap') as out:
        assert {image.encoding for _, image in out.images(['/fused/image'])} == {'bgr8'}
    assert '4 (hold_thermal), of which 4 fused' in capsys.readouterr().out
    assert main([*arguments, '--param', 'sync.mod=both_new']) == 1
    assert "did you mean 'sync.mode'" in capsys.readouterr().err
    assert main([*arguments, '--param', 'strength']) == 1
    assert "--param 'strength': expected NAME=VALUE" in capsys.readouterr().err


def test_a_recording_is_measured_with_the_defaults_of_the_node(tmp_path, capsys):
    bag, fused, file = write(tmp_path / 'a.mcap', 4), tmp_path / 'out.mcap', tmp_path / 'l.json'
    assert main(['replay', str(bag), '--out', str(fused)]) == 0
    assert main(['replay', str(bag), '--recorded', str(fused), '--json', str(file)]) == 0
    report = json.loads(file.read_text())
    assert (report['fused'], report['missing']) == (4, 0)
    assert report['configuration']['guess_mode'] is False
    assert main(['replay', str(bag)]) == 1
    assert 'give --out FUSED.mcap, or --recorded FUSED' in capsys.readouterr().err


def test_the_page_holds_plots_and_the_contact_sheet(tmp_path):
    pytest.importorskip('matplotlib', reason='matplotlib is not installed')
    bag, file = write(tmp_path / '<a>.mcap', 6), tmp_path / 'page.html'
    arguments = ['--out', str(tmp_path / 'out.mcap'), '--html', str(file)]
    assert main(['replay', str(bag), *arguments]) == 0
    page = file.read_text()
    assert '&lt;a&gt;.mcap' in page
    assert '<a>.mcap' not in page
    assert page.count('src="data:image/png;base64,') == 2
    assert '6 (both_new), of which 6 fused' in page
    # Four letters of a picture's base64 spell anything sooner or later.
    words = re.sub(r'base64,[A-Za-z0-9+/=]+', '', page)
    assert 'http' not in words.replace('http://www.w3.org', '')


def test_the_merged_page_leads_to_the_page_of_every_bag(folder, tmp_path, monkeypatch):
    pytest.importorskip('matplotlib', reason='matplotlib is not installed')
    monkeypatch.setattr(replay_many, '_in_processes', in_this_process)
    arguments = ['--out', str(tmp_path / 'out'), '--html', str(tmp_path / 'all.html')]
    assert main(['replay', str(folder), *arguments, '--param', 'cpu_threads=1']) == 1
    page = (tmp_path / 'all.html').read_text()
    assert '<a href="out/a.html">a</a>' in page
    assert '<th>c</th>' in page
    assert (tmp_path / 'out' / 'b.html').exists()


@pytest.mark.skipif(importlib.util.find_spec('ray') is not None, reason='ray is installed')
def test_a_missing_ray_is_told_with_the_remedy(folder, tmp_path):
    with pytest.raises(
        EvaluationError, match=r"ray is missing: pip install 'ir_vis_fusion\[ray\]'"
    ):
        replay_bags(jobs_of(folder, tmp_path / 'out'), ray='auto')


def test_bags_are_replayed_on_a_ray_cluster(folder, tmp_path, monkeypatch):
    ray = pytest.importorskip('ray', reason='ray is not installed')
    # Its workers do not know what pytest has put into sys.path.
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(ROOT), *sys.path]))
    ray.init('local', include_dashboard=False, _node_ip_address='127.0.0.1', num_cpus=2)
    try:
        reports = replay_bags(jobs_of(folder, tmp_path / 'out'), ray='auto')
    finally:
        ray.shutdown()
    assert [reports[name].get('fused') for name in 'abc'] == [3, 5, None]
    assert (tmp_path / 'out' / 'b.json').exists()
