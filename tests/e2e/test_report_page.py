"""The report page in a real browser: it loads clean, plays, sorts, zooms, corrects and saves, and lies to nobody.

Needs Debian's chromium and chromium-driver. The page is opened as a file, as users open it.
"""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import asdict, astuple
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ssdiar.io.rttm import write_rttm
from ssdiar.report.timelines import KINDS
from ssdiar.results import exports, recording_entry, result_content, result_text
from ssdiar.scoring.der import PROTOCOLS, score_recording
from ssdiar.timeline.spans import Turn

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


# Of the page, by format of the library: the button and the ending of the file.
BUTTONS = {
    "rttm": ("RTTM", ".rttm"),
    "csv": ("CSV", ".csv"),
    "json": ("JSON", ".json"),
    "srt": ("SRT", ".srt"),
    "vtt": ("VTT", ".vtt"),
    "textgrid": ("TextGrid", ".TextGrid"),
    "audacity": ("Audacity", ".txt"),
}


def turn(reco, speaker, start, length):
    return f"SPEAKER {reco} 1 {start} {length} <NA> <NA> {speaker} <NA> <NA>\n"


def run(cwd, script, *args):
    command = [str(DIAR / script), "--python", sys.executable, *args]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr


def write_system(folder, text):
    folder.mkdir(parents=True)
    (folder / "rttm").write_text(text)
    (folder / "meta.json").write_text('{"speech_source": "oracle (ref.rttm)", "xvector_model": "campplus"}')


