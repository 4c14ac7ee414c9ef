"""One evaluation: from runs and data to a report."""

import time
from pathlib import Path

from evaluation_tf.context import Context, Request
from evaluation_tf.output import ReportFolder
from evaluation_tf.parts import Gap
from evaluation_tf.provenance import provenance
from evaluation_tf.report import write_report
from evaluation_tf.sections import section_modules

__all__ = ["Request", "evaluate"]


def evaluate(request: Request) -> Path:
    """Writes report.html, report.json, tables/ and figures/ into the output folder.

    What cannot be computed is named in the report with its reason; what the user can mend in the request is refused,
    and then an older report stays as it is.

    Returns:
        The path of report.html.

    Raises:
        UserError: nothing to evaluate, runs or folders that cannot be used.
    """
    began = time.monotonic()
    request.check()
    with ReportFolder(request.output) as folder:
        context = Context(request, cache=folder.cache, figures=folder.figures)
        context.load()
        if context.translation is None:
            context.gaps.append(Gap("translation", "no --translator was given"))
        for module in section_modules():
            start = time.monotonic()
            section = module.build(context)
            if section is not None:
                context.sections.append(section)
                print(f"{section.title} {time.monotonic() - start:.1f} s", flush=True)
        return write_report(
            folder,
            title="Translation and detection, evaluated",
            subtitle=_subtitle(context),
            sections=context.sections,
            gaps=context.gaps,
            warnings=context.warnings,
            provenance=provenance(context, time.monotonic() - began),
        )


def _subtitle(context: Context) -> str:
    """What was evaluated, in a line."""
    parts = []
    if context.translation is not None:
        parts.append(
            f"translator {context.translation.run.name} (step {context.translation.translator.record['step']})"
        )
    if context.test is not None:
        counts = ", ".join(f"{len(one.squares)} {name}" for name, one in context.test.slices.items())
        parts.append(f"test slices: {counts}")
    if context.panel is not None:
        parts.append(f"detector {context.panel.run.name}")
    return "; ".join([*parts, time.strftime("%Y-%m-%d")])
