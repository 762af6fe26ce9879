"""`isthmus prior MODEL DATA`: what new images are drawn from, fitted to the codes of old ones."""

from __future__ import annotations

import time

import click

from isthmus.cli.console import Console, speaks
from isthmus.cli.inputs import as_json, check_data, end_with_skipped, load_model, swap_if_model
from isthmus.outputs import check_output
from isthmus.wording import format_count


@click.command()
@click.argument("model")
@click.argument("data")
@click.option(
    "--kind",
    type=click.Choice(["normal", "gaussian", "mixture", "flow"]),
    default="flow",
    show_default=True,
    help="Standard normal; one Gaussian per class; a mixture of them; or a learned flow that refines it.",
)
@click.option(
    "--components", type=click.IntRange(1), help="Of the mixture, in all.  [default: 100, under a flow 400]"
)
@click.option("--steps", type=click.IntRange(1), help="Of the flow's training.  [default: 6000]")
@click.option("--width", type=click.IntRange(8), help="Of the flow's network.  [default: 512, grids 64]")
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Of the flow's training; bfloat16 is faster where the processor has it.",
)
@click.option("--no-labels", is_flag=True, help="Leave labels aside; then no class can be asked for.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the fit.")
@speaks
def command(
    console: Console,
    model: str,
    data: str,
    kind: str,
    components: int | None,
    steps: int | None,
    width: int | None,
    precision: str,
    no_labels: bool,
    seed: int,
) -> None:
    """Fit a prior over the codes of MODEL to the images DATA, and keep it in the model's file.

    DATA are usually the training images. Where they have labels, images of one class can be generated. A
    prior of the same kind that is there already is replaced; the network itself keeps every bit.
    """
    autoencoder = load_model(model, swapped=swap_if_model(model, data, ["prior"]))
    check_data(data)
    check_output(model, force=True, stream=False)
    from isthmus.generation.fitting import fit_prior
    from isthmus.generation.flow_training import STEPS
    from isthmus.images.reading import read
    from isthmus.model.attachments import attach
    from isthmus.training.progress import Progress

    images = read(data)
    for note in images.notes:
        console.note(f"note: {note}")
    length = steps or STEPS
    started = time.monotonic()
    with console.progress("fitting", total=length) as line:

        def listener(progress: Progress) -> None:
            found = progress.losses.get("velocity")
            line.update(progress.step, f"velocity error {found:.4f}" if found is not None else "")

        prior = fit_prior(
            autoencoder,
            images,
            kind=kind,
            components=components,
            steps=length,
            width=width,
            seed=seed,
            precision=precision,
            labelled=not no_labels,
            listener=listener,
        )
    name = f"prior/{prior.kind}"
    kept = autoencoder.attachments[name]
    attach(model, name, kept.tensors, kept.facts)
    console.emit(
        {
            "schema": "isthmus.prior/1",
            "model": model,
            "kind": prior.kind,
            "images": len(images),
            "classes": list(prior.classes),
            "numbers": sum(t.numel() for t in kept.tensors.values()),
            "facts": {k: v for k, v in kept.facts.items() if k != "base"},
            "seconds": round(time.monotonic() - started, 2),
            "skipped": as_json(images.skipped),
        }
    )
    classes = f", {format_count(len(prior.classes), 'class', 'classes')}" if prior.classes else ""
    console.result(f"{prior.kind} prior of {format_count(len(images), 'code')}{classes} is in {model}")
    end_with_skipped(console, images.skipped)
