"""The command line: a table of commands, each loaded only when it is run.

`isthmus --help`, `--version` and usage errors read this table alone, so they import no command module
and nothing heavy. A new command is one `build_command` call in a module of this folder and one line here.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import cast

import click

from isthmus.errors import UsageError, nearest
from isthmus.version import __version__


@dataclass(frozen=True)
class Entry:
    """One command: its name, its home in this folder ("module:attribute"), its help and section."""

    name: str
    home: str
    help: str
    section: str


_LOOK = "Train and look"
_REPAIR = "Repair"
_FILES = "Compress"
_MAKE = "Make"
_FIND = "Find and sort"
_CLOSER = "Look closer"
_SHARE = "Share"

COMMANDS: tuple[Entry, ...] = (
    Entry("train", "train:command", "Train an autoencoder on images.", _LOOK),
    Entry("recipes", "catalogue:recipes_command", "List the named recipes, or show one in full.", _LOOK),
    Entry("info", "catalogue:info_command", "Show what a model or a compressed file holds.", _LOOK),
    Entry("evaluate", "evaluation:evaluate_command", "Measure a model on images, against baselines.", _LOOK),
    Entry("compare", "evaluation:compare_command", "Train several recipes equally and compare them.", _LOOK),
    Entry("reconstruct", "restoration:reconstruct_command", "Write images as a model sees them.", _LOOK),
    Entry("demo", "demo:demo_command", "Train on the shipped images and try every use once.", _LOOK),
    Entry("serve", "demo:serve_command", "Open a page with every use in the browser.", _LOOK),
    Entry("doctor", "doctor:command", "Examine this machine, or how a training went.", _LOOK),
    Entry("denoise", "restoration:denoise_command", "Remove noise from images.", _REPAIR),
    Entry("inpaint", "restoration:inpaint_command", "Fill what is missing in images.", _REPAIR),
    Entry("models", "catalogue:models_command", "List the models that come with the package.", _REPAIR),
    Entry("compress", "compression:compress_command", "Compress images into small files.", _FILES),
    Entry("decompress", "compression:decompress_command", "Turn such files into images again.", _FILES),
    Entry("verify", "compression:verify_command", "Check that such files are whole.", _FILES),
    Entry("prior", "generation:prior_command", "Fit what new images are drawn from.", _MAKE),
    Entry("generate", "generation:generate_command", "Make new images.", _MAKE),
    Entry("interpolate", "generation:interpolate_command", "Make what lies between images.", _MAKE),
    Entry("direction", "generation:direction_command", "Learn a direction from two groups.", _MAKE),
    Entry("transform", "generation:transform_command", "Change an image along a direction.", _MAKE),
    Entry("augment", "generation:augment_command", "Make more labelled images.", _MAKE),
    Entry("frames", "frames:command", "Fill, slow down or predict frames.", _MAKE),
    Entry("map", "generation:map_command", "Draw all codes on one page, with their images.", _MAKE),
    Entry("embed", "features:embed_command", "Turn images into feature vectors.", _FIND),
    Entry("classify", "features:classify_command", "Learn labels from features, measured.", _FIND),
    Entry("cluster", "features:cluster_command", "Put alike images into groups.", _FIND),
    Entry("search", "features:search_command", "Find the images most like one.", _FIND),
    Entry("anomalies", "anomalies:command", "Find unusual images, and where.", _FIND),
    Entry("audit", "evaluation:audit_command", "Examine images before training on them.", _CLOSER),
    Entry("tune", "tune:command", "Choose settings by cross-validation.", _CLOSER),
    Entry("explain", "evaluation:explain_command", "Show what a model's code sees.", _CLOSER),
    Entry("export", "sharing:export_command", "Write a model as ONNX files.", _SHARE),
    Entry("push", "sharing:push_command", "Share a model in a folder or on a hub.", _SHARE),
    Entry("pull", "sharing:pull_command", "Fetch a shared model.", _SHARE),
)

_BY_NAME = {entry.name: entry for entry in COMMANDS}
OLD_NAMES = {"direct": "direction"}
"""Commands of version 0.1 -> their new names; they are not listed, and go with version 0.3."""


class LazyGroup(click.Group):
    """A click group that answers from `COMMANDS` and imports a command only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return [entry.name for entry in COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        entry = _BY_NAME.get(OLD_NAMES.get(cmd_name, cmd_name))
        if entry is None:
            return None
        module, _, attribute = entry.home.partition(":")
        command = cast(click.Command, getattr(import_module(f"{__name__}.{module}"), attribute))
        command.name = entry.name
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if (
            word not in _BY_NAME
            and word not in OLD_NAMES
            and not word.startswith("-")
            and not ctx.resilient_parsing
        ):
            raise UsageError(
                "no such command '{name}'{suggestion}",
                id="command.unknown",
                hint="isthmus --help",
                name=word,
                suggestion=nearest(word, tuple(_BY_NAME)),
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        for section in dict.fromkeys(entry.section for entry in COMMANDS):
            with formatter.section(section):
                formatter.write_dl(
                    [(entry.name, entry.help) for entry in COMMANDS if entry.section == section]
                )


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="isthmus", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
@click.pass_context
def isthmus(ctx: click.Context) -> None:
    """Train one autoencoder on your images and use it for everything autoencoders are good for.

    DATA is a folder of images, one image, a .npy or .npz array, an idx file, or the name of a data set.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
