"""
Files that a parameter or an argument names: resolved and checked before a byte is read.

Whoever may set a parameter of the node chooses its paths. A pipe would hang it, a device never
ends, and a file of any size would be read into memory; none of them is opened.
"""

from collections.abc import Collection
from pathlib import Path

from ir_vis_fusion.errors import FusionError

MIB = 2**20
# The largest CLIP of open_clip in float32 (5B parameters aside) has 4 GB, a network of ours 6 MB.
MAX_WEIGHTS_BYTES = 8192 * MIB
MAX_CHECKPOINT_BYTES = 1024 * MIB
MAX_IMAGE_BYTES = 512 * MIB
MAX_TEXT_BYTES = 4 * MIB


def checked_file(
    path: str | Path,
    max_bytes: int,
    error: type[FusionError],
    suffixes: Collection[str] = (),
    advice: str = '',
) -> Path:
    """
    Return the absolute path, without links, of a regular file that may be read.

    Parameters
    ----------
    path
        As the user wrote it; ``~`` is the home directory.
    max_bytes
        Largest size that is accepted.
    error
        What is raised; one of the errors of the room that reads the file.
    suffixes
        What its name may end in, small letters with the dot; empty: anything.
    advice
        Follows ``no such file`` in the message.

    Raises
    ------
    FusionError
        As ``error`` says, where there is no such file or it must not be read.

    """
    try:
        found = Path(path).expanduser()
        if suffixes and found.suffix.lower() not in suffixes:
            raise error(f'{path}: must be a {" or ".join(sorted(suffixes))} file')
        found = found.resolve()
        if not found.exists():
            raise error(f'{path}: no such file{advice}')
        if not found.is_file():
            raise error(f'{path}: must be a regular file, not a folder, pipe or device')
        size = found.stat().st_size
    except (OSError, RuntimeError, ValueError) as fault:  # a loop of links, no home, a NUL
        raise error(f'{path}: cannot be read: {fault}') from None
    if size > max_bytes:
        raise error(
            f'{path}: is {size / MIB:.0f} MiB, at most {max_bytes / MIB:.0f} MiB are read; is it '
            'the right file?'
        )
    return found
