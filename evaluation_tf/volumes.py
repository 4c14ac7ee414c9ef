"""Aligned volumes that a run may be tested on."""

from common_tf.errors import UserError
from common_tf.progress import progress
from common_tf.runs.folder import MANIFEST_FILE
from common_tf.sources.source import listed
from common_tf.sources.volume_pairs import VolumePair
from common_tf.sources.volumes import slice_digest
from common_tf.splits.manifest import read_manifest
from common_tf.volumes.planes import slices_of
from common_tf.volumes.resampling import on_planes
from common_tf.volumes.volume import BadVolume
from common_tf.volumes.windows import is_ct
from evaluation_tf.translations import Translations


def unseen_volumes(pairs: list[VolumePair], translations: Translations) -> list[VolumePair]:
    """The patients of whom no slice, of either side, is in the training of a run.

    Told by the slices' values; a scan that was resampled since is not recognised.

    Args:
        pairs: of a folder.
        translations: of the run.

    Raises:
        UserError: a run that was not trained on volumes, files that cannot be used, or nobody left.
    """
    _refuse_pictures(translations)
    rows = read_manifest(translations.run / MANIFEST_FILE)
    trained = {row.sha256 for row in rows if row.split in ("train", "validation")}
    planes = translations.config.data.planes
    kept: list[VolumePair] = []
    seen: list[VolumePair] = []
    problems: list[str] = []
    for pair in progress(pairs, total=len(pairs), words="looking at the pairs"):
        try:
            found = False
            for file in pair.files.values():
                volume, _ = on_planes(file.read().volume, planes)
                slices = (one for plane in planes for one in slices_of(volume, plane).values)
                found = found or any(slice_digest(one) in trained for one in slices)
            (seen if found else kept).append(pair)
        except BadVolume as error:
            problems.append(str(error))
    if problems:
        raise UserError(f"--pairs: {len(problems)} volumes cannot be used ({listed(problems)}); mend or remove them")
    if not kept:
        raise UserError(f"--pairs: {translations.run} was trained on all {len(seen)} patients; give others")
    if seen:
        print(f"--pairs: left out, in the training of the run: {listed([pair.patient for pair in seen])}", flush=True)
    return kept


def _refuse_pictures(translations: Translations) -> None:
    """Errors in HU of a run whose pictures had 8 bits of a narrow window would measure that window."""
    for name, preparation in translations.translator.preparations.items():
        if is_ct(name) and not preparation.reference_mm:
            raise UserError(
                f"--pairs: {translations.run} was trained on pictures, so its {name} holds no bone or air in HU, and "
                "errors in HU would measure its window; train on volumes (docs/volumes.md), or give pairs of pictures"
            )
