"""Repair: denoise and inpaint images of any size, with the shipped models or with one of your own."""
