"""
Nothing that is read can run code: an AST walk over all that ships, launch files included.

Names are compared as written after imports are resolved, so that an alias does not hide one.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ('ir_vis_fusion', 'training', 'launch')

# Run text, or objects out of a file.
CALLS = {
    'eval',
    'exec',
    'compile',
    '__import__',
    'input',
    'os.system',
    'os.popen',
    'os.execv',
    'os.execvp',
    'os.spawnv',
    'pty.spawn',
    'subprocess.getoutput',
    'subprocess.getstatusoutput',
    'asyncio.create_subprocess_shell',
    'code.interact',
    'runpy.run_path',
    'torch.load',
    'torch.jit.load',
    'torch.export.load',
    'torch.hub.load',
    'torch.package.PackageImporter',
    'numpy.load',
    'pandas.read_pickle',
    'yaml.load',
    'yaml.full_load',
    'yaml.unsafe_load',
    'yaml.load_all',
}
MODULES = {'pickle', 'cPickle', 'dill', 'cloudpickle', 'marshal', 'shelve', 'joblib'}
# Parsers that expand entities: none is needed.
MODULES |= {'xml', 'lxml', 'xmlrpc'}


def sources() -> list[Path]:
    return [ROOT / 'setup.py', *(p for f in FOLDERS for p in sorted((ROOT / f).rglob('*.py')))]


def imported(tree: ast.AST) -> dict[str, str]:
    """Map the local names of imports to what they stand for."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                local = alias.asname or alias.name.split('.')[0]
                names[local] = alias.name if alias.asname else local
        elif isinstance(node, ast.ImportFrom):
            names |= {a.asname or a.name: f'{node.module}.{a.name}' for a in node.names}
    return names


def dotted(node: ast.AST, names: dict[str, str]) -> str:
    """Return ``os.system`` for the function of a call, '' for what is no name."""
    if isinstance(node, ast.Attribute):
        inside = dotted(node.value, names)
        return f'{inside}.{node.attr}' if inside else ''
    return names.get(node.id, node.id) if isinstance(node, ast.Name) else ''


def faults(text: str) -> Iterator[str]:
    tree = ast.parse(text)
    names = imported(tree)
    for module in names.values():
        if module.split('.')[0] in MODULES:
            yield f'imports {module}'
    for node in ast.walk(tree):
        if isinstance(node, (ast.Name, ast.Attribute)) and dotted(node, names) in CALLS:
            yield f'line {node.lineno}: {dotted(node, names)}'
        if not isinstance(node, ast.Call):
            continue
        for keyword in node.keywords:
            value = getattr(keyword.value, 'value', None)
            if (
                keyword.arg in ('shell', 'allow_pickle', 'trust_remote_code')
                and value is not False
            ):
                yield f'line {node.lineno}: {keyword.arg}={value!r}'


def test_no_source_runs_text_opens_a_shell_or_unpickles() -> None:
    found = [
        f'{path.relative_to(ROOT)} {fault}'
        for path in sources()
        for fault in faults(path.read_text())
    ]
    assert not found


def test_the_walk_covers_the_tree() -> None:
    files = {path.relative_to(ROOT).as_posix() for path in sources()}
    assert {'ir_vis_fusion/node/main.py', 'launch/fusion.launch.py', 'training/loop.py'} <= files


@pytest.mark.parametrize(
    'text',
    [
        'eval("1")',
        'from os import system as s\ns("ls")',
        'import subprocess as p\np.run("ls", shell=True)',
        'import torch\ntorch.load("x")',
        'from torch import load\nload("x")',
        'import numpy as np\nnp.load("x")',
        'import yaml\nyaml.load("x", Loader=yaml.Loader)',
        'def f():\n    import pickle',
        'from xml.etree import ElementTree',
        'run = exec',
        'f(x, allow_pickle=True)',
    ],
)
def test_the_walk_finds_what_it_looks_for(text: str) -> None:
    assert list(faults(text))


def test_the_walk_leaves_harmless_namesakes_alone() -> None:
    text = 'model.eval()\nimport re\nre.compile("x")\nyaml.safe_load("x")\nimport torch\n'
    assert not list(faults(text + 'safetensors.torch.load(b"x")\ntorch.compile(model)'))


def test_no_file_of_a_kind_that_runs_when_it_is_read_ships() -> None:
    running = {'.pt', '.pth', '.pkl', '.pickle', '.npy', '.npz', '.joblib', '.ckpt', '.bin', '.so'}
    folders = (*FOLDERS, 'config', 'resource')
    files = [file for folder in folders for file in (ROOT / folder).rglob('*')]
    assert len(files) > 100
    assert not [file for file in files if file.suffix in running]
