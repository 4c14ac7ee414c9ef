"""What readers return beside the picture, and what they raise."""

from dataclasses import dataclass

from common_tf.errors import UserError


class BadPicture(UserError):
    """A file that cannot be used as a picture; the message is the reason, without the file's name."""


@dataclass(frozen=True)
class FileFacts:
    """What a file says of itself.

    Attributes:
        format: ``PNG``, ``JPEG``, ..., by content and not by name; ``drawn`` for drawn heads.
        mode: how it stores its pixels: ``L``, ``RGB``, ``RGBA``, ``P``, ...
        bits: depth of one stored sample.
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
