"""`diagnose`: apply all rules to a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vaelab import devices
from vaelab.evaluation.doctor.evidence import IMAGES, LOOKED, Evidence
from vaelab.evaluation.doctor.finding import Finding
from vaelab.evaluation.doctor.rules import FOLLOWS, RULES
from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.results import read
from vaelab.evaluation.sections import latent, samples
from vaelab.runs import Run
from vaelab.runs import load as load_run
from vaelab.seeding import untouched


def diagnose(
    run: Run | str | Path,
    sections: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    images: int = IMAGES,
) -> list[Finding]:
    """Apply all rules to a run.

    Args:
        run: A run or its folder.
        sections: The sections of an `Evaluation`; by default those stored in the run folder.
            Missing ones are measured on fewer images.
        images: The most images of a split whose loss is computed.

    Returns:
        The findings in the order of `RULES`. Rules that do not apply have none.

    Raises:
        UserError: There is no such run, or it has no finished epoch.
    """
    run = load_run(run) if isinstance(run, str | Path) else run
    few = Evaluator(run, images=LOOKED, n_samples=LOOKED)
    with devices.using(devices.threads(run.recipe.train.threads)[0]), untouched():
        if sections is None:
            before, measures = (
                read(run),
                {"latent": latent.measure, "samples": samples.measure},
            )
            known = before.sections if before else {}
            sections = {name: known.get(name) or measure(few) for name, measure in measures.items()}
        evidence = Evidence(run.recipe, run.history, Evaluator(run), sections, images)
        findings = [finding for rule in RULES.values() if (finding := rule(evidence))]
    rows = run.form == "table"
    less = {
        rule
        for finding in findings
        if finding.verdict == "fault"
        for rule in FOLLOWS.get(finding.rule, ())
    }
    told = (
        one._replace(verdict="follows", advice="") if one.rule in less else one for one in findings
    )
    return [one._replace(rows=rows) for one in told]
