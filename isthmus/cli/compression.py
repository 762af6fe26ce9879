"""`isthmus compress`, `decompress` and `verify`: small files, images again, and whole files."""

from isthmus.api.compressed_files import compress_files
from isthmus.api.decompressed_files import decompress_files
from isthmus.api.file_verification import verify_files
from isthmus.cli.command import build_command

compress_command = build_command(
    compress_files,
    arguments=("inputs",),
    many="inputs",
    rows=True,
    aliases={"--jobs": "workers"},
    examples="""
        isthmus compress photos/ -o small/ --quality 60 --verify
        isthmus compress photo.png -o photo.isth --bpp 0.5
    """,
)

decompress_command = build_command(
    decompress_files,
    arguments=("inputs",),
    many="inputs",
    rows=True,
    aliases={"--jobs": "workers"},
    examples="""
        isthmus decompress small/ -o again/
        isthmus decompress map.isth -o part.png --region 640x480+0+100
    """,
)

verify_command = build_command(
    verify_files,
    arguments=("inputs",),
    many="inputs",
    rows=True,
    examples="""
        isthmus verify small/
    """,
)
