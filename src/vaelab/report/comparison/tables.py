"""A comparison in machine-readable form: CSV and JSON."""

from __future__ import annotations

import csv
import io
from typing import Any

from vaelab.evaluation.paired import Comparison


def numbers(comparison: Comparison) -> list[dict[str, Any]]:
    """Return a record for each metric of each run, with 7 significant digits.

    A record holds the value, the standard error, and the difference to the first run.
    """

    def short(value: float | None) -> float | None:
        return None if value is None else float(f"{value:.7g}")

    records: list[dict[str, Any]] = []
    for row in comparison.rows:
        what = {
            "section": row.section,
            "number": row.key,
            "unit": row.metric.unit,
            "better": row.metric.better,
        }
        of_runs = zip(
            comparison.names, row.values, row.intervals, row.verdicts, row.reasons, strict=True
        )
        for name, found, interval, verdict, reason in of_runs:
            value, error, _ = found or (None, None, None)
            difference, low, high = map(short, interval or (None, None, None))
            records.append(
                what
                | {"run": name, "value": short(value), "error": short(error)}
                | {
                    "difference": difference,
                    "low": low,
                    "high": high,
                    "verdict": verdict,
                    "reason": reason,
                }
            )
    return records


def table_csv(comparison: Comparison) -> str:
    """Return the records of `numbers`, then the cost, as CSV. No text starts like a formula."""
    records, out = numbers(comparison), io.StringIO()
    writer = csv.DictWriter(out, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_plain, records))
    for name, entry in comparison.entries.items():
        writer.writerows(
            _plain({"section": "cost", "number": k, "run": name, "value": v})
            for k, v in entry.cost.items()
        )
    return out.getvalue()


def record(comparison: Comparison) -> dict[str, Any]:
    """Return everything except the pictures as JSON types."""
    return {
        "reference": comparison.names[0],
        "findings": comparison.findings,
        "seeds": comparison.seeds,
        "level": comparison.level,
        "numbers": numbers(comparison),
        "cost": {name: entry.cost for name, entry in comparison.entries.items()},
        "not_the_same": comparison.unlike,
        "compared": comparison.compared,
        "same": comparison.same,
        "protocol": comparison.protocol,
    }


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record with texts that a spreadsheet does not interpret as formulas."""
    risky = ("=", "+", "-", "@", "\t", "\r")
    return {
        key: f"'{value}" if isinstance(value, str) and value.startswith(risky) else value
        for key, value in record.items()
    }
