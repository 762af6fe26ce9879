"""What a model gives away of its training images, trained plainly and privately.

    python benchmarks/privacy.py --images 2000 --budgets 2,8

The first images of Fashion-MNIST's training split are learned by a small dense network, without held-out
images and for long enough to learn them by heart; then privately for each ε. Membership is tested by the loss
against as many images of the test split. Noise is seeded, so that the numbers can be had again.
"""

from __future__ import annotations

import argparse
import time

import isthmus

SETTINGS = {"backbone.width": "256-128"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--epochs", type=float, default=150, help="of the plain training")
    parser.add_argument("--private-epochs", type=float, default=40)
    parser.add_argument("--budgets", default="2,8")
    parser.add_argument("--code", default="64")
    parser.add_argument("--clip-norm", type=float, default=None)
    arguments = parser.parse_args()
    members = isthmus.read("fashion-mnist:train").subset(range(arguments.images))
    others = isthmus.read("fashion-mnist:test").subset(range(arguments.images))
    print("| training | ε | noise | AUROC (95 %) | found at 1 % | mse, others | mse, members | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    for budget in (None, *map(float, arguments.budgets.split(","))):
        private = {"private": budget, "noise_seed": 0, "clip_norm": arguments.clip_norm} if budget else {}
        started = time.monotonic()
        model = isthmus.train(
            members,
            recipe="dense",
            code=arguments.code,
            settings=SETTINGS,
            epochs=arguments.private_epochs if budget else arguments.epochs,
            validation=0.0,
            precision="float32",
            **private,
        )
        seconds = time.monotonic() - started
        result = isthmus.evaluate(model, others, reference=members, privacy=True)
        assert result.privacy is not None and result.gap is not None
        attack, spent = result.privacy, model.summary["privacy"]
        print(
            f"| {'plain' if spent is None else 'private'} | "
            + ("– | – | " if spent is None else f"{spent['epsilon']:.2f} | {spent['noise']:.2f} | ")
            + f"{attack.auroc:.3f} ({attack.low:.3f} to {attack.high:.3f}) | "
            f"{100 * attack.found_at_1_percent:.1f} % | {result.metrics['mse']:.4f} | "
            f"{result.gap.train['mse']:.4f} | {seconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
