"""Tables and figures of the paper from made-up results with known answers."""

from pathlib import Path

import numpy as np
import pytest

from paper.figures import figure_calls, figure_rows
from paper.grid import Grid, Result, is_random, table_calls, with_readings
from paper.summary import CLAIMS, PAPER, Group, groups
from paper.tables import make_tables
from ssdiar.base.errors import InputError
from ssdiar.scoring.bootstrap import mean_difference
from ssdiar.scoring.der import PROTOCOLS, DiarizationError
from ssdiar.scoring.jer import JaccardError
from ssdiar.scoring.score_file import Rates, Score

REPO = Path(__file__).resolve().parents[2]
SYSTEMS = REPO / "conf" / "systems"


def made_score(errors, scored=100.0, protocol="forgiving"):
    """A score with ``errors`` seconds of confusion in recordings of ``scored`` seconds, and a second of false alarm."""
    each = {f"r{i:02d}": DiarizationError(scored, 0.0, 1.0, float(error) - 1) for i, error in enumerate(errors)}
    total = sum(each.values(), DiarizationError())
    counts = dict.fromkeys(each, (2, 2))
    rates = {reco: Rates.of(error, JaccardError()) for reco, error in each.items()}
    return Score(PROTOCOLS[protocol], "all.uem", "ssdiar", Rates.of(total, JaccardError()), rates, counts)


def made_history(chain=(), first=20, losses=(1.0, 0.5)):
    steps = [{"clusters": number, "epochs": len(losses) - 1, "losses": list(losses)} for number in chain]
    return {"first_clusters": first, "iterations": steps} if chain else {}


def made_result(system, errors, seed=0, source="oracle", histories=None, changes=()):
    meta = {"num_spk_source": source, "speech_source": "oracle (ref.rttm)", "xvector_model": "made"}
    score = made_score(errors)
    seed = None if system == "xvector_ahc" else seed
    return Result(
        system, seed, changes, meta, {"forgiving": score}, histories or {reco: {} for reco in score.recordings}
    )


def paired_difference(first, second, weights, voices=()):
    return mean_difference([(first, second)], weights, voices)


class TestBootstrap:
    def test_a_constant_difference_is_certain(self):
        found = paired_difference(np.array([3.0, 5, 7]), np.array([1.0, 3, 5]), np.array([10.0, 10, 10]))
        assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.2, 0.2))
        assert found.verdict("below", "above") == "above"

    def test_pooled_over_time_not_averaged_over_recordings(self):
        found = paired_difference(np.array([10.0, 0]), np.array([0.0, 0]), np.array([10.0, 90]))
        assert found.value == pytest.approx(0.1)
        assert (found.low, found.high) == pytest.approx((0.0, 1.0)), "only one, or only the other, is drawn"

    def test_interval_of_many_recordings_is_that_of_their_mean(self):
        values = np.random.default_rng(3).normal(0.4, 2.0, 400)
        found = paired_difference(values, np.zeros(400), np.ones(400))
        half = 1.96 * values.std() / 20
        assert found.value == pytest.approx(values.mean())
        assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)

    def test_is_paired_and_the_same_each_time(self):
        rng = np.random.default_rng(0)
        hard = rng.uniform(0, 50, 30)
        one, two = hard + 1 + rng.uniform(0, 0.1, 30), hard
        found = paired_difference(one, two, np.full(30, 100.0))
        assert 0.0099 < found.low < found.high < 0.0112, "recordings that are hard for both do not blur it"
        again = paired_difference(one, two, np.full(30, 100.0))
        assert found == again
        assert paired_difference(two, one, np.full(30, 100.0)).high == pytest.approx(-found.low)

    def test_seeds_are_drawn_for_each_system(self):
        zero, weights = np.zeros(30), np.ones(30)
        found = paired_difference(np.stack([zero - 3, zero + 1]), zero, weights)
        assert (found.value, found.low, found.high) == pytest.approx((-1, -3, 1))

    def test_shared_voices_are_drawn_and_not_calls(self):
        """Forty calls of two voices each: a voice that is bad in all its calls is one observation, not ten."""
        voices = [(f"v{number % 8}", f"v{(number + 1 + number // 8) % 8}") for number in range(40)]
        bad = np.array([float("v0" in own) for own in voices])
        zero, weights = np.zeros(40), np.ones(40)
        calls, shared = paired_difference(bad, zero, weights), paired_difference(bad, zero, weights, voices)
        assert calls.value == shared.value == bad.mean()
        assert shared.low == 0 < 0.1 < calls.low and shared.high > calls.high + 0.2
        alone = [(f"a{number}", f"b{number}") for number in range(40)]
        assert paired_difference(bad, zero, weights, alone) == calls

    def test_mean_of_pairs(self):
        zero, weights = np.zeros(4), np.full(4, 10.0)
        pairs = [(np.full(4, 1.0), zero), (np.array([-3.0, -2, -4, -3]), zero)]
        found = mean_difference(pairs, weights)
        assert found.value == pytest.approx(-0.1)
        assert found.high < 0
        assert found.verdict("holds", "does not hold") == "holds"

    @pytest.mark.parametrize(("weights", "value"), [([0.0, 0.0], np.nan), ([10.0], 0.1)])
    def test_too_little_to_tell(self, weights, value):
        found = paired_difference(np.ones(len(weights)), np.zeros(len(weights)), np.array(weights))
        np.testing.assert_equal((found.value, found.low, found.high), (value, np.nan, np.nan))
        assert found.verdict("below", "above") == "undecided"

    def test_recordings_without_reference_speech(self):
        found = paired_difference(np.array([1.0, 2]), np.array([0.0, 2]), np.array([10.0, 0]))
        assert found.value == pytest.approx(0.1)
        assert np.isfinite([found.low, found.high]).all()


