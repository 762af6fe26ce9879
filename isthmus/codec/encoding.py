"""A picture and a quality → the bytes of a file."""

from __future__ import annotations

import binascii
import io
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from torch import Tensor

from isthmus.codec import container, refinement
from isthmus.codec.coder import Ints
from isthmus.codec.grid import Grid, Rectangle, tile_side
from isthmus.codec.picture import Picture
from isthmus.codec.quantisation import SymbolChoice, error_costs, from_steps, quantise, to_steps
from isthmus.codec.ready import Codec
from isthmus.codec.symbols import TILES_PER_BATCH, encode_latents, encode_symbols, encode_tiles
from isthmus.codec.transform import analyse_blocks, synthesise
from isthmus.codec.transparency import encode_plane
from isthmus.errors import CapabilityError
from isthmus.messages import Message
from isthmus.threads import batched, overlapped

TILE_HEAD = struct.Struct("<BH")
QUALITIES = (100, 10_000)  # hundredths
MAX_WAITING_BATCHES = 5  # two blocks of tiles: enough that the network need not wait
_PREVIEW_QUALITY = 60

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class EncodedFile:
    """A file.

    Attributes:
        data: its bytes.
        quality: in hundredths, that it was made with.
        missed: why the request was missed; None where it was met.
        psnr: in dB, where it was measured to reach a target; else None.
    """

    data: bytes
    quality: int
    missed: Message | None = None
    psnr: float | None = None


def encode_picture_at(
    picture: Picture,
    codec: Codec,
    quality: int,
    *,
    preview: int | None = None,
    latents: Iterable[tuple[int, Tensor]] | None = None,
    tile: int | None = None,
    effort: int = 0,
) -> EncodedFile:
    """The file of `picture`.

    Args:
        quality: in hundredths, 100 to 10000.
        latents: the output of `analyse_picture`, where it was computed before.
        tile: side of the tiles in pixels, a multiple of the code's stride; chosen otherwise.
        preview: largest side of a small WebP picture to put into the file, in pixels; None for no preview.
        effort: gradient steps that refine the latents; none where `compute_latents` are given.

    Raises:
        CapabilityError: a colour picture and a model of gray ones.
    """
    header = container.ContainerHeader(
        size=picture.size,
        channels=picture.pixels.shape[2],
        quality=quality,
        tile=tile_side(codec.stride) if tile is None else tile,
        model=codec.fingerprint,
        alpha=picture.alpha is not None,
        icc=_fits(picture.icc),
        exif=_fits(picture.exif),
        preview=preview is not None,
    )
    grid = Grid.of(header, codec.stride)
    if latents is None:
        latents = analyse_picture(picture, codec, tile=tile, quality=quality, effort=effort)
    chunks: dict[container.Key, bytes] = {}
    if preview is not None:
        chunks[container.PREVIEW, 0] = _preview(picture, preview)
    chunks |= {(container.ICC, 0): picture.icc or b"", (container.EXIF, 0): picture.exif or b""}

    def encode_batch(some: Sequence[tuple[int, Tensor]]) -> list[bytes]:
        return encode_payloads([values for _, values in some], codec, quality, chosen=effort > 0)

    for some, payloads in overlapped(
        encode_batch, batched(latents, TILES_PER_BATCH), waiting=MAX_WAITING_BATCHES
    ):
        for (number, _), payload in zip(some, payloads, strict=True):
            chunks[container.TILE, number] = payload
    if picture.alpha is not None:
        for number in range(grid.count):
            pixel_slices = grid.to_pixels(grid.tile(number)).slices
            chunks[container.ALPHA, number] = encode_plane(picture.alpha[pixel_slices])
    return EncodedFile(
        container.write_container(header, (chunks[key] for key in header.expected_chunks())), quality
    )


