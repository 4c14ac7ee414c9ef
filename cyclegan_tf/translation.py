"""Translating what a path names: pictures, or volumes."""

from pathlib import Path

from common_tf.errors import UserError
from common_tf.sources.folders import nothing_here
from common_tf.sources.listing import list_pictures
from common_tf.volumes.files import DICOM, NIFTI, list_volumes
from cyclegan_tf.inference import TrainedTranslator
from cyclegan_tf.picture_translation import translate_picture_files
from cyclegan_tf.translations_folder import Translated
from cyclegan_tf.volume_translation import translate_volume_files


def translate_files(
    translator: TrainedTranslator,
    *,
    direction: str,
    source: Path,
    output: Path,
    window: str = "",
    number: int | None = None,
    as_nifti: bool = False,
    keep_identity: bool = False,
) -> Translated:
    """Translates a file, or a folder of files with its sub-folders.

    What holds a NIfTI file or a DICOM series goes through `translate_volume_files`, all else through
    `translate_picture_files`.

    Args:
        translator: from `load_translator`.
        direction: such as ``CT2MRI``.
        source: a picture, NIfTI or DICOM file, or a folder.
        output: folder; made if it is not there.
        window: values that are black and white, ``NAME=BLACK:WHITE``.
        number, as_nifti, keep_identity: for volumes.

    Raises:
        UserError: nothing to translate, files that cannot be used (nothing is written then), an output folder that
            holds other files than translations.
    """
    source = Path(source)
    if not source.exists():
        raise UserError(f"--input {source}: no such file or folder")
    listing = list_volumes(source, number=number)
    if listing.volumes:
        kinds = {one.kind for one in listing.volumes}
        for flag, used, kind in (("--volume", number is not None, NIFTI), ("--keep-identity", keep_identity, DICOM)):
            if used and kind not in kinds:
                raise UserError(f"{flag}: is for {kind}, and {source} holds none")
        return translate_volume_files(
            translator,
            direction=direction,
            source=source,
            listing=listing,
            output=output,
            window=window,
            as_nifti=as_nifti,
            keep_identity=keep_identity,
        )
    if listing.notes and not listing.pictures:
        found = nothing_here([list_pictures(source)]) if source.is_dir() else "no image"
        raise UserError(f"--input {source}: {found}; {'; '.join(listing.notes)}")
    given = {"--volume": number is not None, "--format": as_nifti, "--keep-identity": keep_identity}
    if any(given.values()):
        flags = ", ".join(flag for flag, used in given.items() if used)
        raise UserError(f"{flags}: is for volumes, and {source} holds none")
    return translate_picture_files(translator, direction=direction, source=source, output=output, window=window)
