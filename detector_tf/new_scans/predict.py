"""A finished run on what a path names: pictures or volumes, masks or verdicts."""

from pathlib import Path

from common_tf.errors import UserError
from common_tf.pictures.intensity import parse_windows
from common_tf.sources.inputs import picture_inputs
from common_tf.sources.listing import Listing, others_finding
from common_tf.sources.segmentation import MASK_SUFFIX
from common_tf.volumes.files import list_volumes
from detector_tf.config import load_detector_config
from detector_tf.inference import load_detector
from detector_tf.new_scans.folder import NOTICE, new_folder
from detector_tf.new_scans.masks import mask_pictures, mask_volumes
from detector_tf.new_scans.verdicts import judge_pictures, judge_volumes
from detector_tf.sections import SLICE
from detector_tf.segmenter import load_segmenter

_FLAG = "--predict"


def predict_scans(run: Path, source: Path, output: Path, *, window: str = "", number: int | None = None) -> None:
    """Marks or judges a picture, a NIfTI file, a DICOM series, or a folder of them, and prints what was done.

    A run that segments writes ``NAME_mask.png`` of the picture's size (0 and 255) or ``NAME_mask.nii.gz`` on the
    volume's grid (0 and 1), masks.csv and masks.png; one that classifies verdicts.csv, for volumes slices.csv, and
    verdicts.png with Grad-CAM.

    Args:
        run: a finished one.
        source: what is to be looked at.
        output: a new folder.
        window: values that are black and white, ``slice=BLACK:WHITE``; ``""`` for the files' own, or the run's.
        number: which volume of a NIfTI file with several.

    Raises:
        UserError: no such run, nothing to look at, files that cannot be used, a folder in use. Nothing is written then.
    """
    source = Path(source)
    if not source.exists():
        raise UserError(f"{_FLAG} {source}: no such file or folder")
    given = parse_windows(window, (SLICE,)).get(SLICE)
    segments = load_detector_config(run).task == "segment"
    listing = list_volumes(source, number=number)
    listing.refuse_pictures(f"{_FLAG} {source}")
    notes = list(listing.notes)
    with new_folder(output, source=source) as folder:
        if listing.volumes:
            notes += [finding.text for finding in others_finding([Listing((), listing.others)], str(source))]
            if segments:
                notes += mask_volumes(load_segmenter(run), listing.volumes, folder, given)
            else:
                notes += judge_volumes(load_detector(run), listing.volumes, folder, given)
            count, what = len(listing.volumes), "volumes"
        else:
            files = picture_inputs(source, flag=_FLAG, also="; ".join(listing.notes))
            if segments:
                files = files.without(MASK_SUFFIX)
            notes += files.notes
            if segments:
                notes += mask_pictures(load_segmenter(run), files, folder, given)
            else:
                notes += judge_pictures(load_detector(run), files, folder, given)
            count, what = len(files.paths), "images"
    print("\n".join([*notes, f"{count} {what} {'marked' if segments else 'judged'} in {output}. {NOTICE}"]))
