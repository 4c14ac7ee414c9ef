"""A finished run on what a path names: pictures or volumes, masks or verdicts."""

from pathlib import Path

from common_tf.errors import UserError
from common_tf.pictures.intensity import parse_windows
from common_tf.sources.inputs import picture_inputs
from common_tf.sources.listing import Listing, others_finding
from common_tf.sources.segmentation import MASK_SUFFIX
from common_tf.volumes.files import list_volumes
from detector_tf.config import load_detector_config
from detector_tf.inference import TrainedDetector, load_detector
from detector_tf.new_scans.folder import NOTICE, new_folder
from detector_tf.new_scans.masks import mask_pictures, mask_volumes
from detector_tf.new_scans.verdicts import judge_pictures, judge_volumes
from detector_tf.sections import SLICE
from detector_tf.segmenter import TrainedSegmenter, load_segmenter

_FLAG = "--predict"


def load_predictor(run: Path) -> TrainedDetector | TrainedSegmenter:
    """A finished run of either task.

    Raises:
        UserError: no such run, or damaged files.
    """
    return load_segmenter(run) if load_detector_config(run).task == "segment" else load_detector(run)


def predict_scans(run: Path, source: Path, output: Path, *, window: str = "", number: int | None = None) -> None:
    """`look_at` with a run that is loaded for it; prints what was done.

    Raises:
        UserError: no such run, nothing to look at, files that cannot be used, a folder in use. Nothing is written then.
    """
    print("\n".join(look_at(load_predictor(run), source, output, window=window, number=number)))


def look_at(
    model: TrainedDetector | TrainedSegmenter,
    source: Path,
    output: Path,
    *,
    window: str = "",
    number: int | None = None,
) -> list[str]:
    """Marks or judges a picture, a NIfTI file, a DICOM series, or a folder of them.

    A run that segments writes ``NAME_mask.png`` of the picture's size (0 and 255) or ``NAME_mask.nii.gz`` on the
    volume's grid (0 and 1), masks.csv and masks.png; one that classifies verdicts.csv, for volumes slices.csv, and
    verdicts.png with Grad-CAM.

    Args:
        model: from `load_predictor`.
        source: what is to be looked at.
        output: a new folder.
        window: values that are black and white, ``slice=BLACK:WHITE``; ``""`` for the files' own, or the run's.
        number: which volume of a NIfTI file with several.

    Returns:
        What a person should know; the last line says what was done.

    Raises:
        UserError: nothing to look at, files that cannot be used, a folder in use. Nothing is written then.
    """
    source = Path(source)
    if not source.exists():
        raise UserError(f"{_FLAG} {source}: no such file or folder")
    given = parse_windows(window, (SLICE,)).get(SLICE)
    listing = list_volumes(source, number=number)
    listing.refuse_pictures(f"{_FLAG} {source}")
    notes = list(listing.notes)
    with new_folder(output, source=source) as folder:
        if listing.volumes:
            notes += [finding.text for finding in others_finding([Listing((), listing.others)], str(source))]
            if isinstance(model, TrainedSegmenter):
                notes += mask_volumes(model, listing.volumes, folder, given)
            else:
                notes += judge_volumes(model, listing.volumes, folder, given)
            count, what = len(listing.volumes), "volumes"
        else:
            files = picture_inputs(source, flag=_FLAG, also="; ".join(listing.notes))
            if isinstance(model, TrainedSegmenter):
                files = files.without(MASK_SUFFIX)
                notes += [*files.notes, *mask_pictures(model, files, folder, given)]
            else:
                notes += [*files.notes, *judge_pictures(model, files, folder, given)]
            count, what = len(files.paths), "images"
    done = "marked" if isinstance(model, TrainedSegmenter) else "judged"
    return [*notes, f"{count} {what} {done} in {output}. {NOTICE}"]