def write_history(folder, history):
    """Leave what the clustering stage reports of recording good."""
    (folder / "history").mkdir()
    (folder / "history/good.json").write_text(json.dumps(history))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Recordings good (flac), bad (a command, so copied) and mute (no reference, nobody talks); two systems."""
    made = tmp_path_factory.mktemp("report")
    root = made / "mit Lücke & Co"
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
    write_history(exp / BEST, TRAINED)
    for name in (BEST, OTHER):
        run(root, "score_der.sh", "data", f"exp/mini/{name}")
    row = (
        "/data/" + "a_long_name_" * 12 + ".mp3",
        "cannot be decoded as audio",
        "Copy it again from where it is from.",
    )
    (root / "data/left_out.tsv").write_text("file\treason\twhat to do\n" + "\t".join(row) + "\n")
    run(root, "make_report.sh", "--allow-commands", "true", "--data-dir", "data", "exp/mini", "exp/mini/report")
    # Elsewhere, and without the data, as when it is given away.
    shutil.move(exp / "report", made / "given & away")
    shutil.rmtree(root)
    return made / "given & away/index.html"


@pytest.fixture(scope="module")
def chrome(need, need_module):
    webdriver = need_module("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = need("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in FLAGS:
        options.add_argument(flag)
    driver = webdriver.Chrome(options, webdriver.ChromeService(need("chromedriver")))
    driver.set_script_timeout(60)
    yield driver
    driver.quit()


@pytest.fixture
def browser(chrome, page):
    media(chrome, "light")
    size(chrome, 1280, 1000)
    chrome.get(page.as_uri())
    yield chrome
    assert chrome.get_log("browser") == []
    js(chrome, "localStorage.clear()")


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
    return js(browser, "return [...$('#list').children].filter((one) => !one.hidden).map((one) => one.dataset.id)")


def rows_of(browser, table):
    script = "return [...arguments[0].tBodies[0].rows].map((row) => row.cells[0].querySelector('a').textContent)"
    return js(browser, script, table)


def test_loads_clean_and_asks_no_network(browser):
    assert shown_order(browser) == ["bad", "good", "mute"], "worst first, then what has no score"
    assert js(browser, "return $('#r-bad').open && !$('#r-good').open")
    names = js(browser, "return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert [name for name in names if not name.startswith(("file:", "data:"))] == []
    assert find(browser, ".summary").text.count("oracle (ref.rttm)") == 2


def test_files_that_were_left_out_are_named(browser):
    assert "Left out: 1 file" in find(browser, ".left-out summary").text
    find(browser, ".left-out summary").click()
    assert "cannot be decoded" in find(browser, ".left-out").text


def test_ids_and_labels_are_text(browser):
    open_section(browser, "good")
    assert js(browser, "return document.scripts.length") == 2
    labels = js(browser, "return [...document.querySelectorAll('#r-good .labels div')].map((one) => one.textContent)")
    assert EVIL in labels
    assert f"speaker 1 = {EVIL}" in labels
    assert BEST in labels
    assert EVIL in find(browser, "#r-good .full").text


@pytest.mark.parametrize("reco", ["bad", "good"])
def test_plays_from_the_clicked_second(browser, reco):
    """From the copies of a flac and of a command's output."""
    if reco != "bad":
        open_section(browser, reco)
    wait(browser, f"$('#r-{reco} audio').readyState >= 1")
    click_at(browser, f"#r-{reco} .strip", 0.6)
    assert wait(browser, f"!$('#r-{reco} audio').paused && $('#r-{reco} audio').currentTime") == pytest.approx(
        12, abs=0.6
    )
    wait(browser, f"$('#r-{reco} audio').currentTime > 12.2")
    assert js(browser, f"return parseFloat($('#r-{reco} .strip > .cursor').style.left)") == pytest.approx(61, abs=4)
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
    seen = "return 1 / ($('#r-bad .frame').hidden ? 1 : parseFloat($('#r-bad .frame').style.width) / 100)"
    timeline, (minus, plus, whole) = (
        find(browser, "#r-bad .timeline"),
        [
            find(browser, f"#r-bad [aria-label='{name}']")
            for name in ("Zoom out", "Zoom in", "Show the whole recording")
        ],
    )
    tick = "return document.querySelectorAll('#r-bad .axis span')[1].textContent"
    assert js(browser, tick) == "0:02"
    plus.click()
    plus.click()
    assert js(browser, seen) == pytest.approx(4, abs=0.01)
    assert js(browser, tick) == "0:00.5"
    minus.click()
    timeline.send_keys("+")
    timeline.send_keys("+")
    assert js(browser, seen) > 3.9
    whole.click()
    assert js(browser, seen) == pytest.approx(1, abs=0.01)


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

    Select(find(browser, "select[name=system]")).select_by_visible_text(OTHER)
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
    find(browser, ".view:not([hidden]) a[href='#r-good']").click()
    assert js(browser, "return $('#r-good').open"), "names lead to the recordings"
    lengths = "return [...document.querySelectorAll('.view:not([hidden]) .bars .miss')].map((one) => one.offsetWidth)"
    assert all(0 < length < 400 for length in js(browser, lengths))


def test_recording_without_reference_shows_what_it_can(browser):
    open_section(browser, "mute")
    text = find(browser, "#r-mute").text
    assert "No reference, so no errors" in text
    assert "no speech" in text
    assert js(browser, "return $('#r-mute .errors')") is None
    click_at(browser, "#r-mute .strip", 0.5)
    wait(browser, "$('#r-mute audio').currentTime > 9.5")


def clustering(browser):
    """Return the cells of the first row of the table of clustering of recording good."""
    return js(browser, "return [...$('#r-good .full tbody tr').cells].map((one) => one.textContent)")


def test_how_clustering_went(browser):
    open_section(browser, "good")
    assert clustering(browser) == [BEST, "-", "9 → 4 → 2", "20", "2", "1.5", EVIL]


