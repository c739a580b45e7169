"""The scores that a made-up class must get: what the remembering scorer says is what driving the lab says."""

from autograder.bench.classes import BLANK, RIGHT, draw, source
from autograder.bench.scores import Scorer
from autograder.grading.sample_class import score, skeletons


def test_what_is_remembered_equals_what_is_worked_out_anew(room):
    with room.entered():
        (lab,) = room.labs()
        scorer, drawn = Scorer(lab), draw([lab], 12, seed=5)
        for wrote in (told[lab.id] for told in drawn.values()):
            anew = score(lab, lambda lab, name, skeleton, wrote=wrote: source(lab, name, wrote[name]))
            assert scorer.score(wrote) == anew
        worked_out = scorer.worked_out
        for told in drawn.values():
            scorer.score(told[lab.id])
        assert scorer.worked_out == worked_out


def test_all_right_earns_all_and_nothing_written_earns_nothing(room):
    with room.entered():
        (lab,) = room.labs()
        scorer = Scorer(lab)
        assert scorer.score(dict.fromkeys(skeletons(lab), RIGHT)) == lab.points
        assert scorer.score(dict.fromkeys(skeletons(lab), BLANK)) == 0
