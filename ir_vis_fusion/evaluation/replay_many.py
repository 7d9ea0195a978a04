"""Many bags at a time, in processes of this machine or on a Ray cluster."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import as_completed, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
import dataclasses
from dataclasses import dataclass
import json
import multiprocessing
import os
from pathlib import Path
import signal
import sys
from typing import Any

from ir_vis_fusion import __version__
from ir_vis_fusion.checkpoint import resolve
from ir_vis_fusion.config import flatten
from ir_vis_fusion.errors import EvaluationError, FusionError
from ir_vis_fusion.evaluation.replay import replay, ReplaySettings, ReplayTopics
from ir_vis_fusion.evaluation.replay_report import number, replay_page
from ir_vis_fusion.runtime import prepare_process
from tqdm import tqdm

STORAGES = ('.bag', '.db3', '.mcap')
HEADINGS = tuple('bag,pairs,fused,unmatched,p50 [ms],EN,SF,flicker,FFC,error'.split(','))


@dataclass(frozen=True)
class Job:
    """
    One bag; ``out`` is its .mcap file, with .json (and .html) beside it.

    The .json file is written last, so where it is and holds the same :meth:`request` the bag is
    finished.
    """

    bag: Path
    out: Path
    settings: ReplaySettings
    topics: ReplayTopics
    all_topics: bool = False
    html: bool = False
    threads: int = 0

    def request(self) -> dict[str, Any]:
        """Return what the result depends on."""
        files = sorted(self.bag.rglob('*')) if self.bag.is_dir() else [self.bag]
        files = [resolve(self.settings.model), *(file for file in files if file.is_file())]
        stats = [(file.name, file.stat()) for file in files]
        return {
            'ir_vis_fusion': __version__,
            'files': [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats],
            'settings': flatten(self.settings),
            'topics': dataclasses.asdict(self.topics),
            'all_topics': self.all_topics,
        }

    def finished(self) -> dict[str, Any] | None:
        """Return the report of an earlier run, None where there is none of this request."""
        needed = [self.out] + [self.out.with_suffix('.html')] * self.html
        try:
            report = json.loads(self.out.with_suffix('.json').read_text(encoding='utf-8'))
        except (OSError, ValueError):
            return None
        same = report.get('request') == self.request()
        return report if same and all(file.exists() for file in needed) else None


def find_bags(folder: Path, out: Path | None = None) -> list[Path]:
    """
    List the bags in a folder, without what was written to ``out``; a bag is its own only one.

    A folder without metadata but with one storage file is a bag, unless there are more bags in
    it or ``out`` is a folder too.

    Raises
    ------
    EvaluationError
        Where there are none, or two that would be written under one name.

    """
    if folder.is_file() or (folder / 'metadata.yaml').exists():
        return [folder]
    if not folder.is_dir():
        raise EvaluationError(f'{str(folder)!r}: no such bag or folder')
    bags = sorted(path for path in folder.iterdir() if path != out and _is_bag(path))
    to_file = out is None or out.suffix == '.mcap'
    if len(bags) == 1 and to_file and _is_bag(folder):
        return [folder]
    if not bags:
        raise EvaluationError(f'{str(folder)!r}: holds no bags ({", ".join(STORAGES)})')
    names = [bag_name(bag) for bag in bags]
    for bag in bags:
        if names.count(bag_name(bag)) > 1:
            raise EvaluationError(f'{str(folder)!r}: two bags are named {bag_name(bag)!r}')
    return bags


def bag_name(bag: Path) -> str:
    """Return the name of a bag without the ending of its format."""
    return bag.stem if bag.suffix in STORAGES else bag.name


def replay_bags(
    jobs: Sequence[Job], workers: int | None = None, ray: str | None = None
) -> dict[str, dict[str, Any]]:
    """
    Replay all bags that are not finished; returns the reports by name, without single frames.

    Where a bag cannot be replayed, ``{'error': TEXT}`` stands for its report.

    Parameters
    ----------
    jobs
        One a bag.
    workers
        How many at a time; None: one for two cores.
    ray
        Address of a Ray cluster, ``auto`` for the one of this machine, ``local`` to start one;
        a process that is connected already stays so. None: processes of this machine.

    """
    reports = {job: job.finished() for job in jobs}
    left = [job for job, report in reports.items() if report is None]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    workers = workers or max(1, cores // 2)
    threads = max(1, cores // max(1, min(workers, len(left))))
    if left:
        left = [dataclasses.replace(job, threads=threads) for job in left]
        run = _in_processes(left, workers) if ray is None else _on_ray(left, ray)
        with tqdm(total=len(jobs), initial=len(jobs) - len(left), unit='bag', disable=None) as bar:
            for job, report in run:
                reports[dataclasses.replace(job, threads=0)] = report
                bar.update()
    return {bag_name(job.bag): _without_frames(reports[job]) for job in jobs}


def table_rows(reports: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Return a heading and one row a bag."""
    rows = [list(HEADINGS)]
    for name, report in reports.items():
        if 'error' in report:
            rows.append([name, *['-'] * (len(HEADINGS) - 2), report['error']])
            continue
        figures = (report['latency_ms']['p50'], *(report['metrics'][x] for x in ('EN', 'SF')))
        rows.append(
            [
                name,
                *(str(report[x]) for x in ('pairs', 'fused')),
                str(sum(report['unmatched'].values())),
                *(number(x, digits) for x, digits in zip(figures, (1, 2, 2), strict=True)),
                number(report['flicker'], 3),
                str(len(report['ffc'])),
                '',
            ]
        )
    return rows