@pytest.mark.parametrize(
    ("number", "probabilities", "words"),
    [(3, {"1": 0.0, "2": 0.1, "3": 0.9}, "3 (90%), 2 (10%)"), (1, {"1": 1.0}, "1 (100%)")],
)
def test_probabilities_of_the_number_of_speakers(chrome, tmp_path, number, probabilities, words):
    write_system(tmp_path / "exp/best", turn("good", 1, 0, 20))
    history = {"sub_segments": 20, "num_spk": number, "num_spk_probabilities": probabilities}
    write_history(tmp_path / "exp/best", history)
    entry = recording_entry("good", [], probability=probabilities[str(number)])
    (tmp_path / "exp/best/result.json").write_text(result_text(result_content({}, [entry])))
    run(tmp_path, "make_report.sh", "exp", "report")
    chrome.get_log("browser")  # of the page before
    chrome.get((tmp_path / "report/index.html").as_uri())
    assert clustering(chrome)[:3] == ["best", words, "-"]
    doubt = find(chrome, "#r-good [data-doubt]")
    assert doubt.is_displayed() == (number == 3)
    if number == 3:
        assert "90 % sure" in find(chrome, "#r-good summary").text and "--num-spk" in doubt.text
        doubt.find_element("css selector", "button").click()
        assert js(chrome, "return $('#r-good .timeline').getAttribute('aria-valuenow')") == "0.0"
    assert chrome.get_log("browser") == []


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Two systems, no reference, no audio: recordings hour (60 minutes, unsure turns), duo, and one (doubtful)."""
    root = tmp_path_factory.mktemp("plain")
    turns = [
        turn("hour", 1 + n % 2, 6 * n, 5).replace("<NA> <NA>\n", f"0.{5 if n == 300 else 9} <NA>\n") for n in range(600)
    ]
    write_system(root / "exp/best", "".join(turns) + turn("duo", 1, 0, 4) + turn("duo", 2, 4, 6) + turn("one", 1, 1, 2))
    entry = recording_entry("one", [], probability=0.94)
    (root / "exp/best/result.json").write_text(result_text(result_content({}, [entry])))
    write_system(root / "exp/other", turn("hour", "x", 0, 3600) + turn("duo", "b", 0, 5) + turn("duo", "a", 5, 5))
    run(root, "make_report.sh", "exp", "report")
    return root / "report/index.html"


@pytest.fixture
def without_reference(chrome, plain):
    media(chrome, "light")
    size(chrome, 1280, 1000)
    chrome.get_log("browser")
    chrome.get(plain.as_uri())
    js(chrome, "localStorage.clear()")
    chrome.get(plain.as_uri())
    yield chrome
    assert chrome.get_log("browser") == []


def press(browser, reco, *keys):
    timeline = find(browser, f"#r-{reco} .timeline")
    for key in keys:
        timeline.send_keys(key)


def saved(browser, folder, button, name):
    """Click a button and return the text of the file that is saved."""
    folder = Path(tempfile.mkdtemp(dir=folder))  # the browser renames a file while it holds one of that name
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    time.sleep(0.12)  # Chromium drops the eleventh download of a page within a second, without a word
    button.click()
    file = folder / name
    deadline = time.monotonic() + 60
    while not (file.exists() and file.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    return file.read_text(encoding="utf-8")


def corrected(browser, folder, reco):
    """Return the turns of a recording, as the page saves them: (speaker, start, end)."""
    text = saved(browser, folder, find(browser, f"#r-{reco} [aria-label='Save as CSV']"), f"{reco}.csv")
    rows = csv.DictReader(io.StringIO(text))
    return [(row["speaker"], float(row["start"]), float(row["end"])) for row in rows]


def set_field(browser, selector, value):
    """Set a field and tell the page, as a person who types and leaves the field does."""
    script = "const f = $(arguments[0]); f.value = arguments[1]; f.dispatchEvent(new Event('change', {bubbles: true}))"
    js(browser, script, selector, value)


def test_without_reference_it_leads_with_who_spoke_when(without_reference):
    browser = without_reference
    titles = js(browser, "return [...document.querySelectorAll('h2')].map((one) => one.textContent)")
    assert titles == ["Who spoke when", "Systems"]
    assert "DER" not in find(browser, "main").text
    assert shown_order(browser)[0] == "hour", "where it is least sure"
    assert "1 unsure" in find(browser, "#r-hour summary").text
    assert "speaker 1 40 %" in " ".join(find(browser, "#r-duo summary").text.split())
    assert "30:00 to 30:05" in find(browser, "#r-hour .grid").text
    press(browser, "hour", "n")
    at = "return Number($('#r-hour .timeline').getAttribute('aria-valuenow'))"
    assert js(browser, at) == pytest.approx(1799.5)


def test_an_hour_can_be_seen_and_zoomed(without_reference):
    browser = without_reference
    unsure = js(browser, "return $('#r-hour .row i.unsure').getBoundingClientRect().width")
    assert unsure >= 2
    press(browser, "hour", "n", *"++++++++")
    frame = js(browser, "return parseFloat($('#r-hour .frame').style.width)")
    assert frame == pytest.approx(100 / 2**8, abs=0.01), "14 of 3600 s"
    blocks = js(browser, "return document.querySelectorAll('#r-hour .row i').length")
    assert blocks < 20, "only what is seen is in the page"
    assert "30:00" in find(browser, "#r-hour .axis").text


def test_two_systems_side_by_side(without_reference):
    browser = without_reference
    open_section(browser, "duo")
    set_field(browser, "select[name=compare]", "1")
    heads = js(browser, "return [...document.querySelectorAll('#r-duo .labels .head')].map((one) => one.textContent)")
    assert heads == ["best", "other"]
    blocks = js(browser, "return [...document.querySelectorAll('#r-duo .differ i')].map((one) => one.title)")
    assert blocks == ["different speakers, 0:04.00 to 0:05.00"], "whatever speakers are called"
    assert "differ 0:01.0" in find(browser, "#r-duo summary").text
    set_field(browser, "select[name=order]", "difference")
    assert shown_order(browser) == ["hour", "one", "duo"]


def test_find_and_filter(without_reference):
    browser = without_reference
    find(browser, "input[name=search]").send_keys("UO")
    assert shown_order(browser) == ["duo"]
    assert find(browser, "#shown").text == "1 of 3"
    find(browser, "input[name=search]").clear()
    find(browser, "input[name=search]").send_keys("nothing like it")
    assert shown_order(browser) == []
    assert find(browser, "#none-shown").is_displayed()
    find(browser, "input[name=search]").clear()
    find(browser, "input[name=search]").send_keys(" ")
    set_field(browser, "select[name=speakers]", "1")
    assert shown_order(browser) == ["one"]
    set_field(browser, "select[name=speakers]", "")
    set_field(browser, "select[name=order]", "name")
    assert shown_order(browser) == ["duo", "hour", "one"]


def test_saves_what_the_library_writes(without_reference, tmp_path):
    """A recording is the same in all formats, whether the page or the library writes it: untouched, or loaded."""
    browser = without_reference
    hour = [Turn("hour", str(1 + n % 2), 6.0 * n, 6.0 * n + 5, 0.5 if n == 300 else 0.9) for n in range(600)]
    names = ("2", '"<b>&', "é,ü", "2")
    duo = [Turn("duo", name, 0.001 + n, 2.5 + n, 0.75) for n, name in enumerate(names)] + [Turn("duo", "é,ü", 9, 10)]
    for turns, duration in ((hour, 3600), (duo, 10)):
        reco = turns[0].reco
        write_rttm(tmp_path / "loaded.rttm", turns)
        load(browser, tmp_path / "loaded.rttm")
        if reco == "duo":
            open_section(browser, reco)
        else:
            press(browser, reco, "c")
        for name, (button, ending) in BUTTONS.items():
            found = saved(browser, tmp_path, find(browser, f"#r-{reco} [aria-label='Save as {button}']"), reco + ending)
            text = exports.text_of(name, turns, duration)
            if name == "json":
                found, text = json.loads(found), json.loads(text)
            assert found == text, (reco, name)


def load(browser, file):
    """Load an RTTM and return the page's answer."""
    js(browser, "$('#loaded').textContent = ''")
    find(browser, "#load").send_keys(str(file))
    return wait(browser, "$('#loaded').textContent")


