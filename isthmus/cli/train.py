"""`isthmus train DATA`: from images to a model file."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.findings import tell
from isthmus.cli.inputs import MODEL_SUFFIX, as_json, as_size, check_data, check_model, end_with_skipped
from isthmus.cli.line import command_line
from isthmus.cli.plan import plan_text
from isthmus.progress import duration
from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.images.store import ImageSet, Skipped
    from isthmus.model.autoencoder import Autoencoder
    from isthmus.training.prepare import Prepared
    from isthmus.training.progress import Progress


@click.command()
@click.argument("data")
@click.option(
    "--recipe",
    metavar="R",
    help="A name (see `isthmus recipes`), or a file .toml; by default that of --from, or conv.",
)
@click.option("--code", metavar="C", help="Shape of the code: 64 is a vector, 32@8 a grid at 1/8.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting of the recipe."
)
@click.option("--epochs", type=float, metavar="N", help="Length in passes over the images.")
@click.option(
    "--minutes",
    type=float,
    metavar="M",
    help="Length in time; without any length the recipe's, or 5.",
)
@click.option("--steps", type=int, metavar="N", help="Length in steps.")
@click.option("--val", metavar="DATA", help="Images to validate on, instead of a held-out part of DATA.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the weights and everything random.")
@click.option("--size", callback=as_size, metavar="HxW", help="Resize every image to this height and width.")
@click.option(
    "--crop", callback=as_size, metavar="HxW", help="Train on random pieces of this height and width."
)
@click.option("--validation", type=float, default=0.1, show_default=True, metavar="F", help="Share held out.")
@click.option(
    "--patience",
    type=int,
    default=12,
    show_default=True,
    metavar="N",
    help="End after so many validations in a row above the best; 0: never.",
)
@click.option("--balance", is_flag=True, help="Draw all classes equally often.")
@click.option("--only", metavar="LIST", help="Use only the images named in this file, one name a line.")
@click.option(
    "--cache", metavar="DIR", help="Keep decoded pixels in a file here, mapped into memory, however few."
)
@click.option("--turn", is_flag=True, help="Mirror and turn examples at random: for images without an up.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    default="auto",
    show_default=True,
    help="auto measures which is faster here.",
)
@click.option(
    "--private", type=float, metavar="EPS", help="Spend at most this ε on any one image (extra privacy)."
)
@click.option("--delta", type=float, metavar="D", help="δ of a private training; by default 1/(10 N).")
@click.option(
    "--clip-norm", type=float, metavar="C", help="Largest norm of one image's gradient, when private."
)
@click.option(
    "--noise-seed", type=int, metavar="S", help="Repeat a private training's noise: for experiments only."
)
@click.option(
    "--from",
    "start_from",
    metavar="MODEL",
    help="Begin with the weights of this model, a file or a shipped one.",
)
@click.option("-o", "--out", metavar="MODEL", help="The model file; by default named after DATA.")
@click.option("--resume", is_flag=True, help="Go on with the unfinished training of the same output.")
@force_option
@click.option("--dry-run", is_flag=True, help="Show shapes, parameters, memory and time; train nothing.")
@speaks
def command(
    console: Console,
    data: str,
    recipe: str | None,
    code: str | None,
    settings: tuple[str, ...],
    val: str | None,
    start_from: str | None,
    out: str | None,
    resume: bool,
    force: bool,
    dry_run: bool,
    **options: Any,
) -> None:
    """Train an autoencoder on the images DATA.

    What is not given is chosen from the images, and said. Ctrl-C saves the state and prints the command that
    goes on from there.

    \b
    isthmus train photos/
    isthmus train mnist --recipe variational --code 16 --minutes 2
    isthmus train photos/ --code 32@8 --set backbone.width=64 -o small.safetensors
    """
    began = time.monotonic()  # before torch is imported: that is part of the time that was asked for
    check_data(data)
    if start_from is not None:
        check_model(start_from)
    if dry_run:
        _plan(console, data, recipe, code, settings, val, start_from, options)
        return
    # All that is needed, also after the last step: importing counts towards a length in minutes.
    from isthmus.codec import finish as codec
    from isthmus.features import readout
    from isthmus.training.api import train
    from isthmus.training.diagnosis.finding import recorded

    path = default_model(data) if out is None else out
    seen: list[Prepared] = []
    with contextlib.ExitStack() as stack:

        def on_ready(prepared: Prepared) -> None:
            seen.append(prepared)
            if resume:
                console.note("going on with the recipe and length of the unfinished training")
            for line in choices(prepared):
                console.note(line)

        def listener(progress: Progress) -> None:
            for finding in progress.findings:
                told.add(finding.name)
                console.warn(f"so far, {finding}")
            if not bars:  # only now is it known how far an earlier run had come
                bars.append(
                    stack.enter_context(console.progress("training", total=1.0, start=progress.share))
                )
            bars[0].update(progress.share, seen_now(progress))

        def finish(model: Autoencoder, images: ImageSet) -> None:
            codec.finish(model, images, listener=fitting)
            readout.finish(model, images)

        def fitting(done: int, bands: int) -> None:
            if done < bands:
                console.note(f"fitting the tables that files are written with: band {done + 1} of {bands}")

        bars: list[Any] = []
        told: set[str] = set()
        model = train(
            data,
            recipe=recipe,
            code=code,
            settings=settings,
            val=val,
            out=path,
            resume=resume,
            force=force,
            start_from=start_from,
            listener=listener,
            on_ready=on_ready,
            finish=finish,
            began=began,
            **options,
        )
    if console.silent:  # the first of several processes has the model and the last word
        return
    skipped = _skipped(seen[0], own_validation=val is not None)
    summary = model.summary
    best = summary["best"]
    console.emit(
        {
            "schema": "isthmus.train/1",
            "model": path,
            "recipe": model.recipe.name,
            "code": model.recipe.code,
            "parameters": sum(p.numel() for p in model.parameters()),
            "images": summary["data"]["images"],
            "held_out": summary["data"]["held_out"],
            "batch": summary["settled"]["batch"],
            "precision": summary["settled"]["precision"],
            "seed": summary["settled"]["seed"],
            "steps": summary["steps"],
            "seconds": summary["seconds"],
            "images_per_second": summary["images_per_second"],
            "ended_early": summary["ended_early"],
            "kept": summary["kept"],
            "best": best,
            "findings": summary["findings"],
            "privacy": summary["privacy"],
            "notes": [*seen[0].images.notes, *seen[0].settled.notes],
            "skipped": as_json(skipped),
        }
    )
    early = ", ended early" if summary["ended_early"] else ""
    console.result(
        f"{format_count(summary['steps'], 'step')} in {duration(summary['seconds'])} "
        f"({summary['images_per_second']:,.0f} images/s){early}"
    )
    if best is not None:
        console.result(
            f"validation {best['validation']:.5g} at step {best['step']:,} ({summary['kept']} weights kept)"
        )
    spent = summary["privacy"]
    if spent is not None:
        console.result(
            f"private: ε {spent['epsilon']:.4g} at δ {spent['delta']:.3g} spent on any one image "
            f"(noise {spent['noise']:.4g}, clip norm {spent['clip']:g})"
        )
    console.result(f"model: {path}")
    tell([one for one in recorded(summary) if one.name not in told], console)
    console.suggest("try next:", next_commands(path, data, val))
    end_with_skipped(console, skipped)


def default_model(data: str) -> str:
    """The model's file name, `photos/` → `photos.safetensors`, `mnist:train` → `mnist.safetensors`."""
    path = Path(data)
    if not path.exists():
        name = data.partition(":")[0]
    elif path.is_dir():
        name = path.resolve().name
    else:
        name = path.name.removesuffix(".gz")
        name = name.rpartition(".")[0] or name
    return f"{name or 'model'}{MODEL_SUFFIX}"


