"""Make the shipped photo codec of a trained model: 8-bit weights, tables fitted to them, the card's facts.

    isthmus train photos/train --val photos/tune --recipe codec --minutes 60 -o photo-codec.safetensors
    python tools/ship_codec.py photo-codec.safetensors photos/train

A stopped training (NAME.resume.safetensors) is taken as well. Tables are fitted to the weights as they are
shipped, after their rounding, for they must belong to exactly these symbols. What is written by hand stays.
The card gets the fingerprint, by which files find the codec that made them. First copy the codec that is
replaced, and its card, to another name (`photo-codec-0.1`): otherwise its files can no longer be opened.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import isthmus
from isthmus import pretrained
from isthmus.codec.fit import fit_tables
from isthmus.codec.models import codec_for
from isthmus.model.file import save

NAME = "photo-codec"
QUALITIES = (4, 22, 40, 58, 77, 97)  # a band of tables each; one more would take the file over 6 MB


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("photos", type=Path, help="the photographs it was trained on")
    args = parser.parse_args()
    rounding = Path(__file__).with_name("ship_model.py")
    subprocess.run([sys.executable, str(rounding), str(args.model), NAME, "--bits", "8"], check=True)
    place = pretrained.path(NAME)
    model = isthmus.load(place)
    photos = isthmus.read(args.photos)
    fit_tables(model, [photos.image(i) for i in range(len(photos))], qualities=QUALITIES)
    save(model, place, bits=8)
    card_file = place.with_suffix(".json")
    card = {"fingerprint": codec_for(place).fingerprint.hex()}
    card |= {key: value for key, value in pretrained.card(NAME).items() if key != "fingerprint"}
    card_file.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(f"{place}: {place.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