def test_corrections_are_kept_and_loaded(without_reference, tmp_path):
    browser = without_reference
    open_section(browser, "duo")
    press(browser, "duo", "c")
    set_field(browser, "#r-duo .fix-speakers input", "Anna B.")
    set_field(browser, "#r-duo .fix-speakers div:nth-child(2) input", "Anna_B.")
    rttm = saved(browser, tmp_path, find(browser, "#r-duo [aria-label='Save as RTTM']"), "duo.rttm")
    assert [line.split()[7] for line in rttm.splitlines()] == ["Anna_B.", "Anna_B._"], "still different"
    assert "Anna B. is Anna_B." in find(browser, "#r-duo [role=status]").text
    table = "return $('#r-duo [data-talk]').tBodies[2].textContent"
    assert js(browser, table) == "Corrected bestAnna B.4.040.0Anna_B.6.060.0"
    browser.refresh()
    heading = " ".join(find(browser, "#r-duo summary").text.split())
    assert heading == "duo 0:10 corrected Anna B. 40\u00a0% Anna_B. 60\u00a0%".replace("\u00a0", " ")
    find(browser, "input[name=search]").send_keys("anna")
    assert shown_order(browser) == ["duo"]
    js(browser, "const f = $('input[name=search]'); f.value = ''; f.dispatchEvent(new Event('input'))")
    open_section(browser, "duo")
    assert corrected(browser, tmp_path, "duo") == [("Anna B.", 0, 4), ("Anna_B.", 4, 10)]
    file = tmp_path / "saved.rttm"
    file.write_text(rttm + turn("duo", "C", 1, 2) + turn("elsewhere", "C", 1, 2))
    assert "1 of 1 recordings differ" in load(browser, file)
    assert corrected(browser, tmp_path, "duo") == [("Anna B.", 0, 4), ("C", 1, 3), ("Anna_B.", 4, 10)]
    open_section(browser, "one")
    press(browser, "one", "c")
    file.write_text(turn("one", "Z", 0, 3))
    load(browser, file)
    assert corrected(browser, tmp_path, "one") == [("Z", 0, 3)], "open, and without a change until then"
    for line, problem in (
        (turn("duo", "C", 9, 2), "line 1 ends after duo"),
        (turn("duo", "C", "x", 2), "line 1 is not"),
    ):
        file.write_text(line)
        assert problem in load(browser, file)
    press(browser, "duo", *["\ue009z\ue000"] * 2)
    assert not find(browser, "#r-duo [data-corrected]").is_displayed()
    browser.refresh()
    assert not find(browser, "#r-duo [data-corrected]").is_displayed(), "nothing is kept"