def choices(prepared: Prepared) -> list[str]:
    """What was found and chosen, one line each."""
    images, held_out, settled = prepared.images, prepared.held_out, prepared.settled
    kind = {1: "gray", 3: "colour"}.get(images.channels, f"{images.channels}-channel")
    size = "mixed sizes" if images.shape is None else f"{images.shape[0]}×{images.shape[1]}"
    held = "" if held_out is None else f", {len(held_out):,} to validate on"
    recipe = prepared.model.recipe
    count = sum(p.numel() for p in prepared.model.parameters())
    return [
        f"{images.source}: {format_count(len(images), f'{kind} image')} of {size} to train on{held}",
        *images.notes,
        f"recipe {recipe.name}, code {recipe.code}, {format_count(count, 'parameter')}",
        *settled.notes,
    ]


def seen_now(progress: Progress) -> str:
    """A training's progress in a few words: pace and losses."""
    loss = next(
        (progress.losses[name] for name in ("autoencoder", "encoder") if name in progress.losses), None
    )
    parts = [f"{progress.images_per_second:,.0f} images/s"]
    if loss is not None:
        parts.append(f"loss {loss:.5g}")
    if progress.validation is not None:
        parts.append(f"validation {progress.validation:.5g}")
    return "  ".join(parts)


def next_commands(model: str, data: str, val: str | None) -> list[str]:
    """Commands that work as printed after this training."""
    from isthmus.images.named import is_name

    named = not Path(data).exists() and is_name(data)
    test = val or (f"{data.partition(':')[0]}:test" if named else data)
    stem = model.removesuffix(MODEL_SUFFIX)
    return [
        command_line(["evaluate", model, test, "--report", f"{stem}.html"]),
        command_line(["reconstruct", model, test, "-o", f"{stem}-reconstructed", "--compare"]),
        command_line(["info", model]),
    ]


def _plan(
    console: Console,
    data: str,
    recipe: str | None,
    code: str | None,
    settings: tuple[str, ...],
    val: str | None,
    start_from: str | None,
    options: dict[str, Any],
) -> None:
    from isthmus.training.options import Options
    from isthmus.training.outline import outline
    from isthmus.training.prepare import prepare, settle_recipe
    from isthmus.training.start import recipe_from

    chosen = settle_recipe(recipe_from(start_from) if recipe is None else recipe, code, settings)
    prepared = prepare(data, recipe=chosen, val=val, options=Options(**options))
    for line in choices(prepared):
        console.note(line)
    found = outline(prepared)
    skipped = _skipped(prepared, own_validation=val is not None)
    console.emit(
        {
            "schema": "isthmus.dry-run/1",
            **found.to_dict(),
            "recipe": prepared.model.recipe.to_dict(),
            "settled": prepared.settled.to_dict(),
            "images": len(prepared.images),
            "held_out": 0 if prepared.held_out is None else len(prepared.held_out),
            "skipped": as_json(skipped),
        }
    )
    console.result(plan_text(found))
    end_with_skipped(console, skipped)


def _skipped(prepared: Prepared, *, own_validation: bool) -> list[Skipped]:
    found = list(prepared.images.skipped)
    if own_validation and prepared.held_out is not None:
        found += prepared.held_out.skipped
    return found
