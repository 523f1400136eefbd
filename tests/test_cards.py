"""Where a model's card is written: beside the model, in the place of nothing else."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ageboost
from ageboost.models.card import card_path


def test_models_of_two_versions_have_a_card_each(fitted, tmp_path):
    for name in ("v1.2", "v1.3", "v1.ageboost"):
        fitted.save(tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("v1.2", "v1.3", "v1.ageboost", "v1.2.card.md", "v1.3.card.md", "v1.md")
    }
    assert ageboost.load(tmp_path / "v1.2").n_photos_ == fitted.n_photos_


@pytest.mark.parametrize("name", ["mine.md", "mine.MD"])
def test_a_model_with_the_name_of_a_card_is_refused(fitted, tmp_path, name):
    with pytest.raises(ValueError, match=r"name the model mine\.ageboost"):
        fitted.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_notes_that_stand_in_the_place_of_the_card_are_not_lost(fitted, tmp_path):
    (tmp_path / "README.md").write_text("# My shop\n")
    with pytest.raises(FileExistsError, match="holds something else"):
        fitted.save(tmp_path / "README.ageboost")
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "# My shop\n"


def test_a_model_is_saved_again_over_itself_and_its_card(fitted, tmp_path):
    for _ in range(2):
        fitted.save(tmp_path / "mine.ageboost")
    assert {path.name for path in tmp_path.iterdir()} == {"mine.ageboost", "mine.md"}


@given(
    st.sets(st.from_regex(r"[a-c]{1,2}(\.[0-9]|\.ageboost|\.joblib){0,2}", fullmatch=True)),
)
def test_no_two_models_share_a_card_and_none_is_a_card(names):
    cards = {card_path(PurePosixPath(name)).name for name in names}
    assert len(cards) == len(names)
    assert not cards & names