def test_score_of_corrections(browser, tmp_path):
    """It is that of score_der.sh, for two random results under each protocol."""
    rng = np.random.default_rng(4)
    reference = [Turn("good", EVIL, 0, 10), Turn("good", "B", 10, 20)]
    for _ in range(2):
        starts = np.round(rng.uniform(0, 17, 8), 3)
        turns = [Turn("good", str(n % 3), start, start + 2.5) for n, start in enumerate(starts.tolist())]
        write_rttm(tmp_path / "good.rttm", turns)
        load(browser, tmp_path / "good.rttm")
        for protocol in PROTOCOLS.values():
            find(browser, f"input[value={protocol.name}]").find_element("xpath", "..").click()
            expected = score_recording(reference, turns, [(0, 20)], protocol).der
            assert find(browser, "#r-good [data-der]").text == f"corrected {100 * expected:.2f}"


def test_scores_are_those_of_the_library(chrome):
    """With overlap, many speakers, several turns of a speaker at once, and regions."""
    rng, cases, expected = np.random.default_rng(5), [], []
    for _ in range(60):
        sides = []
        for size in rng.integers(0, 9, 2):
            starts, lengths = (
                np.round(rng.uniform(0, 60, 3 * size), 3),
                np.round(rng.exponential(4, 3 * size) + 0.01, 3),
            )
            spans = zip(rng.integers(0, size or 1, 3 * size), starts, lengths, strict=True)
            sides.append([Turn("r", str(name), float(start), float(start + length)) for name, start, length in spans])
        for protocol in PROTOCOLS.values():
            regions = [(5.0, 40.0), (42.0, 55.5)]
            cases.append([*([asdict(one) for one in side] for side in sides), regions, astuple(protocol)[1:]])
            rates = score_recording(*sides, regions, protocol)
            expected.append([rates.der, *(getattr(rates, kind) for kind in KINDS)])
    source = (DIAR.parent / "libs/ssdiar/report/templates/scores.js").read_text()
    sums = "Object.values(errors).map((own) => own.reduce((sum, [start, end, size]) => sum + size * (end - start), 0))"
    each = f"({{ der, errors }}) => [der ?? null, ...{sums}]"
    script = f"const KINDS = {list(KINDS)}; {source}; return arguments[0].map((one) => scoreOf(...one)).map({each})"
    found = chrome.execute_script(script, cases)
    assert [one[0] for one in found] == pytest.approx([one[0] for one in expected], abs=1e-6)
    assert [one[1:] for one in found] == [pytest.approx(one[1:], abs=1e-3) for one in expected]


