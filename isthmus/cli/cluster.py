"""`isthmus cluster MODEL DATA -k K`: groups of alike images."""

from __future__ import annotations

from functools import partial

import click

from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.inputs import as_json, check_data, end_with_skipped, load_model, swap_if_model
from isthmus.escaping import csv_text
from isthmus.outputs import check_outputs
from isthmus.reports.tables import format_table
from isthmus.wording import format_count


@click.command()
@click.argument("model")
@click.argument("data")
@click.option("-k", "count", type=click.IntRange(1), required=True, metavar="K", help="How many groups.")
@click.option(
    "--method",
    type=click.Choice(["kmeans", "gmm", "hdbscan"]),
    default="kmeans",
    show_default=True,
    help="hdbscan finds the number of groups itself.",
)
@click.option(
    "--space",
    type=click.Choice(["features", "spectral", "umap"]),
    default="spectral",
    show_default=True,
    help="Group the features, or where their neighbourhoods put them.",
)
@click.option("--neighbours", type=click.IntRange(2), default=10, show_default=True, help="Of each image.")
@click.option("--layer", metavar="NAME", help="Read this stage of the encoder instead; code is one.")
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Runs for the table.")
@click.option("--baselines/--no-baselines", default=True, help="PCA and pixels in the same table.")
@click.option("--picture", metavar="FILE.png", help="Draw the most typical images of each group.")
@click.option("-o", "--out", metavar="FILE.csv", help="Write the group of every image.")
@force_option
@speaks
def command(
    console: Console,
    model: str,
    data: str,
    count: int,
    method: str,
    space: str,
    neighbours: int,
    layer: str | None,
    seeds: int,
    baselines: bool,
    picture: str | None,
    out: str | None,
    force: bool,
) -> None:
    """Put the images DATA into K groups of alike ones, without labels.

    Where DATA has labels, a table says how well the groups agree with them, beside PCA and pixels.

    \b
    isthmus cluster features.safetensors photos/ -k 12 --picture groups.png -o groups.csv
    """
    check_outputs(picture, out, force=force)
    network = load_model(model, swapped=swap_if_model(model, data, ["cluster"]))
    check_data(data)
    from isthmus.atomic import write_bytes, write_text
    from isthmus.evaluation.readouts import readout_for
    from isthmus.features.contenders import SEEN
    from isthmus.features.grouping import group
    from isthmus.model.reading import read_for

    images = read_for(network, data)
    readout, note = readout_for(network, images, layer=layer)
    if note is not None:
        console.note(note)
    found = group(
        network,
        readout,
        images,
        count,
        method=method,  # type: ignore[arg-type]
        space=space,  # type: ignore[arg-type]
        neighbours=neighbours,
        seeds=seeds,
        seen=SEEN if baselines else SEEN[:2],
        say=console.note,
    )
    clusters = found.clusters
    if picture is not None:
        from isthmus.evaluation.drawing.pictures import before_after

        sizes = [int((clusters.assigned == i).sum()) for i in range(clusters.count)]
        rows = [
            (
                f"{i}: {format_count(int(sizes[i]), 'image')}",
                [images.image(int(row)) for row in clusters.typical[i]],
            )
            for i in range(clusters.count)
        ]
        picture = console.save(picture, partial(write_bytes, picture, before_after(rows), force=force))
    if out is not None:
        lines = zip(images.names, clusters.assigned.tolist(), strict=True)
        text = csv_text(("name", "group"), lines)
        out = console.save(out, partial(write_text, out, text, force=force))
    console.emit(
        {
            "schema": "isthmus.cluster/1",
            "model": model,
            "layer": readout.reading.layer,
            "images": len(images),
            "method": method,
            "space": space,
            "groups": [
                {
                    "images": int((clusters.assigned == i).sum()),
                    "typical": [images.names[int(row)] for row in clusters.typical[i]],
                }
                for i in range(clusters.count)
            ],
            "ungrouped": int((clusters.assigned < 0).sum()),
            "agreement": found.agreement,
            "seeds": seeds,
            "picture": picture,
            "out": out,
            "skipped": as_json(images.skipped),
        }
    )
    if found.agreement:
        header = ["seen as", "accuracy %", "± seeds", "purity %", "mutual information %"]
        console.result(format_table(header, [_row(name, one) for name, one in found.agreement.items()]))
    else:
        rows_ = [
            [i, int((clusters.assigned == i).sum()), images.names[int(clusters.typical[i][0])]]
            for i in range(clusters.count)
        ]
        console.result(format_table(["group", "images", "most typical"], rows_))
    for path in filter(None, (picture, out)):
        console.note(f"written: {path}")
    end_with_skipped(console, images.skipped)


def _row(name: str, one: dict[str, float]) -> list[object]:
    keys = ("accuracy", "accuracy_deviation", "purity", "nmi")
    return [name, *(round(100 * one[key], 2) for key in keys)]
