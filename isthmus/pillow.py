"""`import isthmus.pillow` teaches Pillow to open and save `.isth` files."""

from isthmus.codec.plugin import register_pillow

register_pillow()
