"""What readers return beside the picture, and what they raise."""

from dataclasses import dataclass

from common_tf.errors import UserError


class BadPicture(UserError):
    """A file that cannot be used as a picture; the message is the reason, without the file's name."""


VOLUME_BITS = 32
"""Of slices of volumes, whose black and white are not those of a depth."""


@dataclass(frozen=True)
class FileFacts:
    """What a file says of itself.

    Attributes:
        format: ``PNG``, ``JPEG``, ..., by content and not by name; ``drawn`` for drawn heads; ``NIfTI`` and ``DICOM``
            for slices of volumes.
        mode: how it stores its pixels: ``L``, ``RGB``, ``RGBA``, ``P``, ...
        bits: depth of one stored sample; `VOLUME_BITS` for slices of volumes.
        height, width: of the picture as it is shown.
        smallest, largest: stored values.
    """

    format: str
    mode: str
    bits: int
    height: int
    width: int
    smallest: int
    largest: int

    @property
    def is_deep(self) -> bool:
        """Whether it is a picture file of more than 8 bits, whose set's range says what is black and white."""
        return 8 < self.bits < VOLUME_BITS

    @property
    def is_volume(self) -> bool:
        """Whether it is a slice of a volume."""
        return self.bits == VOLUME_BITS
