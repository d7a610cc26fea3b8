"""MLflow: parameters, metrics and figures at MLFLOW_TRACKING_URI, or in a local database."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from vaelab.tracking.protocol import Finished, Opened, Start
from vaelab.tracking.records import ABOUT

EXPERIMENT = "vaelab"
MARK = "vaelab.id"  # the tag by which a run is found again
BATCH = 100  # parameters that MLflow takes at once
# Without limits, a server that does not answer holds a training up for minutes.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}


class MLflow:
    """Write a run of the experiment vaelab."""

    def begin(self, start: Start) -> Opened:
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        import mlflow
        from mlflow.entities import Param

        uri = mlflow.get_tracking_uri()
        if uri.startswith("sqlite") and not find_spec("sqlalchemy"):  # mlflow-skinny
            uri = "mlruns"
        self.client: Any = mlflow.MlflowClient(uri)
        experiment = self._experiment()
        mark = f"tags.`{MARK}` = '{start.id}'"
        found = self.client.search_runs([experiment], mark, max_results=1)
        if found:
            self.id = found[0].info.run_id
            self.client.update_run(self.id, status="RUNNING")
        else:
            tags = {MARK: start.id, "mlflow.note.content": _note()}
            run = self.client.create_run(experiment, run_name=start.name, tags=tags)
            self.id = run.info.run_id
            settings = [Param(key, str(value)) for key, value in start.settings.items()]
            for i in range(0, len(settings), BATCH):
                self.client.log_batch(self.id, params=settings[i : i + BATCH])
        return Opened(f"records in {uri}{_command(uri)}", bool(found))

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, number) for name, value in values.items()]
        self.client.log_batch(self.id, metrics=metrics)

    def results(self, finished: Finished) -> None:
        self.epoch(finished.epochs, finished.results)
        for path in finished.figures.values():
            self.client.log_artifact(self.id, str(path), "figures")

    def end(self, finished: bool) -> None:
        self.client.set_terminated(self.id, "FINISHED" if finished else "KILLED")

    def _experiment(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        found = self.client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self.client.create_experiment(name))


def _command(uri: str) -> str:
    """How to look at records that no server shows."""
    if uri.startswith(("http", "databricks")):
        return ""
    files = "" if uri.startswith("sqlite") else "MLFLOW_ALLOW_FILE_STORE=true "
    return f"; look at them with: {files}mlflow ui --backend-store-uri {uri}"


def _note() -> str:
    """What the metrics mean, as Markdown."""
    return "\n".join(f"- `{name}`: {text}" for name, text in ABOUT.items())
