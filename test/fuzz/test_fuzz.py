"""200,000 mutated messages through the message path, in a process of their own."""

import json
from pathlib import Path
import subprocess
import sys

SCRIPT = Path(__file__).with_name('fuzz_messages.py')
MESSAGES = 200_000


def test_mutated_messages_raise_nothing_but_encoding_errors_and_nothing_grows(
    tmp_path: Path,
) -> None:
    progress = tmp_path / 'progress'
    command = [sys.executable, SCRIPT, '--messages', str(MESSAGES), '--progress', progress]
    child = subprocess.run(command, capture_output=True, text=True)

    told = f'at message {progress.read_text()}: {child.stdout}\n{child.stderr}'
    assert child.returncode == 0, told
    found = json.loads(child.stdout)
    assert found['messages'] == MESSAGES
    # A fuzz that is turned away at the door proves nothing.
    assert found['outcomes']['decoded'] > MESSAGES / 4
    assert all(count > 100 for count in found['outcomes'].values()), found
    assert found['fused'] > MESSAGES / 200
