"""Every example in README.md and docs/ runs: ```python blocks, and `$ isthmus …` lines of ```console blocks.

The examples of one page run in order, in one folder that holds `photos/`. A block that cannot run here has
`<!-- not run: reason -->` on the line above it. Trainings are cut short, and `fashion-sample` holds fewer
images: an example must run, not learn.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scripts import load_script

from isthmus.__main__ import main
from isthmus.evaluation.audit import duplicate_limits
from isthmus.images.named import SAMPLE_FOLDER
from isthmus.training.config import TrainConfig

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
STEPS = 4
SHELL = {"|", ">", ">>", "<", "&&", "||", ";", "&"}
MARK = re.compile(r"<!--\s*not run:(.*?)-->")


@dataclass(frozen=True)
class Block:
    language: str
    line: int
    text: str
    mark: str | None


def blocks(page: str) -> list[Block]:
    """The runnable fenced blocks of a page; `mark` is the reason why one is not run."""
    results: list[Block] = []
    lines = page.splitlines()
    opened: int | None = None
    for number, line in enumerate(lines):
        if opened is None and line.startswith("```"):
            opened = number
        elif opened is not None and line.rstrip() == "```":
            language = lines[opened][3:].strip()
            mark = MARK.fullmatch(lines[opened - 1].strip()) if opened else None
            if language in ("python", "console"):
                text = "\n".join(lines[opened + 1 : number])
                results.append(Block(language, opened + 1, text, mark.group(1).strip() if mark else None))
            opened = None
    assert opened is None, f"a fence opened in line {(opened or 0) + 1} is never closed"
    return results


def expanded(word: str) -> list[str]:
    """The files a pattern stands for, as a shell names them; any other word is itself."""
    if not set("*?[") & set(word):
        return [word]
    return sorted(str(path) for path in Path().glob(word)) or [word]


def command_lines(console: str) -> list[list[str]]:
    """The words after `isthmus` of each `$` line, patterns such as photos/*.png expanded as a shell would."""
    commands = []
    for line in re.sub(r"\\\n\s*", " ", console).splitlines():
        if not line.startswith("$ "):
            continue
        words = shlex.split(line[2:], comments=True)
        if not words:
            continue
        assert words[0] == "isthmus" and not SHELL & set(words), f"cannot run {line!r} here; mark the block"
        commands.append([name for word in words[1:] for name in expanded(word)])
    return commands


def run(block: Block, names: dict[str, object], page: Path) -> None:
    if block.language == "python":
        # Blank lines put the page's own line numbers into a traceback.
        exec(compile("\n" * block.line + block.text, str(page), "exec"), names)
        return
    commands = command_lines(block.text)
    assert commands, f"{page.name}:{block.line}: a console block without a `$ isthmus …` line"
    for words in commands:
        assert main(words) == 0, f"{page.name}:{block.line}: isthmus {shlex.join(words)}"


class ShortConfig(TrainConfig):
    """The same request for a training, of a few steps at most."""

    def __post_init__(self) -> None:
        super().__post_init__()
        shorter = {"epochs": None, "minutes": None, "steps": min(self.steps or STEPS, STEPS)}
        for name, value in shorter.items():
            object.__setattr__(self, name, value)


@pytest.fixture
def sample_folder(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A working folder with photos/: twelve small colour images, a bright disc at another place in each."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[0:16, 0:16]
    (tmp_path / "photos").mkdir()
    for index in range(12):
        y, x = random.integers(4, 12, 2)
        disc = (rows - y) ** 2 + (columns - x) ** 2 < 9
        pixels = np.stack([rows * 8, columns * 8, np.where(disc, 230, 40)], axis=-1).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{index:02d}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(duplicate_limits, "LIMIT_PAIRS", 40)
    monkeypatch.setattr(duplicate_limits, "USUAL_PAIRS", 16)
    for module in ("isthmus.training.config", "isthmus.estimator"):
        monkeypatch.setattr(f"{module}.TrainConfig", ShortConfig)
    sample = tmp_path_factory.getbasetemp() / "sample"
    if not sample.exists():
        load_script("tools/make_sample.py").make_sample(
            SAMPLE_FOLDER, sample, per_class={"train": 12, "t10k": 6}
        )
    monkeypatch.setattr("isthmus.images.named.SAMPLE_FOLDER", sample)
    return tmp_path


@pytest.mark.usefixtures("sample_folder")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_examples_run(page: Path) -> None:
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page.read_text("utf-8")):
        if block.mark is None:
            run(block, names, page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_is_not_run_says_why(page: Path) -> None:
    text = page.read_text("utf-8")
    marked = [block for block in blocks(text) if block.mark is not None]
    assert [block.line for block in marked if not block.mark] == []
    assert len(MARK.findall(text)) == len(marked), "a mark stands directly above the block it speaks of"


PAGE = """
```python
a = 1
```
<!-- not run: needs a GPU -->
```console
$ isthmus train photos/
```

```text
not an example
```
<!-- not run: -->
```python
b = 2
```
"""


def test_blocks_are_found_with_their_marks() -> None:
    assert [(block.language, block.text, block.mark) for block in blocks(PAGE)] == [
        ("python", "a = 1", None),
        ("console", "$ isthmus train photos/", "needs a GPU"),
        ("python", "b = 2", ""),
    ]


@pytest.mark.usefixtures("sample_folder")
def test_console_lines_are_read_as_a_shell_would() -> None:
    text = "$ isthmus info 'my model' \\\n    photos/0[01].png  # two\nsome output\n$ isthmus doctor"
    assert command_lines(text) == [["info", "my model", "photos/00.png", "photos/01.png"], ["doctor"]]


@pytest.mark.parametrize("line", ["$ pip install x", "$ isthmus doctor | head", "$ isthmus doctor && ls"])
def test_what_cannot_run_must_be_marked(line: str) -> None:
    with pytest.raises(AssertionError, match="mark the block"):
        command_lines(line)


def test_a_failing_example_fails() -> None:
    with pytest.raises(AssertionError, match="isthmus trian"):
        run(Block("console", 1, "$ isthmus trian", None), {}, Path("page.md"))
