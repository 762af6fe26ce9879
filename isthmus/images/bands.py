"""Images of 1 to 64 channels, and which three of them a picture shows.

Sheets, reports and notebooks have three colours. Images of more channels are shown by three of them, those
of two by the first, as gray; `show=(4, 3, 2)` chooses others, counted from 1. Pixels, codes and errors are
always those of all channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from isthmus.errors import UsageError
from isthmus.log import log_note

if TYPE_CHECKING:
    from isthmus.images.store import Pixels

MAX_CHANNELS = 64
Bands = tuple[int, ...]
_chosen_bands: ContextVar[Bands | None] = ContextVar("isthmus_shown_bands", default=None)


def check_bands(show: Sequence[int] | int | None, channels: int | None = None) -> Bands | None:
    """The bands as a tuple, or None.

    Args:
        show: one channel for gray or three for red, green and blue, counted from 1.
        channels: of the images; None where they are not known yet.

    Raises:
        UsageError: another number of bands, or a band that the images do not have.
    """
    if show is None:
        return None
    bands = (show,) if isinstance(show, int) else tuple(show)
    are_whole_numbers = all(
        isinstance(band, int) and not isinstance(band, bool) and band >= 1 for band in bands
    )
    if len(bands) not in (1, 3) or not are_whole_numbers:
        raise UsageError(
            "show={show}: one or three channels are shown, counted from 1, such as 4,3,2",
            id="option.show",
            show=list(bands),
        )
    if channels is not None and max(bands) > channels:
        raise UsageError(
            "show: channel {channel} of images that have {channels}",
            id="option.show-channel",
            channel=max(bands),
            channels=channels,
        )
    return bands


@contextmanager
def showing_bands(show: Sequence[int] | None) -> Iterator[None]:
    """Within the block pictures show these bands; None keeps what is set outside.

    Raises:
        UsageError: see `check_bands`.
    """
    bands = check_bands(show)
    token = _chosen_bands.set(_chosen_bands.get() if bands is None else bands)
    try:
        yield
    finally:
        _chosen_bands.reset(token)


def shown_bands() -> Bands | None:
    """The bands that the current call shows."""
    return _chosen_bands.get()


def note_bands(show: Sequence[int] | None, channels: int) -> None:
    """Log which bands of images of `channels` channels pictures show, where that is a choice.

    Args:
        show: the requested bands.
        channels: of the images.

    Raises:
        UsageError: the images do not have the requested bands.
    """
    bands = check_bands(show, channels)
    if channels in (1, 3) and bands is None:
        return
    text = ", ".join(map(str, bands or _default_bands(channels)))
    log_note(
        "pictures show {shown} of {channels} channels; `show` chooses others",
        id="reading.bands-shown",
        shown=f"channel {text}" if "," not in text else f"channels {text}",
        channels=channels,
    )


def visible_bands(image: Pixels) -> Pixels:
    """(..., C) → (..., 1 or 3), the channels that a picture shows; a view where nothing is chosen."""
    channels = image.shape[-1]
    bands = shown_bands()
    if bands is None or max(bands) > channels:
        if channels in (1, 3):
            return image
        bands = _default_bands(channels)
    return image[..., [band - 1 for band in bands]]


def _default_bands(channels: int) -> Bands:
    return (1,) if channels < 3 else (1, 2, 3)
