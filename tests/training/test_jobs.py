"""Trainings from Python: what is refused before anything is loaded."""

from dataclasses import replace
from pathlib import Path

import pytest

from toonify.errors import UsageError
from toonify.training.core.weights import chosen_weights
from toonify.training.hfgi.job import HFGIJob, train_hfgi
from toonify.training.hfgi.step import HFGIWeights
from toonify.training.styleganex.job import FrameJob, train_frame_encoder


def test_weights_are_the_default_but_for_what_is_chosen():
    weights = chosen_weights(HFGIWeights(), {"l2": 0, "lpips": None, "align": 2.0})
    assert weights == replace(HFGIWeights(), l2=0, align=2.0)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"aling": 1}, "Did you mean 'align'"),
        ({"l2": -1}, "`l2` -1"),
        ({"l2": float("nan")}, "`l2`"),
    ],
)
def test_weights_that_are_none_are_refused(chosen, words):
    with pytest.raises(UsageError, match=words):
        chosen_weights(HFGIWeights(), chosen)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"task": "inversoin"}, "Did you mean 'inversion'"),
        ({"task": "inversion", "drawings": Path("d")}, "`drawings` is of sketch and mask"),
        ({"task": "video-edit"}, "Add `direction`"),
        ({"task": "inversion", "compiled": True, "size": "18"}, "`size` 18"),
        ({"task": "inversion", "pair_count": 200}, "`pair_count` is of `pairs`"),
    ],
)
def test_frames_of_nothing_are_refused(tmp_path, options, words):
    job = FrameJob(generator="gone", output=tmp_path / "run", **options)
    with pytest.raises(UsageError, match=words):
        train_frame_encoder(job)
    assert not (tmp_path / "run").exists()


def test_details_of_nothing_are_refused(tmp_path):
    job = HFGIJob(generator="gone", output=tmp_path / "run")
    with pytest.raises(UsageError, match="`face_encoder`"):
        train_hfgi(job)
    with pytest.raises(UsageError, match="`pairs`"):
        train_hfgi(replace(job, face_encoder="default"))
    assert not (tmp_path / "run").exists()
