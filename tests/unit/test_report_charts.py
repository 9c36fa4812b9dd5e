"""Charts are well-formed, coloured by the page, the same for the same input, and take any name."""

import io
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from ssdiar.report import charts
from ssdiar.scoring.der import DiarizationError
from ssdiar.scoring.jer import JaccardError
from ssdiar.scoring.score_file import Rates

NAME = "a&b<c>$\\frac$"
HISTORY = {"first_clusters": 9, "iterations": [{"clusters": 4, "losses": [1.0, 0.5]}, {"clusters": 2, "losses": [0.6]}]}
SVG = "{http://www.w3.org/2000/svg}"


def texts(svg):
    return ["".join(node.itertext()).strip() for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def well_formed(svg):
    """Return an inlined SVG as XML; in HTML its namespace goes without saying."""
    return svg if "xmlns" in svg else svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)


def test_der_chart():
    rows = [("worst", Rates.of(DiarizationError(10, 1, 2, 3), JaccardError())), ("silent", Rates(None, None))]
    svg = charts.der_chart(rows, {"worst": "#r-worst", "silent": "#r-silent"}, NAME)
    assert texts(well_formed(svg))[-4:] == ["worst", "silent", "60.0", "-"]
    assert 'href="#r-worst"' in svg
    for variable in ("ink", "muted", "miss", "false-alarm", "confusion"):
        assert f"var(--{variable})" in svg
    assert "#0102" not in svg
    assert charts.der_chart(rows, {"worst": "#r-worst", "silent": "#r-silent"}, NAME) == svg


@pytest.mark.parametrize("chart", [charts.clusters_chart, charts.loss_chart])
def test_charts_of_training(chart):
    histories = {NAME: HISTORY, "foreign": {"iterations": HISTORY["iterations"]}}
    svg = chart(histories, {NAME: 0, "foreign": 7}, NAME)
    assert ElementTree.fromstring(well_formed(svg)).get("aria-label") == NAME
    assert "var(--system-0)" in svg
    assert "var(--system-1)" in svg


def test_numbers_of_clusters_of_a_single_system():
    assert {"9", "4", "2"} <= set(texts(well_formed(charts.clusters_chart({"a": HISTORY}, {"a": 0}, "t"))))


def test_picture_shows_two_speakers():
    rng = np.random.default_rng(0)
    vectors = rng.normal(scale=0.05, size=(40, 6)) + np.repeat([[1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0]], 20, axis=0)
    pixels = np.asarray(Image.open(io.BytesIO(charts.vectors_picture(vectors, [0] * 20 + [1] * 20))).convert("RGB"))
    assert pixels.shape == (360, 720, 3)
    matrix = pixels[16:, 376:].astype(int).sum(axis=2)
    same, other = matrix[20:150, 20:150].mean(), matrix[20:150, 200:330].mean()
    assert same > 1.3 * other
    strip = pixels[4, 376:].astype(int)
    assert strip[80, 2] > strip[80, 0], "blue first"
    assert strip[260, 0] > strip[260, 2], "then orange"


@pytest.mark.parametrize("shape", [(3, 1), (2, 500)])
def test_pictures_of_odd_vectors(shape):
    assert charts.vectors_picture(np.zeros(shape), [None] * shape[0])[8:12] == b"WEBP"