class TestRankings:
    def test_pairs_differ_in_one_thing(self):
        pairs = {claim.text: claim.pairs for claim in CLAIMS}
        assert pairs["FINCH below AHC"] == [
            ("dnn_finch_ahc_triplet", "dnn_ahc_triplet"),
            ("dnn_finch_ahc_contrastive", "dnn_ahc_contrastive"),
            ("conformer_finch_ahc_triplet", "conformer_ahc_triplet"),
            ("conformer_finch_ahc_contrastive", "conformer_ahc_contrastive"),
        ]
        assert len(pairs["conformer below DNN"]) == len(pairs["contrastive below triplet"]) == 4
        for claim in CLAIMS:
            ders = [(PAPER[one].der, PAPER[two].der) for one, two in claim.pairs if PAPER[two].der]
            assert all(one <= two for one, two in ders), "the paper's own figures"
        assert [round(PAPER[one].der - PAPER[two].der, 2) for one, two in CLAIMS[0].pairs] == [-5.77, -2.77, -8.69]

    def test_training_is_compared_with_its_controls(self):
        spread = np.arange(12) % 3
        names = ("xvector_ahc", "xvector_ahc_centred", "conformer_untrained", "dnn_untrained")
        controls = [made_result(name, 20 + number + spread) for number, name in enumerate(names)]
        trained = [made_result(name, 15 + spread) for name in ("conformer_ahc_triplet", "dnn_ahc_triplet")]
        results = [*controls, *trained, made_result("dnn_ahc_triplet+literal", 30 + spread)]
        rows = Group("made", results, {}).comparisons
        single = {(row["first"], row["second"]): row["difference"] for row in rows if not row["claim"]}
        assert [single["conformer_ahc_triplet", name] for name in names[:3]] == pytest.approx([-5, -6, -7])
        assert single["dnn_ahc_triplet+literal", "dnn_untrained"] == pytest.approx(7)
        assert ("conformer_ahc_triplet", "dnn_untrained") not in single
        training = {row["claim"]: row for row in rows if row["claim"].startswith("training")}
        assert {claim: row["difference"] for claim, row in training.items()} == pytest.approx(
            {"training below its start": -7.5, "training below centred AHC": -6}
        )

    def test_every_system_of_the_paper_has_a_file(self):
        assert all((SYSTEMS / f"{name}.yaml").is_file() for name in PAPER)

    def test_verdicts(self):
        clear = np.arange(12) % 3
        results = [
            made_result("conformer_ahc_triplet", 10 + clear),
            made_result("conformer_ahc_contrastive", 20 + clear),
            made_result("conformer_finch_ahc_triplet", 10 + clear[::-1]),
            made_result("conformer_finch_ahc_contrastive", 12 + clear),
        ]
        found = {(row["claim"], row["first"]): row for row in Group("made", results, {}).comparisons}
        finch = found["FINCH below AHC", "conformer_finch_ahc_contrastive"]
        assert (finch["verdict"], finch["difference"], finch["relative"]) == pytest.approx(("holds", -8, -800 / 21))
        assert finch["paper"] == pytest.approx(10.69 - 13.61)
        assert found["FINCH below AHC", "conformer_finch_ahc_triplet"]["verdict"] == "undecided"
        assert found["FINCH below AHC", "all pairs"]["difference"] == pytest.approx(-4)
        assert found["contrastive below triplet", "conformer_ahc_contrastive"]["verdict"] == "does not hold"
        assert not any(claim == "conformer below DNN" for claim, _ in found)

    def test_readings_are_compared_row_by_row_and_ranked_apart(self):
        spread = np.arange(12) % 3
        results = [
            made_result("conformer_ahc_triplet", 10 + spread),
            made_result("conformer_finch_ahc_triplet", 8 + spread),
            made_result("conformer_ahc_triplet+literal", 30 + spread),
            made_result("conformer_finch_ahc_triplet+literal", 20 + spread),
        ]
        group = Group("made", results, {})
        found = {(row["claim"], row["first"], row["second"]): row["difference"] for row in group.comparisons}
        costs = {first: value for (claim, first, _), value in found.items() if claim == "reading against robust"}
        assert costs == pytest.approx(
            {"conformer_ahc_triplet+literal": 20, "conformer_finch_ahc_triplet+literal": 12, "all pairs": 16}
        )
        rank = [(first, second) for claim, first, second in found if claim == "FINCH below AHC"]
        assert rank == [
            ("conformer_finch_ahc_triplet", "conformer_ahc_triplet"),
            ("conformer_finch_ahc_triplet+literal", "conformer_ahc_triplet+literal"),
        ]
        assert {row["paper_der"] for row in group.rows} == {14.15, 12.38}
        text = make_tables("made", results)["table.md"]
        pair = "conformer_ahc_triplet+literal minus conformer_ahc_triplet"
        assert f"| reading against robust | literal | {pair} | +20.00 [+20.00, +20.00] points |  | above |" in text

    def test_epochs_and_iterations(self):
        def histories(chain):
            return {f"r{i:02d}": made_history(chain) for i in range(6)}

        results = [
            made_result("conformer_ahc_contrastive", [5] * 6, histories=histories([4, 2])),
            made_result("conformer_finch_ahc_contrastive", [5] * 6, histories=histories([10, 5, 3, 2])),
        ]
        found = {row["measure"]: row for row in Group("made", results, {}).comparisons if row["measure"] != "der"}
        assert {measure: row["difference"] for measure, row in found.items()} == {
            "clusters": 0,
            "epochs": 2,
            "iterations": 2,
        }
        del found["clusters"]
        assert {row["verdict"] for row in found.values()} == {"does not hold"}


