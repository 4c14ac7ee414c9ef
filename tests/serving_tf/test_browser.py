"""A real browser drops, slides, scrolls and downloads. Wants Chromium (Debian's package) and playwright."""

import gzip
import io
import shutil

import nibabel
import numpy as np
import pytest
from PIL import Image

import ctmri

from .conftest import RUNS, TOKEN

sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.more,
    pytest.mark.skipif(_CHROMIUM is None, reason="no Chromium (Debian: apt install chromium)"),
]
_FLAGS = (
    "--no-sandbox --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --use-angle=swiftshader --enable-unsafe-swiftshader --ignore-gpu-blocklist"
)


@pytest.fixture(scope="module")
def browser():
    """Chromium, which draws WebGL2 with its own software."""
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS.split())
        yield found
        found.close()


@pytest.fixture
def tab(browser, page):
    """The page in a tab that complains of nothing and asks nobody else."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    said, asked = [], []
    opened.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(f"{page.client.base_url}/?token={TOKEN}")
    opened.wait_for_selector("#translator option[value=ct_mri_fast]", state="attached")
    yield opened
    own = (str(page.client.base_url), "blob:", "data:")
    assert [url for url in asked if not url.startswith(own)] == []
    assert [text for text in said if "status of 400" not in text and "GPU stall" not in text] == []
    context.close()


def _until(tab, expression):
    """Waits; `wait_for_function` evaluates text in the page, which its policy forbids."""
    for _ in range(200):
        if tab.evaluate(expression):
            return
        tab.wait_for_timeout(50)
    raise AssertionError(expression)


def _has_no_sideways_scrolling(tab):
    return tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def _ask(tab, translator="ct_mri_fast", direction="MRI2CT", detector=""):
    tab.select_option("#translator", translator)
    if translator:
        tab.select_option("#direction", direction)
    tab.select_option("#detector", detector)


def test_a_dropped_picture_is_shown_compared_and_downloaded(tab, page, head, tmp_path):
    _ask(tab, detector="tumour_yes_no")
    dropped = tab.evaluate_handle(
        """bytes => { const all = new DataTransfer();
        all.items.add(new File([new Uint8Array(bytes)], "head.png", { type: "image/png" })); return all; }""",
        list(head.read_bytes()),
    )
    tab.dispatch_event("#drop", "drop", {"dataTransfer": dropped})
    tab.wait_for_selector("#viewer .pair img >> nth=1", timeout=60_000)
    assert tab.locator("#shown table").count() == 2 and "verdicts are the same" in tab.inner_text("#shown")
    loaded = "[...document.querySelectorAll('#viewer img')].every(one => one.complete && one.naturalWidth == 128)"
    _until(tab, loaded)
    tab.keyboard.press("2")
    tab.locator(".cut").fill("20")
    assert tab.evaluate("getComputedStyle(document.querySelector('.stack')).getPropertyValue('--cut')") == "20%"
    tab.keyboard.press("Escape")
    tab.click("button:has-text('Difference')")
    blend = "getComputedStyle(document.querySelector('.stack .above')).mixBlendMode"
    assert tab.evaluate(blend) == "difference"
    with tab.expect_download() as download:
        tab.click("a:has-text('this picture')")
    download.value.save_as(tmp_path / "got.png")
    translator = ctmri.load_translator(RUNS["ct_mri_fast"])
    ctmri.translate_path(translator, head, direction="MRI2CT", output=tmp_path / "out")
    assert (tmp_path / "got.png").read_bytes() == (tmp_path / "out" / "head.png").read_bytes()
    assert "not for diagnosis" in tab.inner_text(".banner")
    assert _has_no_sideways_scrolling(tab)
    tab.set_viewport_size({"width": 390, "height": 844})
    assert _has_no_sideways_scrolling(tab)


def test_a_volume_is_shown_in_three_planes_and_by_slices(tab, hounsfield, tmp_path):
    image = nibabel.Nifti1Image(hounsfield, np.diag([4.0, 4.0, 5.0, 1.0]))
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(image.to_bytes()))
    _ask(tab, direction="CT2MRI")
    tab.set_input_files("#files", tmp_path / "ct.nii.gz")
    tab.wait_for_selector("#viewer [data-ready=yes]", timeout=60_000)
    assert tab.locator(".volume canvas").count() == 2
    for canvas in tab.locator(".volume canvas").all():
        shown = np.asarray(Image.open(io.BytesIO(canvas.screenshot())).convert("L"))
        assert 0.02 < (shown > 60).mean() < 0.9
    before = tab.evaluate("Array.from(state.viewers[1].scene.crosshairPos)")
    tab.locator(".volume canvas").first.click(position={"x": 150, "y": 60})
    tab.wait_for_timeout(300)
    places = tab.evaluate("state.viewers.map(one => Array.from(one.scene.crosshairPos))")
    assert places[0] == pytest.approx(places[1], abs=1e-3) and places[1] != pytest.approx(before)
    tab.click("button:has-text('bone')")
    assert tab.evaluate("[state.viewers[0].volumes[0].cal_min, state.viewers[0].volumes[0].cal_max]") == [-400, 1600]
    tab.click("button:has-text('Slices')")
    tab.wait_for_selector(".scroll")
    first = tab.get_attribute("#viewer .pair img", "src")
    assert "low=-400" in first and "number=3" in first
    tab.hover("#viewer .pair img")
    tab.mouse.wheel(0, -100)
    _until(tab, "document.querySelector('#viewer .pair img').src.includes('number=4')")
    _until(tab, "document.querySelector('#viewer .pair img').naturalWidth == 48")
    tab.set_viewport_size({"width": 390, "height": 844})
    assert _has_no_sideways_scrolling(tab)


def test_keys_act_on_what_is_shown_and_the_focus_stays(tab, head, hounsfield, tmp_path):
    """A mode that was chosen for a picture does not bring it back below the name of a volume."""
    _ask(tab)
    tab.set_input_files("#files", head)
    tab.wait_for_selector("#viewer .pair img >> nth=1", timeout=60_000)
    tab.focus("button:has-text('Slider')")
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.textContent") == "Slider"
    image = nibabel.Nifti1Image(hounsfield, np.diag([4.0, 4.0, 5.0, 1.0]))
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(image.to_bytes()))
    _ask(tab, direction="CT2MRI")
    tab.set_input_files("#files", tmp_path / "ct.nii.gz")
    tab.wait_for_selector("#viewer [data-ready=yes]", timeout=60_000)
    tab.focus("#shown a")
    tab.keyboard.press("3")
    assert tab.locator(".volume canvas").count() == 2 and tab.locator("#viewer img").count() == 0
    tab.keyboard.press("Delete")
    assert tab.locator("#jobs .chosen").count() == 1


def test_a_refusal_is_read_and_jobs_are_deleted_in_every_tab(tab, browser, page, tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    _ask(tab)
    tab.set_input_files("#files", tmp_path / "notes.txt")
    tab.wait_for_selector(".failed[role=alert]")
    assert "no image" in tab.inner_text(".failed")
    _ask(tab, translator="")
    tab.set_input_files("#files", tmp_path / "notes.txt")
    tab.wait_for_selector("#said.bad")
    assert "nothing to do" in tab.inner_text("#said")
    other = tab.context.new_page()
    other.goto(str(page.client.base_url))
    other.wait_for_selector("#jobs .delete")
    count = other.locator("#jobs .delete").count()
    tab.locator("#jobs .chosen .delete").click()
    tab.wait_for_selector("#empty", state="visible")
    _until(other, f"document.querySelectorAll('#jobs .delete').length == {count - 1}")
    stranger = browser.new_page()
    assert stranger.goto(str(page.client.base_url)).status == 401
    stranger.close()