def test_corrections(without_reference, tmp_path):
    """Every change is done, undone and done again."""
    browser = without_reference
    open_section(browser, "duo")
    press(browser, "duo", "c")
    names = "#r-duo .fix-speakers input"
    states = [[("1", 0, 4), ("2", 4, 10)]]

    def done(*turns):
        states.append(list(turns))
        assert corrected(browser, tmp_path, "duo") == states[-1]

    set_field(browser, names, "Anna, B.")
    rows = saved(browser, tmp_path, find(browser, "#r-duo [aria-label='Save as RTTM']"), "duo.rttm").splitlines()
    assert rows[0] == "SPEAKER duo 1 0.000 4.000 <NA> <NA> Anna,_B. <NA> <NA>"
    set_field(browser, names, "Anna")
    states.append([("Anna, B.", 0, 4), ("2", 4, 10)])
    done(("Anna", 0, 4), ("2", 4, 10))
    press(browser, "duo", ".", ".", "1")  # gives the second turn to the first speaker
    done(("Anna", 0, 4), ("Anna", 4, 10))
    press(browser, "duo", "2", "\ue014", "]")  # back, and its end at the cursor, a second after its start
    states.append([("Anna", 0, 4), ("2", 4, 10)])
    done(("Anna", 0, 4), ("2", 4, 5))
    set_field(browser, "#r-duo .fix input[type=number]", "3.5")
    done(("Anna", 0, 4), ("2", 3.5, 5))
    press(browser, "duo", "\ue012", "s")  # the cursor is at 4 s
    done(("Anna", 0, 4), ("2", 3.5, 4), ("2", 4, 5))
    press(browser, "duo", "\ue017")  # Delete
    done(("Anna", 0, 4), ("2", 4, 5))
    press(browser, "duo", "\ue010", *["\ue012"] * 2, "a")  # 8 s
    done(("Anna", 0, 4), ("2", 4, 5), ("Anna", 8, 9))
    press(browser, "duo", "\ue011", "\ue014", "\ue014")  # 2 s
    find(browser, "#r-duo [data-key='split 0']").click()
    done(("Anna", 0, 2), ("speaker3", 2, 4), ("2", 4, 5), ("speaker3", 8, 9))
    set_field(browser, "#r-duo .fix select[data-key='merge 1']", "Anna")
    done(("Anna", 0, 2), ("speaker3", 2, 4), ("Anna", 4, 5), ("speaker3", 8, 9))
    for state in reversed(states[:-1]):
        press(browser, "duo", "\ue009z\ue000")
        assert corrected(browser, tmp_path, "duo") == state, "undone"
    assert not find(browser, "#r-duo [data-corrected]").is_displayed()
    for _ in states[1:]:
        find(browser, "#r-duo [aria-label^=Redo]").click()
    assert corrected(browser, tmp_path, "duo") == states[-1]
    assert find(browser, "#r-duo [data-corrected]").is_displayed()
    everything = saved(browser, tmp_path, find(browser, "#save-all"), "exp.rttm").splitlines()
    assert len(everything) == 600 + 4 + 1
    assert everything[0] == "SPEAKER duo 1 0.000 2.000 <NA> <NA> Anna <NA> <NA>"
    assert everything[-1] == "SPEAKER one 1 1.000 2.000 <NA> <NA> 1 <NA> <NA>"


