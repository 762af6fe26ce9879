"""Hostile files: mutated compressed files, checksums mended, must give an error or a picture, nothing else.

    python benchmarks/fuzz.py MODEL FILES… --parse 1000000 --decode 10000
    python benchmarks/fuzz.py tests/codec/golden/model.safetensors tests/codec/golden/*.isth --parse 2000
    --decode 50

`--parse` counts runs of the parser, the entropy decoder and the transparency decoder; `--decode` runs of
everything, network included. Prints how many were refused, the slowest run, and the peak of memory; ends with
exit code 1 at the first run that raises something other than an error of isthmus, or when one took more than
a second of processor time, or needed more than 512 MB beyond what was in use before.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
import time
import zlib
from binascii import crc_hqx
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from isthmus.codec import container, transparency
from isthmus.codec.container import CHUNK_BYTES, HEADER_BYTES
from isthmus.codec.decoding import check_model, decode_picture, decode_tile_symbols, raise_if_damaged
from isthmus.codec.grid import Grid
from isthmus.codec.ready import Codec, make_codec
from isthmus.errors import IsthmusError

MOST_PIXELS = 2**20
SECONDS = 1.0
MEGABYTES = 512
_HEADER = "<4sBBBBIIHH8s"
Chunk = tuple[bytes, int, bytes]


def taken_apart(data: bytes) -> tuple[list[int | bytes], list[Chunk]]:
    """Fields of the header, and (tag, number, payload) of each chunk."""
    fields, chunks = _parts(data)
    return list(fields), list(chunks)


@cache
def _parts(data: bytes) -> tuple[tuple[int | bytes, ...], tuple[Chunk, ...]]:
    contents = container.read_container(data)
    fields = struct.unpack(_HEADER, data[: HEADER_BYTES - 4])
    return fields, tuple((tag, number, bytes(payload)) for (tag, number), payload in contents.chunks.items())


def put_together(fields: Sequence[int | bytes], chunks: Sequence[Chunk]) -> bytes:
    """A file whose checksums are right, whatever is in it."""
    fixed = struct.pack(_HEADER, *fields)
    parts = [fixed, struct.pack("<I", zlib.crc32(fixed))]
    for tag, number, payload in chunks:
        parts += [container.pack_chunk(tag, number, payload), payload]
    return b"".join(parts)


def mutated(data: bytes, dice: random.Random) -> bytes:
    """One to three changes that know the structure; mostly with their checksums mended."""
    fields, chunks = taken_apart(data)
    for _ in range(dice.randint(1, 3)):
        kind = dice.randrange(9)
        if kind == 0:
            _change_field(fields, dice)
        elif kind <= 4 and chunks:
            place = dice.randrange(len(chunks))
            tag, number, payload = chunks[place]
            chunks[place] = (tag, number, _changed(payload, dice))
        elif kind == 5 and chunks:
            chunks.pop(dice.randrange(len(chunks)))
        elif kind == 6 and chunks:
            chunks.insert(dice.randrange(len(chunks) + 1), dice.choice(chunks))
        elif kind == 7 and chunks:
            place = dice.randrange(len(chunks))
            tag = dice.choice([b"T", b"A", b"I", b"E", b"P", bytes([dice.randrange(256)])])
            chunks[place] = (
                tag,
                dice.choice([0, 1, chunks[place][1], dice.randrange(65536)]),
                chunks[place][2],
            )
        elif kind == 8:
            dice.shuffle(chunks)
    file_bytes = put_together(fields, chunks)
    last = dice.randrange(12)
    if last == 0:
        return file_bytes[: dice.randrange(len(file_bytes) + 1)]
    if last == 1:
        return file_bytes + dice.randbytes(dice.randrange(1, 40))
    if last == 2:
        return _head_changed(file_bytes, dice)
    return file_bytes


def _change_field(fields: list[int | bytes], dice: random.Random) -> None:
    place = dice.randrange(1, 10)
    if place == 9:
        fields[9] = dice.randbytes(8)
        return
    top = {5: 2**32, 6: 2**32, 7: 2**16, 8: 2**16}.get(place, 256)
    now = fields[place]
    assert isinstance(now, int)
    near = [now + 1, now - 1, now * 2, now // 2, 0, 1, top - 1, now ^ (1 << dice.randrange(8))]
    fields[place] = dice.choice([*near, dice.randrange(top)]) % top


def _changed(payload: bytes, dice: random.Random) -> bytes:
    changed = bytearray(payload)
    kind = dice.randrange(6)
    if kind == 0:
        return bytes(changed[: dice.randrange(len(changed) + 1)])
    if kind == 1:
        return bytes(changed) + dice.randbytes(dice.randrange(1, 64))
    if kind == 2:
        return dice.randbytes(dice.randrange(0, 400))
    if kind == 3:
        return bytes([dice.randrange(256)]) * dice.randrange(1, 400)
    for _ in range(dice.randint(1, 8)):
        if changed:
            changed[dice.randrange(min(len(changed), 8 if kind == 4 else len(changed)))] = dice.randrange(256)
    return bytes(changed)


def _head_changed(data: bytes, dice: random.Random) -> bytes:
    """The first chunk's head with another length or tag, its own checksum mended."""
    head = bytearray(data[HEADER_BYTES : HEADER_BYTES + CHUNK_BYTES])
    if len(head) < CHUNK_BYTES:
        return data
    head[dice.randrange(CHUNK_BYTES - 2)] = dice.randrange(256)
    head[-2:] = struct.pack("<H", crc_hqx(bytes(head[:-2]), 0xFFFF))
    return data[:HEADER_BYTES] + bytes(head) + data[HEADER_BYTES + CHUNK_BYTES :]


