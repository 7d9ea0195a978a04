"""
All errors of the package: one class a room, under one base.

A message names the value that was wrong, what was expected and what to do about it.
"""

from collections.abc import Iterable
import difflib
import warnings


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``, did you mean 'NAME'?`` with the most similar known name, '' without one."""
    by_lower = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return f', did you mean {by_lower[near[0]]!r}?' if near else ''


def warn_of_slowness(what: str, error: Exception) -> None:
    """Warn that torch does what kernels of this package would do faster."""
    cause = next(iter(str(error).splitlines()), '')
    warnings.warn(
        f'{what} do not work here ({type(error).__name__}: {cause}); torch does the same, slower. '
        'They need triton and a C compiler.',
        RuntimeWarning,
        stacklevel=3,
    )


class FusionError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigError(FusionError):
    """A setting, a parameter file or a recipe holds values that cannot be used."""


class EncodingError(FusionError):
    """
    An image message or file cannot be decoded.

    ``kind`` is a short, stable name of the fault for counters: ``truncated``,
    ``unknown_encoding``, ``empty``, ``too_large``, ``undecodable`` or ``channels``; ``file``
    where an image file cannot be opened or written.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class CalibrationError(FusionError):
    """What is known of the cameras' geometry is missing, contradictory or does not fit."""


class GuidanceError(FusionError):
    """CLIP, its weights or an embedding bank cannot be had or do not fit together."""


class CheckpointError(FusionError):
    """A weights file is missing, damaged or made for another network."""


class BackendError(FusionError):
    """A library that runs or writes networks is missing or cannot do it."""


class DeviceError(FusionError):
    """The device that was asked for is not there or cannot be used."""


class EvaluationError(FusionError):
    """Files, videos or bags to be fused or measured cannot be read or do not match."""
