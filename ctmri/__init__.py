"""Five functions for Python users.

    import ctmri

    translator = ctmri.load_translator("checkpoints/ct_mri_fast")
    mri = ctmri.translate_array(translator, ct, direction="CT2MRI")        # (height, width) or (n, height, width)
    ctmri.translate_path(translator, "slices", direction="CT2MRI", output="out")
    detector = ctmri.load_detector("runs/detector")
    report = ctmri.evaluate(translator="runs/mine", output="report")

Research only: synthetic images and verdicts on them are not for diagnosis. Errors that the user can mend are
`ctmri.UserError`, with the way out in their text.
"""

from common_tf.errors import UserError
from ctmri.functions import evaluate, load_detector, load_translator, translate_array, translate_path

__all__ = ["UserError", "evaluate", "load_detector", "load_translator", "translate_array", "translate_path"]
