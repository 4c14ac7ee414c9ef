"""The chapters of the report, one a file.

A section's file has ``ORDER``, its place in the report, and ``build(context)``, which returns a
`evaluation_tf.parts.Section` with its tables, figures, gaps and its own card for the summary, or ``None`` where it has
nothing to say. It finds the runs and their images in the `evaluation_tf.context.Context`, and the sections before it in
``context.sections``. A file that is added here stands in the report.
"""

import sys
from types import ModuleType

from common_tf.plugins import plugins


def section_modules() -> list[ModuleType]:
    """All sections in the order of the report."""
    return list(plugins(sys.modules[__name__]).values())