def analyse_picture(
    picture: Picture, codec: Codec, *, tile: int | None = None, quality: int = 0, effort: int = 0
) -> Iterator[tuple[int, Tensor]]:
    """Number and latents of every tile: the network's part, the same for every quality without effort.

    Raises:
        CapabilityError: a colour picture and a model of gray ones.
    """
    grid = Grid(picture.size, codec.stride, (tile or tile_side(codec.stride)) // codec.stride)
    pixels = expand_channels(picture.pixels, codec.model.channels)
    refine = None if effort == 0 else partial(refine_tile, codec, quality, effort)
    return analyse_blocks(codec.model, pixels, grid, refine=refine)


def refine_tile(
    codec: Codec, quality: int, effort: int, image: Tensor, latents: Tensor, inside: Rectangle
) -> Tensor:
    """The latents of the best symbols for the tile that lies `inside`, of those that the encoder's latents
    and refined ones give, rounded or chosen.

    Symbols are compared by bits plus error under the actual tables. So effort makes no tile worse by this
    measure, even if the model's training estimated the rate badly.
    """
    model, band = codec.model, codec.tables.bands[codec.tables.nearest(quality)]
    worth = refinement.bits_per_error(model, quality / 100)
    levels = (image[0] * 255).round().permute(1, 2, 0).cpu().numpy()
    around = quantise(model, latents, quality / 100)

    def cost(own: Ints) -> float:
        symbols = around.copy()
        symbols[:, *inside.slices] = own
        painted = synthesise(model, symbols, quality / 100, (image.shape[-2], image.shape[-1]))
        error = float(np.square(painted - levels, dtype=np.float64).sum()) / 255**2
        return 8 * len(encode_symbols(own, band)) + worth * error

    refined = refinement.refine_latents(model, image, latents, quality / 100, effort)
    candidates = []
    for values in (latents[:, *inside.slices], refined[:, *inside.slices]):
        candidates += [own for own, _ in _encode_latents([values], codec, quality)]
        candidates.append(quantise(model, values, quality / 100))
    return from_steps(model, min(candidates, key=cost), quality / 100)


def encode_payloads(
    latents: Sequence[Tensor], codec: Codec, quality: int, *, chosen: bool = False
) -> list[bytes]:
    """The payload of each tile (C, h, w): number of its band, check of its symbols, their bytes.

    Args:
        chosen: the latents are those of symbols that are chosen already.
    """
    number = codec.tables.nearest(quality)
    return [
        TILE_HEAD.pack(number, checksum(symbols)) + data
        for symbols, data in _encode_latents(latents, codec, quality, chosen=chosen)
    ]


def _encode_latents(
    latents: Sequence[Tensor], codec: Codec, quality: int, *, chosen: bool = False
) -> list[tuple[Ints, bytes]]:
    model, band = codec.model, codec.tables.bands[codec.tables.nearest(quality)]
    if chosen:
        symbols = [quantise(model, values, quality / 100) for values in latents]
        return list(zip(symbols, encode_tiles(symbols, band), strict=True))
    steps = [to_steps(model, values, quality / 100) for values in latents]
    return encode_latents(SymbolChoice(steps, error_costs(model, quality / 100)), band)


def checksum(symbols: Ints) -> int:
    """CRC-16 of the symbols as little-endian 16-bit integers; the decoder compares it with its own."""
    return binascii.crc_hqx(symbols.astype("<i2").tobytes(), 0xFFFF)


def expand_channels(pixels: Pixels, channels: int) -> Pixels:
    """Pixels (H, W, `channels`): gray is repeated for a model of colour.

    Raises:
        CapabilityError: colour, and a model of gray.
    """
    if pixels.shape[2] == channels:
        return pixels
    if channels == 1:
        raise CapabilityError(
            "this model codes gray images, and this one is colour", id="codec.colour-for-gray-model"
        )
    return np.broadcast_to(pixels, (*pixels.shape[:2], channels))


def _fits(metadata: bytes | None) -> bool:
    return metadata is not None and 0 < len(metadata) <= container.MAX_CHUNK


def _preview(picture: Picture, side: int) -> bytes:
    from PIL import Image

    array = picture.array()
    image = Image.fromarray(array, "LA" if array.ndim == 3 and array.shape[2] == 2 else None)
    if image.mode == "LA":
        image = image.convert("RGBA")
    # A first reduction by whole factors keeps a huge picture from being filtered at full size.
    image.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=3.0)
    packed = io.BytesIO()
    image.save(packed, "WEBP", quality=_PREVIEW_QUALITY, method=6)
    return packed.getvalue()
