"""The report page in a real browser: it loads clean, plays from where one clicks, sorts, zooms, and lies to nobody.

Needs Debian's chromium and chromium-driver. The page is opened as a file, as users open it.
"""

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ssdiar.work import Manifest

DIAR = Path(__file__).resolve().parents[2] / "steps" / "diar"
# The last flags keep Chromium from looking for its maker's hosts at every start.
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--mute-audio", "--window-size=1280,1000", "--no-first-run"),
    *("--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
EVIL = '<script>alert("x")</script>'
BEST, OTHER = "ssl$a$&<b>", "xvector_ahc"


STEPS = [{"clusters": 4, "losses": [1.0, 0.5], "epochs": 1}, {"clusters": 2, "losses": [0.6, 0.2], "epochs": 1}]
TRAINED = {"first_clusters": 9, "iterations": STEPS, "stop_reason": EVIL, "sub_segments": 20, "seconds": 1.5}


def turn(reco, speaker, start, length):
    return f"SPEAKER {reco} 1 {start} {length} <NA> <NA> {speaker} <NA> <NA>\n"


def run(cwd, script, *args):
    command = [str(DIAR / script), "--python", sys.executable, *args]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr


def write_system(folder, text):
    folder.mkdir(parents=True)
    (folder / "rttm").write_text(text)
    (folder / "meta.json").write_text('{"speech_source": "oracle (ref.rttm)", "xvector_model": "campplus"}')


def write_clustering(folder, xvectors, history):
    """Leave what the clustering stage leaves of recording good: labels, history, latent vectors."""
    pieces = [f"good-{number:03d}" for number in range(20)]
    xvectors.mkdir(exist_ok=True)
    (xvectors / "segments").write_text("".join(f"{key} good {n} {n + 1}\n" for n, key in enumerate(pieces)))
    (xvectors / "xvector.scp").write_text("".join(f"{key} nowhere.ark:1\n" for key in pieces))
    Manifest(folder, "cluster_ssl").plan({}, {"xvector_dir": str(xvectors)}, {})
    (folder / "labels").write_text("".join(f"{key} {1 + (n > 9)}\n" for n, key in enumerate(pieces)))
    for name in ("history", "latent"):
        (folder / name).mkdir()
    (folder / "history/good.json").write_text(json.dumps(history))
    rng = np.random.default_rng(0)
    np.savez(folder / "latent/good.npz", before=rng.normal(size=(20, 5)), after=rng.normal(size=(20, 5)))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Recordings good (flac), bad (a command, so copied) and mute (no reference, nobody talks); two systems."""
    root = tmp_path_factory.mktemp("report") / "mit Lücke & Co"
    data, exp = root / "data", root / "exp/mini"
    data.mkdir(parents=True)
    times = np.arange(20 * 8000) / 8000
    for reco in ("good", "bad", "mute"):
        soundfile.write(data / f"{reco}.flac", 0.1 * np.sin(2 * np.pi * 440 * times), 8000)
    (data / "wav.scp").write_text(f"bad cat '{data}/bad.flac' |\ngood {data}/good.flac\nmute {data}/mute.flac\n")
    (data / "reco2dur").write_text("bad 20\ngood 20\nmute 20\n")
    reference = [turn(reco, *rest) for reco in ("good", "bad") for rest in ((EVIL, 0, 10), ("B", 10, 10))]
    (data / "ref.rttm").write_text("".join(reference))
    (data / "all.uem").write_text("bad 1 0 20\ngood 1 0 20\n")
    best = [turn("good", 1, 0, 10), turn("good", 2, 10, 10), turn("bad", 1, 0, 14), turn("bad", 2, 14, 6)]
    write_system(exp / BEST, "".join(best))
    write_system(exp / OTHER, turn("good", 1, 0, 19) + turn("bad", 1, 2, 10) + turn("bad", 2, 12, 6))
    write_clustering(exp / BEST, root / "exp/xvectors", TRAINED)
    for name in (BEST, OTHER):
        run(root, "score_der.sh", "data", f"exp/mini/{name}")
    run(root, "make_report.sh", "--allow-commands", "true", "--data-dir", "data", "exp/mini", "exp/mini/report")
    return exp / "report/index.html"


@pytest.fixture(scope="module")
def chrome():
    if not os.environ.get("CI"):
        pytest.importorskip("selenium")
        if not (shutil.which("chromium") and shutil.which("chromedriver")):
            pytest.skip("needs chromium and chromedriver")
    webdriver = importlib.import_module("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in FLAGS:
        options.add_argument(flag)
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    driver.set_script_timeout(10)
    yield driver
    driver.quit()


@pytest.fixture
def browser(chrome, page):
    media(chrome, "light")
    size(chrome, 1280, 1000)
    chrome.get(page.as_uri())
    yield chrome
    assert chrome.get_log("browser") == []


def size(chrome, width, height):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def media(chrome, scheme):
    """Choose light or dark, and that pages scroll at once, for clicks to hit what they aim at."""
    wishes = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
    features = [{"name": name, "value": value} for name, value in wishes.items()]
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def js(browser, text, *args):
    return browser.execute_script(f"const $ = (s) => document.querySelector(s); {text}", *args)


def find(browser, selector):
    return browser.find_element("css selector", selector)


def wait(browser, condition):
    """Return what the JavaScript expression gives once it is true."""
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(browser, 8, 0.05).until(lambda _: js(browser, f"return {condition}"))


def click_at(browser, selector, fraction):
    from selenium.webdriver import ActionChains

    strip = find(browser, selector)
    js(browser, "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", strip)
    offset = round((fraction - 0.5) * strip.size["width"])
    ActionChains(browser).move_to_element_with_offset(strip, offset, 0).click().perform()


def open_section(browser, reco):
    find(browser, f"#r-{reco} summary").click()
    wait(browser, f"$('#r-{reco} .timeline')")  # is made after the click


def shown_order(browser):
    return js(browser, "return [...$('#list').children].map((section) => section.dataset.id)")


def rows_of(browser, table):
    script = "return [...arguments[0].tBodies[0].rows].map((row) => row.cells[0].querySelector('a').textContent)"
    return js(browser, script, table)


def test_loads_clean_and_asks_no_network(browser):
    assert shown_order(browser) == ["bad", "good", "mute"], "worst first, then what has no score"
    assert js(browser, "return $('#r-bad').open && !$('#r-good').open")
    names = js(browser, "return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert [name for name in names if not name.startswith(("file:", "data:"))] == []
    assert find(browser, ".summary").text.count("oracle (ref.rttm)") == 2


def test_ids_and_labels_are_text(browser):
    open_section(browser, "good")
    assert js(browser, "return document.scripts.length") == 2
    labels = js(browser, "return [...document.querySelectorAll('#r-good .labels div')].map((one) => one.textContent)")
    assert EVIL in labels
    assert f"1 = {EVIL}" in labels
    assert BEST in labels
    assert EVIL in find(browser, "#r-good .full").text


@pytest.mark.parametrize("reco", ["bad", "good"])
def test_plays_from_the_clicked_second(browser, reco):
    """From a linked flac, and from the copy that was made of a command's output."""
    if reco != "bad":
        open_section(browser, reco)
    wait(browser, f"$('#r-{reco} audio').readyState >= 1")
    click_at(browser, f"#r-{reco} .strip", 0.6)
    assert wait(browser, f"!$('#r-{reco} audio').paused && $('#r-{reco} audio').currentTime") == pytest.approx(
        12, abs=0.6
    )
    wait(browser, f"$('#r-{reco} audio').currentTime > 12.2")
    assert js(browser, f"return parseFloat($('#r-{reco} .cursor').style.left)") == pytest.approx(61, abs=4)
    assert js(browser, f"return $('#r-{reco} .timeline').getAttribute('aria-valuetext')").startswith("0:12.")
    find(browser, f"#r-{reco} .tools button").click()
    assert wait(browser, f"$('#r-{reco} audio').paused")


def test_timeline_by_keyboard(browser):
    timeline = find(browser, "#r-bad .timeline")
    at = "return Number($('#r-bad .timeline').getAttribute('aria-valuenow'))"
    steps = [
        ("\ue014", 1),
        ("n", 9.75),
        ("p", 9.75),
        ("\ue012", 8.75),
        ("\ue010", 20),
        ("\ue011", 0),
    ]  # → n p ← End Home
    for key, expected in steps:
        timeline.send_keys(key)
        assert js(browser, at) == pytest.approx(expected, abs=0.06), key
    timeline.send_keys(" ")
    wait(browser, "!$('#r-bad audio').paused")
    timeline.send_keys(" ")
    wait(browser, "$('#r-bad audio').paused")


def test_zoom(browser):
    width = "return $('#r-bad .strip').offsetWidth / $('#r-bad .scroll').clientWidth"
    timeline, (minus, plus, whole) = (
        find(browser, "#r-bad .timeline"),
        [
            find(browser, f"#r-bad [aria-label='{name}']")
            for name in ("Zoom out", "Zoom in", "Show the whole recording")
        ],
    )
    ticks = "return document.querySelectorAll('#r-bad .axis span').length"
    before = js(browser, ticks)
    plus.click()
    plus.click()
    assert js(browser, width) == pytest.approx(4, abs=0.01)
    assert js(browser, ticks) > before
    minus.click()
    timeline.send_keys("+")
    timeline.send_keys("+")
    assert js(browser, width) > 3.9
    whole.click()
    assert js(browser, width) == pytest.approx(1, abs=0.01)


def test_errors_are_those_of_the_protocol(browser):
    """Of bad, the best system confuses 10 to 14 s, of which a collar of 0.25 s takes the beginning."""
    blocks = "return [...document.querySelectorAll('#r-bad .errors')].map((r) => [...r.children].map((i) => i.title))"
    assert js(browser, blocks)[0] == ["confusion, 0:10.25 to 0:14.00"]
    find(browser, "input[value=full]").find_element("xpath", "..").click()
    ours, other = js(browser, blocks)
    assert ours == ["confusion, 0:10.00 to 0:14.00"]
    assert other == ["miss, 0:00.00 to 0:02.00", "miss, 0:18.00 to 0:20.00", "confusion, 0:10.00 to 0:12.00"]
    assert find(browser, ".view:not([hidden])").get_attribute("data-view").endswith(" full")


def test_choice_of_system_and_sorting(browser):
    from selenium.webdriver.support.select import Select

    Select(find(browser, "#system")).select_by_visible_text(OTHER)
    assert shown_order(browser) == ["good", "bad", "mute"], "the other system's worst"
    table = find(browser, ".view:not([hidden]) table")
    assert rows_of(browser, table) == ["good", "bad"]
    recording, der = (find(browser, f".view:not([hidden]) th:nth-child({n}) button") for n in (1, 2))
    recording.click()
    assert rows_of(browser, table) == ["bad", "good"]
    der.click()
    assert rows_of(browser, table) == ["good", "bad"]
    der.send_keys("\ue007")
    assert rows_of(browser, table) == ["bad", "good"]
    heads = js(browser, "return [...arguments[0].querySelectorAll('[aria-sort]')].map((h) => h.ariaSort)", table)
    assert heads == ["ascending"]
    js(browser, "$('.view:not([hidden]) svg a').dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    assert js(browser, "return $('#r-good').open"), "names in the chart lead to the recordings"


def test_recording_without_reference_shows_what_it_can(browser):
    open_section(browser, "mute")
    text = find(browser, "#r-mute").text
    assert "No reference" in text
    assert "nobody talks" in text
    assert js(browser, "return $('#r-mute .errors')") is None
    click_at(browser, "#r-mute .strip", 0.5)
    wait(browser, "$('#r-mute audio').currentTime > 9.5")


def test_pictures_and_charts_of_training(browser):
    open_section(browser, "good")
    titles = js(browser, "return [...document.querySelectorAll('#r-good figure h4')].map((one) => one.innerText)")
    assert titles == [
        "Clusters per outer iteration",
        "Loss per epoch",
        f"Latent vectors before training {BEST}",
        f"Latent vectors after training {BEST}",
    ]
    js(browser, "$('#r-good .picture img').scrollIntoView()")
    assert wait(browser, "$('#r-good .picture img').naturalWidth") == 720
    drawn = js(browser, "return [...document.querySelectorAll('#r-good .chart svg')].map((one) => one.textContent)")
    assert "outer iteration" in drawn[0]
    assert "epoch" in drawn[1]


def estimated(number, probabilities):
    """Return the history of a system that says how likely numbers of speakers are and trains nothing."""
    options = {"method": "consensus", "prepare": {"centre": "none", "whiten_input": True, "average": 0.5}}
    return {"sub_segments": 20, "num_spk": number, "num_spk_probabilities": probabilities, "options": options}


@pytest.mark.parametrize(
    ("history", "words"),
    [
        (estimated(3, {"1": 0.0, "2": 0.1, "3": 0.9}), "3 speakers: probability 90%, 2 speakers: 10%"),
        (estimated(1, {"1": 1.0}), "1 speaker: probability 100%"),
    ],
)
def test_system_without_training_says_how_it_counted(chrome, tmp_path, history, words):
    write_system(tmp_path / "exp/best", turn("good", 1, 0, 20))
    write_clustering(tmp_path / "exp/best", tmp_path / "xvectors", history)
    run(tmp_path, "make_report.sh", "exp", "report")
    chrome.get_log("browser")  # of the page before
    chrome.get((tmp_path / "report/index.html").as_uri())
    titles = js(chrome, "return [...document.querySelectorAll('figure h4')].map((one) => one.innerText)")
    assert titles == [
        "Number of speakers",
        "X-vectors as they come best",
        "X-vectors whitened and averaged with their neighbours best",
    ]
    assert words in find(chrome, "figure.chart figcaption").text
    assert len(chrome.find_elements("css selector", "figure.chart svg")) == 1
    assert chrome.get_log("browser") == []


def test_dark_mode_and_phone(browser):
    light = js(browser, "return getComputedStyle(document.body).backgroundColor")
    ink = "return getComputedStyle($('.view:not([hidden]) .chart text')).fill"
    dark_ink = js(browser, ink)
    media(browser, "dark")
    assert js(browser, "return getComputedStyle(document.body).backgroundColor") != light
    assert js(browser, ink) != dark_ink, "charts follow"
    size(browser, 390, 844)
    assert js(browser, "return document.documentElement.scrollWidth") <= 390
