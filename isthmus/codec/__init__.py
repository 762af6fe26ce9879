"""Images to small files and back: integer symbols, probability tables, an entropy coder, a container.

docs/reference/format.md is the specification of what is written.
"""
