"""From turns to medians, ratios, verdicts and the Markdown of docs/research/training-speed.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

TARGETS = {  # of the ratio of Isthmus to a contender, by network
    "PyTorch": {"dense": 4.0, "small-conv": 4.0, "conv": 2.0, "attention": 2.0},
    "pythae": {"dense": 4.0, "small-conv": 4.0, "conv": 2.0, "attention": 2.0},
    "Keras mixed_bfloat16": dict.fromkeys(("dense", "small-conv", "conv", "attention"), 1.25),
}
INFERENCE, SHARE, LOSS = 2.0, 0.8, 0.005


def rate(turns: Sequence[Mapping[str, float]], clock: str) -> dict[str, float]:
    """Median, least and largest images a second by one of the clocks, `busy` or `seconds`."""
    rates = [turn["images"] / turn[clock] for turn in turns]
    return {"median": median(rates), "low": min(rates), "high": max(rates)}


def verdicts(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every target with what was reached: `{"what", "reached", "target", "passed"}`."""
    lines: list[dict[str, Any]] = []

    def add(what: str, reached: float, target: float, *, below: bool = False) -> None:
        passed = reached <= target if below else reached >= target
        lines.append({"what": what, "reached": reached, "target": target, "passed": passed})

    for network, row in results["networks"].items():
        for peer, targets in TARGETS.items():
            if peer in row["rates"]:
                ratio = row["rates"]["Isthmus"]["median"] / row["rates"][peer]["median"]
                add(f"{network}: training against {peer}", ratio, targets[network])
        if "loss" in row:
            gap = row["loss"]["bfloat16"] / row["loss"]["float32"] - 1
            add(f"{network}: validation loss of bfloat16 above float32's", gap, LOSS, below=True)
        for use, rates in row.get("inference", {}).items():
            add(f"{network}: {use} against PyTorch", rates["Isthmus"] / rates["PyTorch"], INFERENCE)
    if "limit" in results and "conv" in results["networks"]:
        add("conv: share of the limit of its own layers", results["limit"]["share"], SHARE)
    return lines


def training_table(results: Mapping[str, Any]) -> str:
    """Images a second of every contender on every network, and Isthmus' ratios."""
    names = [name for row in results["networks"].values() for name in row["rates"]]
    names = list(dict.fromkeys(names))
    if not names:
        return ""
    lines = ["| network | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for network, row in results["networks"].items():
        if not row["rates"]:
            continue
        ours = row["rates"]["Isthmus"]["median"]
        cells = []
        for name in names:
            if name not in row["rates"]:
                cells.append("")
                continue
            rate = row["rates"][name]
            spread = f"{shown(rate['median'])} ({shown(rate['low'])} to {shown(rate['high'])})"
            cells.append(spread if name == "Isthmus" else f"{spread}, {ours / rate['median']:.2f}×")
        lines.append(f"| {network} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def shown(number: float) -> str:
    """Three digits: `1,230`."""
    digits = 10 ** max(0, len(str(int(number))) - 3)
    return f"{round(number / digits) * digits:,}"


def verdict_table(lines: Sequence[Mapping[str, Any]]) -> str:
    rows = ["| what | reached | target | |", "|---|---|---|---|"]
    for line in lines:
        percent = line["target"] < 1
        reached, target = (
            f"{100 * line[k]:.2g} %" if percent else f"{line[k]:.2f}×" for k in ("reached", "target")
        )
        rows.append(
            f"| {line['what']} | {reached} | {target} | {'reached' if line['passed'] else 'falls short'} |"
        )
    return "\n".join(rows)