def test_edges_are_moved_with_the_pointer(without_reference, tmp_path):
    from selenium.webdriver import ActionChains

    browser = without_reference
    open_section(browser, "duo")
    press(browser, "duo", "c", ".", ".")
    js(browser, "$('#r-duo .strip').scrollIntoView({block: 'center'})")
    width = js(browser, "return $('#r-duo .strip').clientWidth")
    edge = find(browser, "#r-duo .row i.selected b.start")
    ActionChains(browser).drag_and_drop_by_offset(edge, round(width / 10), 0).perform()
    ((_, _, _), (name, start, end)) = corrected(browser, tmp_path, "duo")
    assert (name, start, end) == ("2", pytest.approx(5, abs=0.05), 10)
    block = find(browser, "#r-duo .row.edited i:not(.selected)")
    block.click()
    assert js(browser, "return $('#r-duo .fix select').value") == "1", "a click selects"


@pytest.fixture(scope="module")
def axe(need, tmp_path_factory):
    """Return the source of axe-core, the accessibility checker, from npm's registry."""
    folder = tmp_path_factory.mktemp("axe")
    command = [need("npm"), "pack", "--silent", "axe-core@4.14.1"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode and not os.environ.get("CI"):
        pytest.skip("npm cannot download axe-core; it needs its registry")
    assert done.returncode == 0, done.stderr
    with tarfile.open(folder / done.stdout.strip()) as archive:
        return archive.extractfile("package/axe.min.js").read().decode()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("kind", ["page", "plain"])
def test_accessible(chrome, axe, request, kind, width, scheme):
    media(chrome, scheme)
    size(chrome, width, 900)
    chrome.get(request.getfixturevalue(kind).as_uri())
    js(chrome, "for (const one of document.querySelectorAll('#list > details')) one.open = true")
    wait(chrome, "document.querySelectorAll('.timeline').length === 3")
    js(chrome, "for (const one of document.querySelectorAll('[aria-label^=Correct]')) one.click()")
    set_field(chrome, ".fix-speakers input", "Anna B.")
    js(chrome, "for (const one of document.querySelectorAll('.keys')) one.open = true")
    assert js(chrome, "return document.documentElement.scrollWidth") <= width
    chrome.execute_script(axe)
    found = chrome.execute_async_script(
        "const done = arguments[0];"
        "axe.run({resultTypes: ['violations']}).then((result) => done(result.violations.map("
        "(one) => [one.id, ...one.nodes.map((node) => node.target.join(' '))])))"
    )
    assert found == []


def test_dark_mode_and_phone(browser):
    light = js(browser, "return getComputedStyle(document.body).backgroundColor")
    bar = "return getComputedStyle($('.view:not([hidden]) .bars .miss')).backgroundColor"
    light_bar = js(browser, bar)
    media(browser, "dark")
    assert js(browser, "return getComputedStyle(document.body).backgroundColor") != light
    assert js(browser, bar) != light_bar, "bars follow"
    size(browser, 390, 844)
    assert js(browser, "return document.documentElement.scrollWidth") <= 390
