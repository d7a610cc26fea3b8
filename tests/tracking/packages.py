"""Train with real trackers, resume, and read back what they wrote: `packages.py FOLDER NAMES`.

A process of its own, because the packages start threads and processes, and take seconds to import.
It prints, as JSON, tracker -> name of a value -> [[step, value], ...], and what was tried to reach.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from PIL import Image

import vaelab
import vaelab.workflows.train as training
from vaelab.tracking.wandb import CLOSED

TINY = {
    "model.hidden": [16],
    "train.schedule": "constant",
    "train.threads": 1,
    "train.epochs": 3,
    "data.images": 200,
    "figures.points": 30,
}
TRIED: list[str] = []
LOCAL = ("127.0.0.1", "::1", "localhost")
Values = dict[str, list[list[float]]]


def watch(event: str, given: tuple[Any, ...]) -> None:
    """Refuse every connection that leaves this machine."""
    if event not in ("socket.connect", "socket.getaddrinfo"):
        return
    address = given[event == "socket.connect"]
    host = address[0] if isinstance(address, tuple) else address
    if host not in LOCAL and (event == "socket.getaddrinfo" or isinstance(address, tuple)):
        TRIED.append(f"{event} {address}")  # all but the file of a local socket
        raise OSError("there is no network here")


def plot(view: Any, say: Any) -> None:
    """One small figure in place of a dozen."""
    path = view.run.folder / "figures" / "losses.png"
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (40, 30), "white").save(path)


def tensorboard() -> Values:
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    found = EventAccumulator("run", size_guidance={"tensors": 0}).Reload()
    values: Values = {}
    for name in found.Tags()["tensors"]:
        about = found.SummaryMetadata(name)
        read = [(e.step, make_ndarray(e.tensor_proto)) for e in found.Tensors(name)]
        if about.plugin_data.plugin_name == "scalars":
            values[name] = [[step, value.item()] for step, value in read]
        elif about.plugin_data.plugin_name == "images":  # width, height, the PNG file
            values[name] = [[step, *map(int, value[:2])] for step, value in read]
    rows = Path("run", "00005", "codes", "tensors.tsv").read_text().splitlines()
    labels = Path("run", "00005", "codes", "metadata.tsv").read_text().splitlines()
    values["codes"] = [
        [float(label), len(row.split("\t"))] for label, row in zip(labels, rows, strict=True)
    ]
    return values


def mlflow() -> Values:
    from mlflow import MlflowClient

    client = MlflowClient("sqlite:///mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("vaelab").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["train.learning_rate"] == "0.002"
    assert [f.path for f in client.list_artifacts(run.info.run_id, "figures")] == [
        "figures/losses.png"
    ]
    return {
        name: [[m.step, m.value] for m in client.get_metric_history(run.info.run_id, name)]
        for name in run.data.metrics
    }


def wandb() -> Values:
    """Read the log of an offline run: records of a LevelDB log, each a protocol buffer."""
    from wandb.proto.wandb_internal_pb2 import Record

    values: Values = {}
    for path in sorted(Path("wandb").glob("offline-run-*/*.wandb")):
        content, place, parts = path.read_bytes(), 7, []
        while place < len(content):
            if (left := 32768 - place % 32768) < 7:  # the rest of a block is empty
                place += left
            size, kind = (
                int.from_bytes(content[place + 4 : place + 6], "little"),
                content[place + 6],
            )
            parts.append(content[place + 7 : place + 7 + size])
            place += 7 + size
            if kind in (1, 4):  # whole, or the last part
                record = Record.FromString(b"".join(parts))
                parts = []
                step = record.history.step.num
                for item in record.history.item:
                    name = item.key or "/".join(item.nested_key)
                    values.setdefault(name, []).append([step, json.loads(item.value_json)])
                for item in record.summary.update:
                    name = item.key or "/".join(item.nested_key)
                    if name.startswith("results/"):
                        values[name] = [[5, json.loads(item.value_json)]]
    return {name: pairs for name, pairs in values.items() if name[0] != "_"}


def trackio() -> Values:
    from trackio.sqlite_storage import SQLiteStorage

    (run,) = SQLiteStorage.get_runs("vaelab")
    values: Values = {}
    for row in SQLiteStorage.get_logs("vaelab", run):
        for name in row.keys() - {"step", "timestamp"}:
            values.setdefault(name, []).append([row["step"], row[name]])
    return values


def main(folder: Path, names: list[str]) -> None:
    os.chdir(folder)
    os.environ["TRACKIO_DIR"] = str(folder / "trackio")
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    sys.addaudithook(watch)
    training.gallery.plot = plot
    training.write_finished = lambda *_: None
    vaelab.train(vaelab.recipe("quickstart", TINY), "run", track=names)
    notes = Path("run", "tracking.json")
    sent = json.loads(notes.read_text())
    if "tensorboard" in names:  # as if the process had been killed before it noted epoch 3
        sent["sent"]["tensorboard"]["epochs"] = 2
    notes.write_text(json.dumps(sent))
    for mark in Path("wandb").glob(
        f"offline-*/{CLOSED}"
    ):  # as if it had been killed, and lost its records
        shutil.rmtree(mark.parent)
        (mark.parent / "files").mkdir(parents=True)
    vaelab.resume("run", {"train.epochs": 5}, track=names)
    vaelab.track("run", names)  # there is nothing left to send
    print(json.dumps({name: globals()[name]() for name in names} | {"tried": TRIED}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2].split(","))
