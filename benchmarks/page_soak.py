"""Use the page for an hour: does its memory grow, and does it keep answering?

    python benchmarks/page_soak.py MODEL DATA --minutes 60

Starts `isthmus serve` and prints how long one client alone waits for a move of a slider in the view Explore
(an image at a point of the space of codes). Then several clients at once ask for everything that the views
ask for, and it prints once a minute the server's memory, the requests, and how long they took. It fails where
the memory of the last third is more than 10 % above that of the second, or where a request was answered with
a fault.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

CLIENTS = 4
MOVES, WARM_MOVES = 100, 5
MAX_GROWTH = 1.10


class Client(threading.Thread):
    """Asks for one thing after another until the time is over."""

    def __init__(self, url: str, model: str, images: list[str], until: float, seed: int) -> None:
        super().__init__(daemon=True)
        self.url, self.model, self.images, self.until = url, model, images, until
        self.random = random.Random(seed)
        self.milliseconds: list[float] = []
        self.codes: dict[int, int] = {}

    def run(self) -> None:
        """Look, compress, measure, upload, decode, list."""
        while time.monotonic() < self.until:
            name = self.random.choice(self.images)
            image = f"data:{name}"
            match self.random.randrange(6):
                case 0:
                    self.do("look", model=self.model, image=image)
                case 1:
                    self.do("noise", image=image)
                case 2:
                    moves = [self.random.uniform(-2, 2) for _ in range(2)]
                    self.do("decode", model=self.model, folder=name.rpartition("/")[0], moves=moves)
                case 3:
                    self.ask(f"/api/data-file?small=true&name={urllib.parse.quote(name)}")
                case 4:
                    self.ask("/api/files?name=x", random.Random(self.random.random()).randbytes(200_000))
                case _:
                    self.ask("/api/about")

    def do(self, action: str, **values: Any) -> None:
        """One action, and its job to the end."""
        answer = self.ask(f"/api/do/{action}", json.dumps(values).encode())
        while "job" in answer:
            time.sleep(0.1)
            answer = self.ask(f"/api/jobs/{answer['job']}")

    def ask(self, path: str, body: bytes | None = None) -> dict[str, Any]:
        """One request; its time and status are kept."""
        request = urllib.request.Request(self.url + path, body, {"content-type": "application/json"})
        began = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                code, content = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            code, content = error.code, error.read()
        self.milliseconds.append(1000 * (time.monotonic() - began))
        self.codes[code] = self.codes.get(code, 0) + 1
        try:
            document = json.loads(content)
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}


def time_moves(url: str, model: str, folder: str) -> None:
    """Print how long `MOVES` moves took, each with fetching its picture, on a connection that is kept."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"))

    def fetch(path: str, values: dict[str, Any] | None = None) -> bytes:
        body = None if values is None else json.dumps(values)
        connection.request(
            "GET" if body is None else "POST", path, body, {"content-type": "application/json"}
        )
        return connection.getresponse().read()

    milliseconds = []
    for number in range(WARM_MOVES + MOVES):
        began = time.monotonic()
        values = {"model": model, "folder": folder, "moves": [number / MOVES, 0.5]}
        answer = json.loads(fetch("/api/do/decode", values))
        while "job" in answer:  # the space of codes is opened first
            time.sleep(0.1)
            answer = json.loads(fetch(f"/api/jobs/{answer['job']}"))
        if "error" in answer:
            raise SystemExit(f"decode: {answer['error']['text']}")
        fetch(answer["result"]["picture"]["url"])
        milliseconds.append(1000 * (time.monotonic() - began))
    connection.close()
    steps = statistics.quantiles(milliseconds[WARM_MOVES:], n=20)
    print(f"{MOVES} moves: median {steps[9]:.1f} ms, 95 % within {steps[18]:.1f} ms", flush=True)


def resident_megabytes(process: int) -> float:
    """Memory of a process (Linux)."""
    text = Path(f"/proc/{process}/status").read_text()
    match = re.search(r"VmRSS:\s+(\d+)", text)
    return int(match[1]) / 1024 if match else float("nan")


def main() -> int:
    """Run it; 1 where something failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--minutes", type=float, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as out:
        words = ["serve", options.model, "--data", options.data, "--out", out, "--port", "0"]
        server = subprocess.Popen(
            [sys.executable, "-m", "isthmus", *words],
            stderr=subprocess.PIPE,
            text=True,
            stdout=subprocess.DEVNULL,
        )
        began = time.monotonic()
        try:
            assert server.stderr is not None
            line = server.stderr.readline()
            url = line.split("the page is at ")[1].partition(";")[0]
            threading.Thread(target=server.stderr.read, daemon=True).start()
            about = json.load(urllib.request.urlopen(f"{url}/api/about"))
            print(f"first answer after {time.monotonic() - began:.2f} s")
            images = json.load(urllib.request.urlopen(f"{url}/api/data"))["images"]
            model = about["models"][0]["name"]
            time_moves(url, model, images[0].rpartition("/")[0])
            until = time.monotonic() + 60 * options.minutes
            clients = [Client(url, model, images, until, seed) for seed in range(CLIENTS)]
            for client in clients:
                client.start()
            memory = watch(server.pid, clients, until)
        finally:
            server.terminate()
            server.wait()
    codes: dict[int, int] = {}
    for client in clients:
        for code, count in client.codes.items():
            codes[code] = codes.get(code, 0) + count
    third = len(memory) // 3
    second, last = memory[third : 2 * third] or memory, memory[2 * third :] or memory
    growth = statistics.mean(last) / statistics.mean(second)
    print(f"answers by status {codes}; memory of the last third {growth:.3f} of that of the second")
    return int(any(code >= 500 and code != 503 for code in codes) or growth > MAX_GROWTH)


def watch(process: int, clients: list[Client], until: float) -> list[float]:
    """Memory in MB, twelve times a minute; prints a line once a minute."""
    memory: list[float] = []
    while time.monotonic() < until:
        time.sleep(5)
        memory.append(resident_megabytes(process))
        if len(memory) % 12 == 0:
            times = [value for client in clients for value in client.milliseconds[-300:]]
            print(
                f"{len(memory) // 12:3d} min  {memory[-1]:7.1f} MB  "
                f"{sum(len(client.milliseconds) for client in clients)} requests  "
                f"median {statistics.median(times):.0f} ms",
                flush=True,
            )
    return memory


if __name__ == "__main__":
    sys.exit(main())
