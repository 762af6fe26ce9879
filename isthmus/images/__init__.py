"""Where pixels come from and go to.

    reading.py        one entry for DATA: a path, a named set, an array, a list    -> ImageSet, and one image
      sources.py      what else stands for an image file: its bytes, an open file, a Pillow image
      sample_range.py which samples are images, and how `range=(low, high)` maps others
      folder.py       a folder of image files, sub-folders = labels (found by listing.py), or of tar shards
                      (shards.py)
      idx.py          idx files (MNIST's format), read and written
      arrays.py       .npy, .npz, NumPy arrays and torch tensors
      named.py        mnist, fashion-mnist, cifar10, and the fashion-sample shipped in sample/
    formats.py        one image file -> header, pixels, metadata (Pillow behind an allow-list)
      opening.py      how it is opened: Pillow's limits, other decoders, errors
      modes.py        what a Pillow mode means in pixels: palettes, CMYK, 16 bit, alpha
    conform.py        channels, sample type and size made equal; several sets as one
    store.py          ImageSet and Ragged: pixels in memory or memory-mapped, with content hashes
      pool.py         decoding many files into one buffer (memory or a cached memory map)
      mapped.py       buffers in a file, and pages that are let go of, so that memory stays flat
      thumbnails.py   a set as a notebook shows it
      cache.py        where cached files lie, and how much memory there is
    subsets.py        train and held-out parts by content
    batches.py        a stateless stream of training batches; one ordered pass for evaluation
    array_format.py   images of any kind given by callers -> torch batches, and back as the same kind
    write.py          one image file, contact sheets, output names

NumPy arrays are channels-last; uint8 and uint16 keep their own type until a batch is made. Only `batches`
and `array_format` import torch.
"""
