"""local/tune_threshold.sh: each half is scored with the threshold that is best on the other half."""

import json

import numpy as np
import pytest
from running import REPO, run_script

from ssdiar.errors import InputError
from ssdiar.io.ark import write_xvector_scp, write_xvectors
from ssdiar.io.rttm import Turn, write_rttm
from ssdiar.io.tables import Segment, write_segments, write_table
from ssdiar.scoring.score_file import read_score
from tune_threshold import make_folds

PIECES = 12


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Four recordings of two speakers in turns; mean cosine between speakers is 0.2 in a and c, 0.5 in b and d."""
    root = tmp_path_factory.mktemp("tune") / "un dossier"
    segments, vectors, turns = [], {}, []
    for reco, cosine in (("a", 0.2), ("b", 0.5), ("c", 0.2), ("d", 0.5)):
        rng = np.random.default_rng(ord(reco))
        voices = np.zeros((2, 40))
        voices[0, 0], voices[1, :2] = 1, (cosine, np.sqrt(1 - cosine**2))
        for number in range(PIECES):
            speaker = number // 3 % 2
            piece = Segment(f"{reco}-{number:03}", reco, float(number), number + 1.0)
            segments.append(piece)
            vectors[piece.id] = (voices[speaker] + rng.normal(0, 0.03, 40)).astype(np.float32)
            turns.append(Turn(reco, "AB"[speaker], piece.start, piece.end))
    for folder in ("data", "subsegments", "xvectors"):
        (root / folder).mkdir(parents=True)
    (root / "audio").write_bytes(b"")
    write_table(root / "data/wav.scp", dict.fromkeys("abcd", root / "audio"))
    write_rttm(root / "data/ref.rttm", turns)
    write_segments(root / "subsegments", segments)
    write_segments(root / "xvectors", segments)
    ark = root / "xvectors/xvector.ark"
    places = {key: (ark, offset) for key, offset in write_xvectors(ark, vectors).items()}
    write_xvector_scp(root / "xvectors/xvector.scp", places)
    return root


def run(made, out, *args, rc=0, thresholds="0.35 0.7"):
    options = ["--thresholds", thresholds, *args, "data", "subsegments", "xvectors", out]
    return run_script(REPO / "local/tune_threshold.sh", *options, cwd=made, rc=rc).stderr


def speakers(made, out):
    labels = [line.split() for line in (made / out / "labels").read_text().splitlines()]
    return {reco: len({label for key, label in labels if key[0] == reco}) for reco in "abcd"}


def test_each_half_has_the_threshold_of_the_other(made):
    """a and c need a threshold between 0.2 and 1, b and d one between 0.5 and 1; 0.35 is right for a and c alone."""
    (made / "ac").write_text("a\nc\n")
    (made / "bd").write_text("b 1\nd 2\n")
    log = run(made, "crossed", "--fold1", "ac", "--fold2", "bd")
    result = json.loads((made / "crossed/tuning/result.json").read_text())
    assert result["best"] == {"fold1": "0.35", "fold2": "0.7"}
    assert result["applied"] == {"fold1": "0.7", "fold2": "0.35"}
    assert "the best threshold of fold2, 0.7, is at the end of the list" in log
    assert speakers(made, "crossed") == {"a": 2, "b": 1, "c": 2, "d": 1}
    score = read_score(made / "crossed/score/forgiving.json")
    pooled = [result["der"]["0.7"]["fold1"], result["der"]["0.35"]["fold2"]]
    assert pooled == [0.0, pytest.approx(0.5)] and score.total.der == pytest.approx(0.25)
    assert score.origin["num_spk_source"] == "threshold tuned on the other fold (forgiving)"
    assert json.loads((made / "crossed/meta.json").read_text())["num_spk_source"] == score.origin["num_spk_source"]
    assert sorted(path.name for path in (made / "crossed/history").iterdir()) == [f"{reco}.json" for reco in "abcd"]
    assert sorted(path.name for path in (made / "crossed/score").glob("*.json")) == [
        "fair.json",
        "forgiving.json",
        "full.json",
    ]
    table = (made / "crossed/tuning/table.txt").read_text().splitlines()
    assert [line.split() for line in table[2:]] == [["0.35", "0.00*", "50.00"], ["0.7", "0.00", "0.00*"]]


def test_folds(made):
    (made / "list").write_text("zzz\nb 1\nd 2\n")
    assert make_folds("dcba", None, None) == {"fold1": ["a", "c"], "fold2": ["b", "d"]}
    assert make_folds("abcd", made / "list", None) == {"fold1": ["b", "d"], "fold2": ["a", "c"]}
    assert make_folds("abcd", None, made / "list") == {"fold1": ["a", "c"], "fold2": ["b", "d"]}
    with pytest.raises(InputError, match="fold2 has no recording"):
        make_folds("a", None, None)


@pytest.mark.parametrize(
    ("args", "thresholds", "message"),
    [
        (
            ["--fold1", "a_only", "--fold2", "bd"],
            "0 1",
            "a_only and bd: 1 recordings are in neither fold, the first is c",
        ),
        (["--fold1", "ac", "--fold2", "ab"], "0 1", "ac and ab: 1 recordings are in both folds, the first is a"),
        (["--fold1", "none"], "0 1", "fold1 has no recording"),
        (["--fold1", "nowhere"], "0 1", "nowhere: no such file"),
        ([], "0.5", "--thresholds: expected two different numbers or more, got 0.5"),
        ([], "0.5 high", "--thresholds: expected a number from -1 to 1, got high"),
        (["--protocol", "strict"], "0 1", "--protocol: invalid choice: 'strict'"),
        (["--system", "none"], "0 1", "none.yaml: no such file"),
    ],
)
def test_bad_input(made, args, thresholds, message):
    for name, text in (("a_only", "a\n"), ("ac", "a\nc\n"), ("bd", "b\nd\n"), ("ab", "a\nb\n"), ("none", "zzz\n")):
        (made / name).write_text(text)
    assert message in run(made, "bad", *args, rc=1, thresholds=thresholds)
    assert not (made / "bad/labels").exists()
