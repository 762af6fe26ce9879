"""The names in files of version 0.1; run as a script, it writes `names.json`. Run once, on version 0.1.

python tests/compatibility/names.py
"""

from __future__ import annotations

import json
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
FOLDERS = ("models", "states")


def names_of(path: Path) -> tuple[list[str], set[str]]:
    """Sorted names of the tensors of a safetensors file, and the paths of all keys in its JSON.

    A kind of an axis stands as a key: `recipe.backbone.kind=conv`.
    """
    from .checks import key_paths, read_header

    tensors, metadata = read_header(path)
    keys: set[str] = set()
    for name, text in metadata.items():
        document = json.loads(text)
        keys |= {name, *(f"{name}: {key}" for key in key_paths(document))}
        for axis, point in document.get("recipe", {}).items():
            if isinstance(point, dict) and "kind" in point:
                keys.add(f"{name}: recipe.{axis}.kind={point['kind']}")
    return sorted(tensors), keys


def main() -> None:
    results: dict[str, dict[str, list[str]]] = {"tensors": {}, "keys": {}}
    with tempfile.TemporaryDirectory() as temporary:
        for folder in FOLDERS:
            with zipfile.ZipFile(HERE / "0.1" / f"{folder}.zip") as archive:
                archive.extractall(Path(temporary) / folder)
        paths = [(Path(temporary), path) for path in sorted(Path(temporary).rglob("*.safetensors"))]
        paths += [(HERE / "0.1", path) for path in sorted((HERE / "0.1").glob("*.safetensors"))]
        for base, path in paths:
            name = path.relative_to(base).as_posix()
            tensors, keys = names_of(path)
            results["tensors"][name] = tensors
            group = name.split("/")[0]
            results["keys"][group] = sorted({*results["keys"].get(group, []), *keys})
    lines = [
        f' "{part}": {{\n'
        + ",\n".join(f"  {json.dumps(name)}: {json.dumps(names)}" for name, names in sorted(table.items()))
        + "\n }"
        for part, table in results.items()
    ]
    (HERE / "names.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    __package__ = "compatibility"
    main()
