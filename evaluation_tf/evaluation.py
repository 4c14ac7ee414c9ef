"""One evaluation: from runs and data to a report."""

import json
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional, Sequence

import cv2
import numpy as np
import scipy
import tensorflow as tf

import common_tf
from common_tf.errors import UserError
from common_tf.images.pairs import DEFAULT_ORDER, pair_folder, read_pairs
from common_tf.runs.folder import CONFIG_FILE
from cyclegan_tf.data import training_phantoms
from detector_tf.predictions import PREDICTIONS_FILE
from evaluation_tf.cache import ArrayCache, file_hash
from evaluation_tf.content import content_section
from evaluation_tf.detection import detection_section
from evaluation_tf.diagnosis import diagnosis_section
from evaluation_tf.distribution import distribution_section
from evaluation_tf.document import document_section
from evaluation_tf.features import detector_features, inception
from evaluation_tf.gallery import cases_section, gallery_section
from evaluation_tf.measurement import Gap
from evaluation_tf.outputs import Outputs
from evaluation_tf.panel import Panel
from evaluation_tf.report import REPORT_FILE, open_output, write_report
from evaluation_tf.similarity import cycle_section, document_ssim, pair_section
from evaluation_tf.slices import TestSet, load_test_set, phantom_pairs
from evaluation_tf.summary import highlights


@dataclass(frozen=True)
class Request:
    """What to evaluate, as on the command line of evaluate.py; ``None`` for what is not given.

    Attributes:
        output: folder of the report.
        translator, detector: run folders.
        data: two-domain folder or ``phantom``; ``None`` for the one in the translator's config.
        pairs: aligned pairs, see `common_tf.images.pairs`.
        pair_order: names of a strip's tiles.
        labelled: class folders that the detector was tested on.
        cases: pictures to show one by one.
        extractor: detector run whose features are compared; ``None`` for ``detector``.
        inception_weights: ``imagenet`` or a file.
        detector_domain: the modality that the detector reads; ``None`` for domain B.
        command: the command line, for the report.
    """

    output: Path
    translator: Optional[Path] = None
    detector: Optional[Path] = None
    data: Optional[str] = None
    pairs: Optional[Path] = None
    pair_order: str = DEFAULT_ORDER
    labelled: Optional[Path] = None
    cases: Optional[Path] = None
    extractor: Optional[Path] = None
    inception_weights: str = "imagenet"
    detector_domain: Optional[str] = None
    command: Sequence[str] = ()


def evaluate(request: Request) -> Path:
    """Writes report.html, report.json, tables/ and figures/ into the output folder.

    What cannot be computed is named in the report with its reason; what the user can mend in the request is refused
    before anything is written.

    Returns:
        The path of report.html.

    Raises:
        UserError: nothing to evaluate, runs or folders that cannot be used.
    """
    began = time.monotonic()
    if request.translator is None and request.detector is None:
        raise UserError("nothing to evaluate: give --translator RUN, --detector RUN, or both")
    if request.translator is None:
        for flag, value in (("--data", request.data), ("--pairs", request.pairs), ("--labelled", request.labelled)):
            if value is not None:
                raise UserError(f"{flag} {value}: is for a translator; add --translator RUN")
    output = Path(request.output)
    evaluation = _Evaluation(request, open_output(output))
    (output / "figures").mkdir(parents=True, exist_ok=True)
    (output / "tables").mkdir(exist_ok=True)
    for old in [*(output / "tables").glob("*.csv"), *(output / "figures").rglob("*.png")]:
        old.unlink()  # of an earlier report, which may have had other parts
    sections = evaluation.sections()
    domains = evaluation.domains
    sections.append(document_section(sections, domains))
    seconds = time.monotonic() - began
    write_report(
        output,
        title="Translation and detection, evaluated",
        subtitle=evaluation.subtitle(),
        sections=sections,
        highlights=highlights(sections, domains),
        gaps=evaluation.gaps,
        provenance=evaluation.provenance(seconds),
    )
    return output / REPORT_FILE


