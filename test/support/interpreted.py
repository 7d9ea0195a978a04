"""
Run a check of Triton's kernels in a process of its own.

Triton decides when it is imported whether it interprets, which it does where there is no GPU.
"""

import os
import subprocess
import sys

import pytest
import torch


def assert_equal_by_triton(check: str) -> None:
    """Run Python text that asserts what it checks and prints ``equal`` when it is through."""
    pytest.importorskip('triton', reason='triton is not installed')
    environment = dict(os.environ)
    if not torch.cuda.is_available():
        environment['TRITON_INTERPRET'] = '1'
    done = subprocess.run(
        [sys.executable, '-c', check], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == 'equal'
