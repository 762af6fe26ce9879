"""`isthmus evaluate MODEL DATA`: every number about a model, beside baselines; with `--report`, a page."""

from __future__ import annotations

from functools import partial

import click

from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.inputs import check_data, end_with_skipped, load_model, swap_if_model
from isthmus.outputs import check_outputs
from isthmus.reports.tables import format_table


@click.command()
@click.argument("model")
@click.argument("data")
@click.option("--train", metavar="DATA", help="The training images, for baselines and the train/test gap.")
@click.option("--report", metavar="FILE.html", help="Write a page with pictures and every number.")
@click.option(
    "--nll-samples", type=click.IntRange(0), default=0, metavar="K", help="Codes per image for nll_nats."
)
@click.option("--privacy", is_flag=True, help="Test whether losses give away what was trained on.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="At most N images, evenly spaced.")
@click.option("--generation", is_flag=True, help="Also draw new images and measure them beside real ones.")
@click.option(
    "--samples",
    type=click.IntRange(8),
    default=10_000,
    show_default=True,
    metavar="N",
    help="With --generation: at most N images in each set that is compared.",
)
@click.option(
    "--features",
    metavar="FILE",
    help="With --generation: a classifier to compare in, instead of the one that comes with the package.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of corruption and sampled codes.")
@force_option
@speaks
def command(
    console: Console,
    model: str,
    data: str,
    train: str | None,
    report: str | None,
    nll_samples: int,
    limit: int | None,
    generation: bool,
    samples: int,
    privacy: bool,
    features: str | None,
    seed: int,
    force: bool,
) -> None:
    """Measure MODEL on the images DATA, beside baselines.

    PCA with a code of the same size and the mean image are fitted on the training images. These are looked
    for where the model says it was trained, or given with --train. A model trained with a corruption is given
    corrupted images and compared with the clean ones.
    """
    autoencoder = load_model(model, swapped=swap_if_model(model, data, ["evaluate"]))
    check_data(data)
    check_outputs(report, force=force)
    from isthmus.evaluation.report.model import metrics_table, model_report
    from isthmus.evaluation.table import evaluate
    from isthmus.evaluation.training_data import read_for

    images = read_for(autoencoder, data)
    with console.progress("evaluating", total=len(images)) as line:

        def listener(done: int, total: int) -> None:
            line.update(done * len(images) / total)

        found = evaluate(
            autoencoder,
            images,
            train=train,
            nll_samples=nll_samples,
            seed=seed,
            limit=limit,
            privacy=privacy,
            listener=listener,
        )
    for note in found.notes:
        console.note(f"note: {note}")
    made = None
    if generation:
        from isthmus.cli.prepared_prior import with_prior
        from isthmus.evaluation.generation import evaluate_generation
        from isthmus.generation.prior import kept

        priors = None if kept(autoencoder) else [with_prior(console, autoencoder, model, None)]
        made = evaluate_generation(
            autoencoder,
            images,
            train=train,
            priors=priors,
            features=features,
            count=samples,
            seed=seed,
            say=console.note,
        )
        for note in made.notes:
            console.note(f"note: {note}")
    if report is not None:
        page = model_report(autoencoder, found, images, generation=made, path=model)
        report = console.save(report, partial(page.write, report, force=force))
    document = {"generation": None if made is None else made.to_dict(), "report": report}
    console.emit(found.to_dict() | document)
    console.result(format_table(*metrics_table(found)))
    if made is not None:
        console.result(format_table(*made.table()))
        console.result(
            f"distance to the nearest training image, samples over unseen images: {made.memory.ratio:.3g}; "
            f"copied: {made.memory.copied:.1%} (by chance 1.0%)"
        )
    if found.gap is not None and found.gap["mse_ratio"] is not None:
        console.result(f"squared error is {found.gap['mse_ratio']:.3g} times that on training images")
    if found.privacy is not None:
        p = found.privacy
        verdict = "its losses give training images away" if p["leaks"] else "no more than chance"
        console.result(
            f"membership: AUROC {p['auroc']:.3f} ({p['low']:.3f} to {p['high']:.3f}), "
            f"{p['found_at_1_percent']:.1%} found at 1 % false alarms: {verdict}"
        )
    if report is not None:
        console.note(f"report: {report}")
    end_with_skipped(console, images.skipped)