class _Evaluation:
    def __init__(self, request: Request, cache: ArrayCache):
        self.request = request
        self.cache = cache
        self.gaps: list = []
        self.domains: Sequence[str] = ("CT", "MRI")
        self.outputs: Optional[Outputs] = None
        self.test: Optional[TestSet] = None
        self.panel = Panel(request.detector, cache) if request.detector is not None else None
        self.figures = Path(request.output) / "figures"
        if request.detector is not None and not (Path(request.detector) / PREDICTIONS_FILE).exists():
            raise UserError(f"--detector {request.detector}: has no {PREDICTIONS_FILE}; has the run ended?")
        self.extractors = self._load_extractors() if request.translator is not None else []
        self.pairs = self.fitting = None
        if request.translator is not None:
            self._load_translation()

    def _load_extractors(self) -> list:
        """InceptionV3 may be missing; what was asked for by name may not."""
        request, extractors = self.request, []
        try:
            extractors.append(inception(request.inception_weights))
        except UserError as error:
            if request.inception_weights != "imagenet":
                raise
            self.gaps.append(Gap("FID and KID in InceptionV3 features", str(error)))
        run = request.extractor or request.detector
        if run is not None:
            extractors.append(detector_features(run))
        return extractors

    def _load_translation(self) -> None:
        request = self.request
        self.outputs = Outputs(request.translator, self.cache)
        config = self.outputs.translator.config
        self.domains = config.domain_names
        self.detector_domain = request.detector_domain or self.domains[1]
        if self.detector_domain not in self.domains:
            raise UserError(
                f"--detector-domain {self.detector_domain}: the run's domains are {', '.join(self.domains)}"
            )
        if request.labelled is not None and self.panel is None:
            raise UserError(f"--labelled {request.labelled}: is for a detector; add --detector RUN")
        data = request.data or config.data
        self.test = load_test_set(self.outputs.translator, self.outputs.run, data, self.cache)
        if request.pairs is not None:
            folder = Path(request.pairs)
            self.pairs = read_pairs(
                pair_folder(folder, "test") or folder, domains=self.domains, order=request.pair_order
            )
            training = pair_folder(folder, "train")
            if training is not None:
                self.fitting = read_pairs(training, domains=self.domains, order=request.pair_order)
        elif self.test.phantoms:
            self.pairs = phantom_pairs(self.test.phantoms, config)
            # Floors are fitted on aligned training heads; the translator itself never sees them aligned.
            self.fitting = phantom_pairs(training_phantoms(config), config)

    def sections(self) -> list:
        """All parts that can be computed, in the order of the report."""
        translated = self.outputs is not None
        if not translated:
            self.gaps.append(Gap("translation", "no --translator was given"))
        parts = [self._distribution, self._pairs, self._cycle, self._content, self._diagnosis, self._detection]
        parts = [*parts, self._gallery, self._cases, self._document_ssim] if translated else [self._detection]
        results = [section for section in map(self._timed, parts) if section is not None]
        if results and self.test is not None:
            results[0].warnings = [*self.test.warnings, *results[0].warnings]
        return results

    def _timed(self, part: Callable):
        began = time.monotonic()
        section = part()
        if section is not None:
            print(f"{section.title} {time.monotonic() - began:.1f} s", flush=True)
        return section

    def _distribution(self):
        return distribution_section(self.outputs, self.test, self.extractors, self.cache)

    def _pairs(self):
        if self.pairs is None:
            self.gaps.append(Gap("outputs against aligned truth", "no aligned pairs; give some with --pairs"))
            return None
        name = f"pairs of {Path(self.request.pairs).name}" if self.request.pairs else "drawn heads"
        return pair_section(self.outputs, self.pairs, self.fitting, name)

    def _cycle(self):
        if not self.outputs.has_cycle:
            self.gaps.append(Gap("the cycle", "the run translates in one direction only"))
            return None
        return cycle_section(self.outputs, self.test)

    def _diagnosis(self):
        if self.panel is None:
            self.gaps.append(Gap("the diagnosis on translated images", "no --detector was given"))
            return None
        labelled = None if self.request.labelled is None else Path(self.request.labelled)
        return diagnosis_section(
            self.outputs, self.panel, self.test, labelled=labelled, domain=self.detector_domain, figures=self.figures
        )

    def _content(self):
        return content_section(self.outputs, self.test)

    def _gallery(self):
        return gallery_section(self.outputs, self.test, self.pairs, self.figures)

    def _cases(self):
        if self.request.cases is None:
            return None
        return cases_section(self.outputs, self.panel, Path(self.request.cases), self.detector_domain, self.figures)

    def _document_ssim(self):
        return document_ssim(self.outputs, self.test)

    def _detection(self):
        if self.panel is None:
            self.gaps.append(Gap("the detector's own figures", "no --detector was given"))
            return None
        return detection_section(self.request.detector, self.figures)

    def subtitle(self) -> str:
        """What was evaluated, in a line."""
        parts = []
        if self.outputs is not None:
            step = self.outputs.translator.record["step"]
            parts.append(f"translator {self.outputs.run.name} (step {step})")
            counts = ", ".join(f"{len(one.squares)} {name}" for name, one in self.test.slices.items())
            parts.append(f"test slices: {counts}")
        if self.panel is not None:
            parts.append(f"detector {Path(self.request.detector).name}")
        return "; ".join([*parts, time.strftime("%Y-%m-%d")])

    def provenance(self, seconds: float) -> dict:
        """Commands, data, configs, hashes and versions."""
        request = self.request
        texts = {"Command": " ".join(request.command) or "(called from Python)"}
        if self.outputs is not None:
            lines = [f"data: {request.data or self.outputs.translator.config.data}", f"chosen: {self.test.origin}"]
            for name, one in self.test.slices.items():
                lines.append(
                    f"{name}: {len(one.squares)} test slices in {len(np.unique(one.groups))} near-duplicate groups; "
                    f"{len(one.training)} training slices as reference"
                )
            if self.pairs is not None:
                lines.append(
                    f"pairs: {len(self.pairs.names)} in {len(np.unique(self.pairs.groups))} {self.pairs.group_word}"
                )
            texts["Data and splits"] = "\n".join(lines)
            texts["Audit of the translator's data"] = _audit(self.outputs.run)
            texts["Translator"] = (
                f"weights of step {self.outputs.translator.record['step']}, SHA-256 of all "
                f"{self.outputs.weights_hash}\n" + (self.outputs.run / CONFIG_FILE).read_text(encoding="utf-8")
            )
        if self.panel is not None:
            run = Path(request.detector)
            config = run / CONFIG_FILE
            texts["Detector"] = f"predictions SHA-256 {file_hash(run / PREDICTIONS_FILE)}\n" + (
                config.read_text(encoding="utf-8") if config.exists() else ""
            )
        versions = {
            "project": common_tf.__version__,
            "python": sys.version.split()[0],
            "tensorflow": tf.__version__,
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "opencv": cv2.__version__,
        }
        texts["Versions and time"] = "\n".join(
            [f"{name} {version}" for name, version in versions.items()]
            + [
                f"{platform.machine()}, {seconds:.1f} s, {self.cache.hits} arrays read from the cache, "
                f"{self.cache.misses} made"
            ]
        )
        return texts


def _audit(run: Path) -> str:
    file = run / "audit.json"
    if not file.exists():
        return "no audit.json in the run"
    findings = json.loads(file.read_text(encoding="utf-8"))["findings"]
    return "\n".join(f"{item['severity']}: {item['text']}" for item in findings) or "nothing found"
