"""Put a trained model into the package: weights in 16 bits, and what the training knows into its card.

    python tools/ship_model.py photo-denoise-gray.safetensors photo-denoise-gray
    python tools/ship_model.py photo-denoise-gray.resume.safetensors photo-denoise-gray

The state of a training that was stopped is taken as well; its best averaged weights are shipped, and the card
says how far it had come. What the model is good for, its data, licences, command and results are written
into `isthmus/pretrained/NAME.json` by hand and stay as they are.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from isthmus import pretrained
from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.file import read_header, save
from isthmus.model.loading import load
from isthmus.model.recipe import Recipe
from isthmus.training import state as checkpoints
from isthmus.version import __version__


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("name")
    parser.add_argument("--bits", type=int, choices=(8, 16), default=16, help="of a weight")
    arguments = parser.parse_args()
    resumed = arguments.model.name.endswith(".resume.safetensors")
    model = unfinished(arguments.model) if resumed else load(arguments.model)
    summary = model.summary
    summary["data"]["source"] = Path(summary["data"]["source"]).name  # not where it lay on this machine
    place = pretrained.FOLDER / f"{arguments.name}.safetensors"
    save(model, place, bits=arguments.bits)
    card_file = pretrained.FOLDER / f"{arguments.name}.json"
    card: dict[str, Any] = json.loads(card_file.read_text("utf-8")) if card_file.exists() else {}
    for key in ("good_for", "data", "licences", "command", "results"):
        card.setdefault(key, "to be written")
    card |= {
        "recipe": model.recipe.name,
        "parameters": sum(p.numel() for p in model.parameters()),
        "channels": model.channels,
        "seed": summary["settled"]["seed"],
        "steps": summary["steps"],
        "of_steps": summary["settled"]["steps"],
        "batch": summary["settled"]["batch"],
        "hours": round(summary["seconds"] / 3600, 2),
        "threads": summary["threads"],
        "validation": summary["best"]["validation"] if summary["best"] else None,
        "size": read_header(place)["size"],
    }
    card_file.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(f"{place}: {place.stat().st_size / 1e6:.2f} MB")


def unfinished(path: Path) -> Autoencoder:
    """The best averaged weights that a stopped training holds."""
    saved = checkpoints.load(path)
    facts, state = saved.facts, saved.facts["state"]
    best = {k.removeprefix("best."): v for k, v in saved.tensors.items() if k.startswith("best.")}
    size = facts["settled"]["size"]
    model = build(
        Recipe.from_dict(facts["recipe"]), channels=len(best["offset"]), size=(int(size[0]), int(size[1]))
    )
    model.load_state_dict(best)
    model.summary = {
        "version": __version__,
        "data": {"source": facts["source"], "fingerprint": facts["fingerprint"]},
        "options": facts["options"],
        "settled": facts["settled"],
        "threads": facts["threads"],
        "steps": state["best_step"],
        "seconds": round(state["seconds"], 2),
        "best": {"step": state["best_step"], "validation": state["best_loss"]},
    }
    return model.eval()


if __name__ == "__main__":
    main()