class TestTable:
    def results(self):
        trained = {f"r{i:02d}": made_history([8, 2] if i else [2]) for i in range(3)}
        trained["r03"] = {"fallback": "nothing to learn"}
        return [
            made_result("xvector_ahc", [30, 30, 30, 30]),
            *(
                made_result("conformer_finch_ahc_contrastive", [errors] * 4, seed, histories=trained)
                for seed, errors in ((0, 9), (1, 12), (2, 12))
            ),
            made_result("nmesc", [10, 10, 10, 20], source="estimated"),
        ]

    def test_means_over_seeds(self):
        first, second = groups("made", self.results(), {})
        ahc, best = first.rows
        (nmesc,) = second.rows
        names = ("der", "der_sd", "seeds", "paper_der", "epochs")
        assert [ahc[name] for name in names] == [pytest.approx(30), None, "none", 26.07, None]
        names = ("der", "der_sd", "miss", "false_alarm", "confusion", "iterations", "epochs", "untrained")
        assert [best[name] for name in names] == pytest.approx([11, 3**0.5, 0, 1, 10, 2, 2, 3])
        assert best["seeds"] == "0 1 2"
        assert second.origin["num_spk_source"] == "estimated"
        assert (nmesc["paper_der"], nmesc["der_sd"]) == (None, None)
        (comparison,) = [row for row in first.comparisons if row["second"] == "xvector_ahc"]
        assert (comparison["difference"], comparison["relative"]) == pytest.approx((-19, -1900 / 30))
        assert comparison["verdict"] == "below"

    def test_files_name_their_terms(self):
        tables = make_tables("made", self.results())
        text = tables["table.md"]
        numbers = "10.69 | 11.00 ± 1.73 | 0.00 | 1.00 | 10.00 | 2 | 2 | 0 / 0 | 0 |"
        assert f"| conformer_finch_ahc_contrastive | II.5 III.7 | {numbers}" in text
        for source, seeds in (("oracle", "0 1 2"), ("estimated", "0")):
            terms = f"Set made (4 recordings); speech: oracle (ref.rttm); speaker count: {source}; x-vectors: made; "
            assert f"{terms}seeds: {seeds}; " in text
        assert "forgiving: collar 0.25 s each side, overlapped speech ignored" in text
        assert "| conformer_finch_ahc_contrastive | -19.00 [-21.00, -18.00] |" in text, "seeds are drawn, too"
        for name in ("table.tsv", "bootstrap.tsv"):
            head, *rows = [line.split("\t") for line in tables[name].splitlines()]
            assert rows and all(len(row) == len(head) for row in rows)
            terms = {"set", "protocol", "speech_source", "num_spk_source", "xvector_model", "seeds", "recordings"}
            assert terms <= set(head)
        assert dict(zip(head, rows[0], strict=True))["difference"] == "-19.0000"


