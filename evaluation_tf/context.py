"""What the sections of one report share: made when it is first asked for, and kept in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from common_tf.errors import UserError
from common_tf.sources.listing import list_pictures
from common_tf.sources.volume_pairs import VolumePair, find_volume_pairs
from evaluation_tf.cache import ArrayCache
from evaluation_tf.features import Extractor, named_extractors
from evaluation_tf.pairs import Pairs, drawn_pairs, folder_pairs, open_pairs, own_pairs, refuse_or_leave_out
from evaluation_tf.panel import Panel
from evaluation_tf.parts import Gap, Section
from evaluation_tf.requests import refuse, refuse_lone
from evaluation_tf.slices import TestSet, load_test_set
from evaluation_tf.translations import Translations
from evaluation_tf.volumes import unseen_volumes


@dataclass(frozen=True)
class Request:
    """What to evaluate, as on the command line of evaluate.py; ``None`` for what is not given.

    Attributes:
        output: folder of the report.
        translator, detector: run folders.
        data: two-domain folder, pairs or ``phantom``; ``None`` for the one in the translator's config.
        pairs: aligned pairs, see `common_tf.sources.pairs`.
        pair_order: names of a strip's tiles; ``None`` for those of the run.
        register: ``rigid`` moves the target of pairs of volumes onto the source first.
        labelled: class folders that the detector was tested on.
        cases: pictures to show one by one.
        extractor: detector run whose features are compared; ``None`` for ``detector``.
        inception_weights: ``imagenet`` or a file; ``None`` for ImageNet's where they can be had.
        detector_domain: the modality that the detector reads; ``None`` for domain B.
        command: the command line, for the report.
    """

    output: Path
    translator: Path | None = None
    detector: Path | None = None
    data: str | None = None
    pairs: Path | None = None
    pair_order: str | None = None
    register: str | None = None
    labelled: Path | None = None
    cases: Path | None = None
    extractor: Path | None = None
    inception_weights: str | None = None
    detector_domain: str | None = None
    command: Sequence[str] = ()

    def check(self) -> None:
        """Refuses what can be seen to be missing, or to do nothing, before any run is loaded.

        Raises:
            UserError: one of them.
        """
        if self.translator is None and self.detector is None:
            raise UserError("nothing to evaluate: give --translator RUN, --detector RUN, or both")
        refuse_lone(vars(self))


class Context:
    """Runs and data of one report.

    Attributes:
        request: what was asked for.
        cache: of everything that is computed.
        figures: folder that sections save their figures in.
        gaps: whole parts that could not be computed.
        sections: those that are built so far.
    """

    def __init__(self, request: Request, *, cache: ArrayCache, figures: Path):
        self.request, self.cache, self.figures = request, cache, figures
        self.gaps: list[Gap] = []
        self.sections: list[Section] = []

    def load(self) -> None:
        """Loads everything that the request names, so that what is wrong with it is said before anything is written.

        Raises:
            UserError: runs or folders that cannot be used.
        """
        request = self.request
        for flag, folder in (("--labelled", request.labelled), ("--cases", request.cases)):
            if folder is not None and not Path(folder).is_dir():
                raise UserError(f"{flag} {folder}: no such folder")
        if request.cases is not None and not list_pictures(Path(request.cases)).paths:
            raise UserError(
                f"--cases {request.cases}: no pictures; put them there, or into folders named as the domains"
            )
        if self.is_volumetric:
            self._load_volumetric()
        # What is quickly refused comes first; test slices may have to be drawn.
        early = () if request.pairs is None else ("volume_pairs", "pairs")
        for one in ("detector_domain", "panel", *early, "extractors", "test", "pairs"):
            getattr(self, one)

    @cached_property
    def translation(self) -> Translations | None:
        """The translator's run, if there is one."""
        return None if self.request.translator is None else Translations(self.request.translator, self.cache)

    @property
    def is_volumetric(self) -> bool:
        """Whether the translator's run takes volumes as a whole; then there are no slices to test."""
        return self.translation is not None and self.translation.translator.is_volumetric

    @property
    def domains(self) -> tuple[str, str]:
        """Names of domain A and B."""
        return ("CT", "MRI") if self.translation is None else self.translation.domains

    @cached_property
    def panel(self) -> Panel | None:
        """The detector's run, if there is one."""
        return None if self.request.detector is None else Panel(self.request.detector, self.cache)

    @cached_property
    def detector_domain(self) -> str:
        """The modality that the detector reads."""
        domain = self.request.detector_domain or self.domains[1]
        if domain not in self.domains:
            raise UserError(f"--detector-domain {domain}: the run's domains are {', '.join(self.domains)}")
        return domain

    @cached_property
    def extractors(self) -> list[Extractor]:
        """Networks whose features are compared. InceptionV3 may be missing; what was asked for by name may not."""
        request = self.request
        if self.translation is None or self.is_volumetric:
            return []
        found, gaps = named_extractors(request.inception_weights, request.extractor or request.detector)
        self.gaps += gaps
        return found

    @property
    def data(self) -> str:
        """What the test slices are taken from."""
        if self.translation is None:
            return ""
        return self.request.data or self.translation.config.data.data

    @cached_property
    def test(self) -> TestSet | None:
        """The translator's test slices; ``None`` where it has none."""
        if self.translation is None or self.is_volumetric:
            return None
        return load_test_set(self.translation, self.data)

    @property
    def pairs(self) -> Pairs | None:
        """Aligned pairs to test on: those that were given, else those that the test slices are made of."""
        return self._pairs[0]

    @cached_property
    def volume_pairs(self) -> list[VolumePair]:
        """Aligned volumes to test on, where ``--pairs`` names a folder of them."""
        folder, outputs = self.request.pairs, self.translation
        if folder is None or outputs is None:
            return []
        registers = self.request.register is not None
        found = find_volume_pairs(Path(folder), domains=self.domains, registers=registers)
        if registers and not found:
            raise UserError(f"--register {self.request.register}: is for volumes, and --pairs {folder} holds none")
        if found and self.request.pair_order is not None:
            refuse("pair_order", self.request.pair_order, f"is for strips, and --pairs {folder} holds volumes")
        return unseen_volumes(found, outputs) if found else []

    @property
    def fitting(self) -> Pairs | None:
        """Aligned pairs on which floors are fitted; the translator itself need not have seen them aligned."""
        return self._pairs[1]

    @property
    def drawn_pairs(self) -> Pairs | None:
        """The drawn heads that the test slices are made of, where they are drawn; they have known lesions."""
        return self._own_pairs[0] if self.test is not None and self.test.is_drawn else None

    @property
    def warnings(self) -> Sequence[str]:
        """What must be known of the whole report."""
        return () if self.test is None else self.test.warnings

    def _load_volumetric(self) -> None:
        request = self.request
        assert self.translation is not None
        what = f"{self.translation.run} translates volumes as a whole"
        for name in ("data", "labelled", "cases", "extractor", "inception_weights", "detector_domain"):
            value = getattr(request, name)
            if value is not None:
                refuse(name, value, f"{what}; give aligned volumes with --pairs")
        if not self.volume_pairs:
            raise UserError(f"--translator {what}; give aligned volumes with --pairs")
        self.gaps.append(Gap("likeness, cycle and content of slices", what))

    @cached_property
    def _pairs(self) -> tuple[Pairs | None, Pairs | None]:
        if self.translation is None:
            return None, None
        if self.volume_pairs:
            return None, None
        if self.request.pairs is not None:
            usual, order = self.translation.config.data.pair_order, self.request.pair_order
            opened = open_pairs(self.request.pairs, domains=self.domains, usual=usual, order=order)
            return folder_pairs(refuse_or_leave_out(opened, self.translation.run), [self.translation])
        return self._own_pairs

    @cached_property
    def _own_pairs(self) -> tuple[Pairs | None, Pairs | None]:
        if self.translation is None or self.test is None:
            return None, None
        if self.test.is_drawn:
            return drawn_pairs(self.translation)
        return own_pairs(self.test, self.translation) if self.test.cases else (None, None)
