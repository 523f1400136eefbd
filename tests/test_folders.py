"""One scanner of folders, for commands and data sets, which says what it leaves out."""

import pytest
from PIL import Image
from typer.testing import CliRunner

from ageboost.cli import app
from ageboost.datasets import list_photos
from ageboost.folders import scan_folder

NAMES = ["a.jpg", "b.JFIF", "c.jpe", "d.ppm", "e.avif", "f.HEIC", "g.webp", "h.tif"]
HIDDEN = ["._a.jpg", ".thumbnails/a.jpg", "__MACOSX/a.jpg", "@eaDir/a.jpg", "Thumbs.db"]


@pytest.fixture
def folder(tmp_path):
    for name in [*NAMES, *HIDDEN, "x.CR2", "notes.txt", "deep/i.png"]:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def test_every_kind_of_photo_is_listed_and_the_rest_counted(folder):
    found = scan_folder(folder)
    assert [path[len(str(folder)) + 1 :] for path in found.photos] == sorted([*NAMES, "deep/i.png"])
    assert found.raw == [str(folder / "x.CR2")]
    assert found.hidden == len(HIDDEN)
    assert found.others == {".txt": 1}
    assert "1 raw photos" in found.left_out()
    assert f"{len(HIDDEN)} hidden files" in found.left_out()


def test_data_sets_list_what_commands_do(folder):
    with pytest.warns(UserWarning, match="1 raw photos"):
        assert list_photos(folder) == scan_folder(folder, deep=False).photos


def test_a_link_in_a_circle_ends(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "round.jpg").symlink_to(tmp_path / "round.jpg")
    assert scan_folder(tmp_path).photos == [str(tmp_path / "a.jpg")]


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        scan_folder(tmp_path / "gone")


def test_predict_reads_them_all_and_says_by_its_status_what_it_could_not(portrait, tmp_path):
    photo = Image.fromarray(portrait[20:230, 120:330])
    for name in ["a.jpg", "b.jfif", "c.jpe", "._a.jpg"]:
        photo.save(tmp_path / name, "JPEG")
    run = CliRunner().invoke(app, ["predict", str(tmp_path), "-m", "fast"])
    assert run.exit_code == 0
    assert run.stdout.count(",ok,") == 3
    assert "1 hidden files" in run.stderr
    (tmp_path / "d.NEF").write_bytes(b"x")
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200))
    run = CliRunner().invoke(app, ["predict", str(tmp_path), "-m", "fast"])
    assert run.exit_code == 1
    assert "d.NEF: a raw photo" in run.stderr
    assert "IMG_1.HEIC" in run.stderr
