"""What was seen of each fault, for docs/faults.md; filled by the tests in their order."""

from pathlib import Path

from ir_vis_fusion.types import Mode

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'faults.md'
# Nothing is wrong, and nothing is said to be.
WELL = 'fusing'

HEAD = """\
# Faults

What `fusion_node` does when something goes wrong. `test/node/test_faults*.py` inject each fault
into a live node over DDS and write down what they saw: this page is generated, and a test compares
it with the next run (`FAULTS=write python -m pytest test/node -k faults` writes it).

While a fault of the first table lasts, the node says the words in `~/status` and on `/diagnostics`
and publishes what the mode names; it never ends, and fuses again within a second of good input, by
the stamps of the images. What `mode` means: [degradation.md](degradation.md).
"""
TABLE = """
## {title}

| fault | said | mode |
| --- | --- | --- |
"""
START = """
## At the start and at the end

Said in the log. A start that is refused leaves the node unconfigured, and after the cause is
removed it starts and fuses; the executable ends with code 1 then, unless `autostart` is false.
After a signal it ends with code 0 and no traceback.

| fault | said | what happens |
| --- | --- | --- |
"""

running: dict[str, str] = {}
starting: dict[str, str] = {}


def says(message: str, words: str) -> bool:
    """Say whether a status says these words and, where nothing is wrong, nothing else."""
    return message == WELL if words == WELL else words in message


def note(fault: str, words: str, mode: Mode) -> None:
    """Write down what a running node said and published."""
    said = 'nothing' if words == WELL else f'… {words} …'
    running[fault] = f'| {fault} | {said} | `{mode.value}` |'


def note_start(fault: str, words: str, happens: str) -> None:
    """Write down what a node said that starts or ends."""
    starting[fault] = f'| {fault} | {"… " + words + " …" if words else "nothing"} | {happens} |'


def page() -> str:
    """Return the page."""
    table = TABLE.format(title='While it runs')
    rows = ('\n'.join(rows.values()) + '\n' for rows in (running, starting))
    first, second = rows
    return HEAD + table + first + START + second