class TestGrid:
    def test_order_completes_a_seed_at_a_time(self):
        calls = table_calls(["xvector_ahc", "nmesc", "dnn_ahc_triplet"], ["oracle", "estimate"], [3, 1])
        assert [(call.systems, call.count, call.seed) for call in calls[:3]] == [
            (("xvector_ahc", "nmesc", "dnn_ahc_triplet"), "oracle", 3),
            (("nmesc", "dnn_ahc_triplet"), "oracle", 1),
            (("xvector_ahc", "nmesc", "dnn_ahc_triplet"), "estimate", 3),
        ]
        assert len(calls) == 4
        assert len(table_calls(["xvector_ahc"], ["oracle"], [3, 1])) == 1

    def test_only_systems_that_the_paper_trains_have_two_readings(self):
        systems = ["xvector_ahc", "dnn_ahc_triplet", "baseline2"]
        assert with_readings(systems, ["robust", "literal"]) == [*systems, "dnn_ahc_triplet+literal"]
        assert with_readings(systems, ["literal"]) == ["xvector_ahc", "dnn_ahc_triplet+literal", "baseline2"]

    def test_a_file_of_ones_own(self, tmp_path):
        (tmp_path / "mine.yaml").write_text((SYSTEMS / "dnn_ahc_triplet.yaml").read_text())
        mine = str(tmp_path / "mine.yaml")
        assert is_random(mine)
        assert with_readings([mine], ["robust", "literal"]) == [mine, f"{mine}+literal"]
        with pytest.raises(InputError, match="no such file"):
            with_readings([str(tmp_path / "none.yaml")], ["robust"])

    @pytest.mark.parametrize(
        ("sad", "xvector", "folder"),
        [("oracle", "campplus", "paper"), ("pyannote", "speechbrain+source=/x", "paper_pyannote_speechbrain")],
    )
    def test_other_speech_and_vectors_have_a_folder_of_their_own(self, sad, xvector, folder):
        grid = Grid(
            {"set": "tiny", "sad": sad, "xvector": xvector, "data_root": "d", "exp_root": "e", "nj": 2, "cmd": None}
        )
        assert grid.paper_dir == Path("e/tiny") / folder
        assert (
            grid.command
            == f"./run.sh --set tiny --sad {sad} --xvector {xvector} --data-root d --exp-root e --nj 2".split()
        )


class TestFigures:
    def test_clusters_of_recordings_that_end_early_stay(self):
        names = ["conformer_ahc_contrastive", "conformer_finch_ahc_contrastive"]
        chains = {"r00": [4, 2], "r01": [5, 3, 2], "r02": [6, 3, 2]}
        histories = {reco: made_history(chain) for reco, chain in chains.items()} | {"r03": {}}
        rows = figure_rows("2", [made_result(name, [5] * 4, histories=histories) for name in names])
        own = [row for row in rows if row["system"] == names[1]]
        assert [row["clusters_median"] for row in own] == [20, 5, 3, 2]
        assert own[2]["low"] == 2.5
        assert [row["share_running"] for row in own] == pytest.approx([1, 1, 1, 2 / 3])

    def test_losses_are_joined_and_scaled(self):
        short = {"r00": made_history([2], losses=(0.8, 0.4))}
        long = {"r00": made_history([4, 2], losses=(0.4, 0.3, 0.2))}
        results = [
            made_result("conformer_ahc_contrastive", [5], histories=short),
            made_result("conformer_finch_ahc_contrastive", [5], histories=long),
        ]
        rows = figure_rows("3", results)
        assert [row["epoch"] for row in rows] == [0, 1, 2, 3, 4] * 2
        assert [row["loss_mean"] for row in rows] == pytest.approx([1, 0.5, 0.5, 0.5, 0.5, 1, 0.75, 0.5, 0.75, 0.5])
        assert [row["share_running"] for row in rows] == [1, 1, 0, 0, 0, 1, 1, 1, 1, 1]

    def test_der_of_options(self):
        assert len(figure_calls("5", "literal", "oracle", [0, 1])) == 21
        assert len(figure_calls("4", "robust", "oracle", [0])) == 21
        results = [
            made_result("dnn_finch_ahc_contrastive", [10 + 2 * seed], seed, changes=("stop.threshold=0.3",))
            for seed in (0, 1)
        ]
        (row,) = figure_rows("5", [*results, made_result("xvector_ahc_centred", [12])])
        assert row["xvector_ahc_centred"] == pytest.approx(12)
        assert (row["stop.threshold"], row["der_mean"], row["der_sd"]) == pytest.approx((0.3, 11, 2**0.5))
        assert (row["low"], row["high"]) == pytest.approx((11 - 2**0.5, 11 + 2**0.5))

    def test_nothing_trained(self):
        with pytest.raises(InputError, match="no recording of the set trained in conformer_ahc_contrastive"):
            figure_rows("2", [made_result("conformer_ahc_contrastive", [5])])
