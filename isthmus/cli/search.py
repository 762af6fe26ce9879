"""`isthmus search MODEL DATA --like IMAGE`: the images most like one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from isthmus.cli.console import Console, force_option, speaks
from isthmus.cli.inputs import as_json, check_data, end_with_skipped, load_model, swap_if_model
from isthmus.escaping import for_terminal
from isthmus.outputs import check_outputs, path_exists
from isthmus.reports.tables import format_table


@click.command()
@click.argument("model")
@click.argument("data")
@click.option("--like", required=True, metavar="DATA", help="What to look for: an image, or several.")
@click.option("-n", "count", type=click.IntRange(1), default=10, show_default=True, help="Matches for each.")
@click.option(
    "--metric",
    type=click.Choice(["cosine", "l2"]),
    default="cosine",
    show_default=True,
    help="Likeness up to 1, or distance from 0.",
)
@click.option("--layer", metavar="NAME", help="Read this stage of the encoder instead; code is one.")
@click.option("--index", "index_path", metavar="FILE", help="Where the index is kept; default: beside DATA.")
@click.option("--no-index", is_flag=True, help="Keep no index.")
@click.option("--picture", metavar="FILE.png", help="Draw each query with its matches.")
@force_option
@speaks
def command(
    console: Console,
    model: str,
    data: str,
    like: str,
    count: int,
    metric: str,
    layer: str | None,
    index_path: str | None,
    no_index: bool,
    picture: str | None,
    force: bool,
) -> None:
    """Find the images of DATA that are most like others.

    The features of a folder are kept in a file beside it, and brought up to date when images come and go;
    those of a named data set only where --index says.

    \b
    isthmus search features.safetensors photos/ --like this.png -n 5 --picture found.png
    """
    check_outputs(picture, force=force)
    network = load_model(model, swapped=swap_if_model(model, data, ["search", "--like", like]))
    check_data(data)
    check_data(like)
    from isthmus.evaluation.readouts import readout_for
    from isthmus.features.api import search
    from isthmus.features.index import beside, is_of, load_usable
    from isthmus.features.readout import stored
    from isthmus.model.reading import read_for

    images = read_for(network, data)
    path = None if no_index else index_path
    if path is None and not no_index and path_exists(data):
        path = str(beside(data))
    kept = None if path is None else load_usable(path)
    if path is not None and kept is None and path_exists(path):
        console.warn(f"the index {path} is damaged; it is made anew")
    if kept is not None and layer in (None, kept.readout.reading.layer) and is_of(kept, network):
        readout, note = stored(network) or kept.readout, None
    else:
        readout, note = readout_for(network, images, layer=layer)
    if note is not None:
        console.note(note)
    with console.progress("indexing", total=len(images)) as line:
        found = search(
            network,
            images,
            like,
            count=count,
            metric=metric,  # type: ignore[arg-type]
            readout=readout,
            index_path=path,
            listener=lambda done, total: line.update(len(images) * done / total),
        )
    if picture is not None:
        picture = console.save(picture, partial(_draw, picture, found, metric, force))
    if found.lost is not None:
        console.lose(found.lost)
    if found.index_path is not None:
        console.note(f"index {found.index_path}: {found.added} added, {found.removed} removed")
    console.emit(
        {
            "schema": "isthmus.search/1",
            "model": model,
            "layer": readout.reading.layer,
            "metric": metric,
            "images": len(images),
            "queries": [
                {"name": name, "matches": [{"name": m.name, "value": m.value} for m in matches]}
                for name, matches in zip(found.queries.names, found.matches, strict=True)
            ],
            "index": found.index_path,
            "added": found.added,
            "removed": found.removed,
            "picture": picture,
            "skipped": as_json((*images.skipped, *found.queries.skipped)),
        }
    )
    for name, matches in zip(found.queries.names, found.matches, strict=True):
        console.result(f"like {for_terminal(name)}:")
        console.result(format_table(["match", metric], [[m.name, round(m.value, 4)] for m in matches]))
    if picture is not None:
        console.note(f"written: {picture}")
    end_with_skipped(console, (*images.skipped, *found.queries.skipped))


def _draw(picture: str, found: object, metric: str, force: bool) -> None:
    from isthmus.atomic import write_bytes
    from isthmus.evaluation.drawing.pictures import before_after
    from isthmus.features.api import Found

    assert isinstance(found, Found)
    rows = []
    for i, matches in enumerate(found.matches[:20]):
        best = f"{found.queries.names[i]}; then by {metric}: {matches[0].value:.3f} … {matches[-1].value:.3f}"
        shown = [found.queries.image(i), *(found.images.image(m.row) for m in matches)]
        rows.append((best, shown))
    write_bytes(Path(picture), before_after(rows, columns=11), force=force)