def parse(data: bytes, codec: Codec, dice: random.Random) -> None:
    """Everything but the network."""
    contents = container.read_container(data, max_pixels=MOST_PIXELS, keep_going=dice.random() < 0.5)
    check_model(contents.header, codec)
    grid = Grid.of(contents.header, codec.stride)
    some = list(contents.chunks)[:4]
    for symbols in decode_tile_symbols(
        contents, codec, grid, [n for tag, n in some if tag == container.TILE]
    ):
        raise_if_damaged(symbols)
    for tag, number in some:
        if tag == container.ALPHA:
            transparency.decode_plane(contents.chunks[tag, number], grid.to_pixels(grid.tile(number)).size)


def decode(data: bytes, codec: Codec, dice: random.Random) -> None:
    """Everything."""
    going = dice.random() < 0.7
    contents = container.read_container(data, max_pixels=MOST_PIXELS // 8, keep_going=going)
    decode_picture(contents, codec, keep_going=going)


def run(
    what: Callable[[bytes, Codec, random.Random], None],
    files: Sequence[bytes],
    codec: Codec,
    count: int,
    *,
    seed: int = 0,
) -> tuple[Counter[str], float]:
    """`count` mutations; how each ended, and the longest time one took, in seconds of processor time.

    Raises:
        AssertionError: one raised what is no error of isthmus; its bytes are in the message.
    """
    dice = random.Random(seed)
    ends: Counter[str] = Counter()
    longest = 0.0
    for number in range(count):
        data = mutated(dice.choice(files), dice)
        began = time.process_time()
        try:
            what(data, codec, dice)
            ends["decoded"] += 1
        except IsthmusError:
            ends["refused"] += 1
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            what_came = f"run {number}: {type(error).__name__}: {error}"
            raise AssertionError(f"{what_came}; file: {data.hex()}") from error
        longest = max(longest, time.process_time() - began)
    return ends, longest


def peak_megabytes() -> float:
    """The most memory this process ever had; not a number where the platform does not say."""
    try:
        import resource
    except ImportError:
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def main() -> int:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("model")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--parse", type=int, default=1_000_000)
    parser.add_argument("--decode", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    from isthmus.model.loading import load

    codec = make_codec(load(options.model))
    files = [Path(name).read_bytes() for name in options.files]
    decode(files[0], codec, random.Random(0))
    before = peak_megabytes()
    failed = False
    for name, what, count in (("parse", parse, options.parse), ("decode", decode, options.decode)):
        began = time.process_time()
        ends, longest = run(what, files, codec, count, seed=options.seed)
        grown, seconds = peak_megabytes() - before, time.process_time() - began
        counts = f"{ends['refused']:,} refused, {ends['decoded']:,} decoded"
        print(
            f"{name}: {count:,} mutations in {seconds:.0f} s, {counts}; longest {longest:.2f} s", flush=True
        )
        print(f"{name}: {grown:.0f} MB above the start", flush=True)
        failed |= longest > SECONDS or grown > MEGABYTES
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