def run_job(job: Job) -> dict[str, Any]:
    """Replay one bag and write its files; returns the report, or an error."""
    settings = job.settings
    if job.threads and not settings.cpu_threads:
        settings = dataclasses.replace(settings, cpu_threads=job.threads)
    try:
        request = job.request()
        done = replay(job.bag, job.out, settings, job.topics, job.all_topics, quiet=True)
        if job.html:
            page = replay_page(done.report, done.measurements.moments())
            job.out.with_suffix('.html').write_text(page, encoding='utf-8')
        report = {**done.report, 'request': request}
        text = json.dumps(report, indent=1, allow_nan=False)
        job.out.with_suffix('.json').write_text(text + '\n', encoding='utf-8')
    except (FusionError, OSError) as error:
        return {'error': str(error)}
    return _without_frames(report)


def _in_processes(jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, dict[str, Any]]]:
    # Spawned, for a fork of a process with threads of OpenMP hangs.
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(workers, context, _prepare_worker) as pool:
        running = {pool.submit(run_job, job): job for job in jobs}
        try:
            for future in as_completed(running):
                yield running[future], future.result()
        except BrokenProcessPool:
            raise EvaluationError(
                'a worker was ended from outside, for lack of memory perhaps; start again with '
                'fewer --workers, finished bags are skipped'
            ) from None
        finally:
            # After Ctrl-C no further bag is begun.
            pool.shutdown(wait=False, cancel_futures=True)


def _prepare_worker() -> None:
    prepare_process()
    # Ctrl-C reaches workers too, and an idle one is to end without a traceback.
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))


def _on_ray(jobs: Sequence[Job], address: str) -> Iterator[tuple[Job, dict[str, Any]]]:
    try:
        import ray
    except ModuleNotFoundError:
        raise EvaluationError("ray is missing: pip install 'ir_vis_fusion[ray]'") from None
    connected = ray.is_initialized()
    try:
        if not connected:
            ray.init(address, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise EvaluationError(f'no Ray cluster at {address!r}: {error}') from None
    try:
        remote = ray.remote(run_job)
        running = {}
        for job in jobs:
            absolute = dataclasses.replace(job, bag=job.bag.resolve(), out=job.out.resolve())
            running[remote.options(num_cpus=job.threads).remote(absolute)] = job
        while running:
            (done,), _ = ray.wait(list(running), num_returns=1)
            yield running.pop(done), ray.get(done)
    finally:
        if not connected:
            ray.shutdown()


def _is_bag(path: Path) -> bool:
    if path.is_file():
        return path.suffix in STORAGES
    if not path.is_dir():
        return False
    stored = [file.suffix for file in path.iterdir() if file.suffix in STORAGES]
    return (path / 'metadata.yaml').exists() or stored in (['.db3'], ['.mcap'])


def _without_frames(report: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in report.items() if name not in ('frames', 'request')}
