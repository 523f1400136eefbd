"""What people give as photos that are none: an age, or a short row that says what it is."""

import base64
import io
import zipfile

import numpy as np
import pytest
from PIL import Image, features

import ageboost
from ageboost import UnreadablePhotoError, read_photo, retail
from ageboost.faces import FaceFinder
from ageboost.photos import check_photos, iterate_photos, photo_name

LONGEST = 500


@pytest.fixture(scope="module")
def fast():
    return ageboost.load_pretrained("fast")


@pytest.fixture(scope="module")
def crop(portrait):
    return portrait[20:230, 120:330]


@pytest.fixture(scope="module")
def jpeg(crop):
    file = io.BytesIO()
    Image.fromarray(crop).save(file, "JPEG", quality=95)
    return file.getvalue()


def odd_photos(jpeg):
    text = base64.b64encode(jpeg).decode()
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a.jpg", jpeg)

    class Liar:
        @property
        def name(self):
            raise RuntimeError("x" * 5000)

        filename = name

    class Reader:
        name = "n" * 3000

        def read(self, size=-1):
            raise RuntimeError("secret" * 1000)

    return {
        "data URI": (f"data:image/jpeg;base64,{text}", "base64.b64decode"),
        "base64": (text, "base64.b64decode"),
        "short base64": (text[:400], "base64.b64decode"),
        "base64 in bytes": (text.encode(), "base64.b64decode"),
        "base64 across lines": ("\n".join(text[i : i + 76] for i in range(0, 4000, 76)), "base64"),
        "URL": ("https://shop.example/now.jpg?token=SECRET", "nothing is downloaded"),
        "URL with a password": ("https://me:SECRET@shop.example/a.jpg", "nothing is downloaded"),
        "bucket": ("s3://bucket/now.jpg", "nothing is downloaded"),
        "file URL": ("file:///home/a.jpg", "give the path"),
        "JSON": ('{"photo": "' + "x" * 10_000 + '"}', "text that is not a path"),
        "long name": ("x" * 3000 + ".jpg", "text that is not a path"),
        "long path": ("folder/" * 500 + "a.jpg", "no such file"),
        "zip": (zipped.getvalue(), "a zip archive"),
        "PDF": (b"%PDF-1.7" + bytes(500), "a PDF"),
        "video": (b"\0\0\0\x18ftypisom\0\0\0\0isomiso2" + bytes(200), "a video"),
        "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200), ""),
        "list of lists": ([[[1, 2, 3]] * 500] * 500, "numpy.array"),
        "dict": ({"bytes": jpeg, "path": None}, "photo['bytes']"),
        "generator": ((i for i in range(3)), "a photo cannot be a generator"),
        "liar": (Liar(), "a photo cannot be a Liar"),
        "reader": (Reader(), "cannot be read"),
        "wide array": (np.zeros((4, 5, 6, 7)), "is not a photo"),
    }


KINDS = list(odd_photos(b"\xff\xd8\xff\xe0" + bytes(1000)))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_photo_is_named_shortly_and_never_repeated(fast, jpeg, kind):
    photo, said = odd_photos(jpeg)[kind]
    text = base64.b64encode(jpeg).decode()
    row = fast.analyze([photo]).iloc[0]
    assert row.status == "unreadable"
    assert said in row.message
    with pytest.raises(ageboost.PhotosError) as caught:
        fast.set_params(on_error="raise").predict([odd_photos(jpeg)[kind][0]])
    fast.set_params(on_error="nan")
    answer = retail.check(odd_photos(jpeg)[kind][0], retail.AlcoholPolicy(), fast)
    for message in (row.message, str(caught.value), answer.reason):
        assert len(message) < LONGEST
        assert text[:60] not in message
        assert "SECRET" not in message
    if kind not in ("long path",):
        assert len(row.photo) < 200
        assert "SECRET" not in row.photo


def test_a_single_thing_that_is_no_list_is_named_shortly(jpeg, tmp_path):
    text = base64.b64encode(jpeg).decode()
    for photo in (text, "https://a.example/" + "b" * 9000, jpeg, "folder/" * 700):
        with pytest.raises(TypeError, match=r"\[photo\]") as caught:
            check_photos(photo)
        assert len(str(caught.value)) < LONGEST
        assert text[:60] not in str(caught.value)
    with pytest.raises(TypeError, match=r"a folder, not a list of photos: pass .*list_photos"):
        check_photos(tmp_path)
    with pytest.raises(TypeError, match=r"list\(photos.values\(\)\)"):
        check_photos({"a": jpeg})


def test_channels_may_come_first(fast, crop):
    first = np.ascontiguousarray(crop.transpose(2, 0, 1))
    np.testing.assert_array_equal(read_photo(first), crop)
    np.testing.assert_array_equal(read_photo(first[:1]), read_photo(crop[..., 0]))
    assert fast.predict([first])[0] == fast.predict([crop])[0]


def test_a_tensor_is_taken_as_its_array(crop):
    class Tensor:
        def __array__(self, dtype=None, copy=None):
            return crop

    np.testing.assert_array_equal(read_photo(Tensor()), crop)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_levels_of_fewer_bits_in_sixteen_are_scaled(crop, bits):
    deep = (crop.astype(np.float64) / 255 * (2**bits - 1)).round().astype(np.uint16)
    deep[0, 0] = 2**bits - 1
    assert np.abs(read_photo(deep).astype(int) - crop)[1:].max() <= 1
    grey = Image.fromarray(deep[..., 0])
    for photo in (grey, encoded(grey, "PNG"), encoded(grey, "TIFF")):
        assert np.abs(read_photo(photo)[1:, :, 0].astype(int) - crop[1:, :, 0]).max() <= 1


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_colours_of_fewer_bits_in_files_of_sixteen_are_scaled(crop, bits, suffix):
    cv2 = pytest.importorskip("cv2")
    deep = (crop.astype(np.float64) / 255 * (2**bits - 1)).round().astype(np.uint16)
    deep[0, 0] = 2**bits - 1
    written, buffer = cv2.imencode(suffix, deep[..., ::-1])
    assert written
    assert np.abs(read_photo(buffer.tobytes())[1:].astype(int) - crop[1:]).max() <= 1


def test_floats_with_levels_up_to_255_are_levels(crop):
    np.testing.assert_array_equal(read_photo(crop.astype(np.float32)), crop)
    with pytest.raises(UnreadablePhotoError, match="must go from 0 to 1"):
        read_photo(np.linspace(0, 2, 40 * 40).reshape(40, 40))


def encoded(image, kind):
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow cannot write AVIF")
def test_avif_is_read(crop):
    found = read_photo(encoded(Image.fromarray(crop), "AVIF"))
    assert np.abs(found.astype(int) - crop).mean() < 5


def test_heic_is_read_where_pillow_heif_is_installed(crop):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    try:
        content = encoded(Image.fromarray(crop), "HEIF")
    except (OSError, RuntimeError, KeyError) as error:
        pytest.skip(f"no encoder of HEIC: {error}")
    found = read_photo(content)
    assert np.abs(found.astype(int) - crop).mean() < 5


def test_a_file_that_was_just_written_is_read_from_its_beginning(crop):
    file = io.BytesIO()
    Image.fromarray(crop).save(file, "PNG")
    np.testing.assert_array_equal(read_photo(file), crop)
    assert file.tell() == len(file.getvalue())


class OnlyRead:
    """What a web client gives: read(), once, and nothing else."""

    def __init__(self, content):
        self._file = io.BytesIO(content)

    def read(self, size=-1):
        return self._file.read(size)


def test_a_reader_that_cannot_seek_is_read_once_whatever_looks_at_it(fast, jpeg, tmp_path):
    expected = fast.predict([jpeg])[0]
    assert fast.predict([OnlyRead(jpeg)])[0] == expected
    cached = ageboost.load_pretrained("fast").set_params(cache=tmp_path)
    assert cached.predict([OnlyRead(jpeg)])[0] == expected
    assert cached.predict([OnlyRead(jpeg)])[0] == expected


def test_open_files_go_to_other_processes(fast, jpeg, tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg)
    both = ageboost.load_pretrained("fast").set_params(n_jobs=2, features__batch_size=2)
    both.features_.set_params(batch_size=2)
    with (tmp_path / "a.jpg").open("rb") as file, (tmp_path / "gone").open("wb+") as empty:
        photos = [file, jpeg, OnlyRead(jpeg), empty]
        table = both.analyze(photos)
    assert table["status"].tolist() == ["ok", "ok", "ok", "unreadable"]
    assert table["age"].nunique() == 1
    assert table["photo"].iloc[0] == str(tmp_path / "a.jpg")


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_generator_is_read_batch_by_batch(crop, n_jobs):
    model = ageboost.load_pretrained("fast").set_params(n_jobs=n_jobs)
    model.features_.set_params(batch_size=2)
    taken = []

    def frames():
        for number in range(40):
            taken.append(number)
            yield crop

    tables = model.analyze_batches(frames())
    assert len(next(tables)) == 2
    assert len(taken) <= (2 if n_jobs == 1 else 16)
    tables.close()


def test_a_generator_gives_what_a_list_does(fast, crop, jpeg):
    photos = [crop, b"none", jpeg] * 3
    ages = fast.predict(iter(photos))
    np.testing.assert_array_equal(ages, fast.predict(photos))
    listed, streamed = fast.analyze(photos), fast.analyze(photo for photo in photos)
    assert streamed.equals(listed)
    interval = fast.predict_interval(iter(photos))
    np.testing.assert_array_equal(interval, fast.predict_interval(photos))
    matrix = fast.features_.transform(iter([crop, jpeg]))
    np.testing.assert_array_equal(matrix, fast.features_.transform([crop, jpeg]))
    assert fast.predict(iter([])).shape == (0,)
    with pytest.raises(ValueError, match="boxes has more or fewer entries"):
        fast.predict(iter([crop, crop]), boxes=[None])


def test_iterate_photos_leaves_an_iterator_as_it_is(jpeg):
    photos = iter([jpeg])
    assert iterate_photos(photos) is photos
    assert iterate_photos((jpeg,)) == [jpeg]


def test_small_faces_in_a_large_photo_are_found(fast, portrait):
    face = Image.fromarray(portrait).crop((140, 30, 300, 190)).resize((200, 200))
    photo = Image.new("RGB", (4000, 3000), (110, 120, 130))
    for i in range(4):
        photo.paste(face, (400 + i * 900, 600 + 500 * (i % 2)))
    assert (fast.analyze([photo])["status"] == "ok").sum() == 4


@pytest.mark.parametrize(("width", "height", "side"), [(1600, 1200, 200), (800, 600, 100)])
def test_every_face_of_a_group_is_found_not_only_those_that_are_just_large_enough(
    fast, portrait, width, height, side
):
    face = Image.fromarray(portrait).crop((140, 30, 300, 190)).resize((side, side), Image.LANCZOS)
    photo = Image.new("RGB", (width, height), (110, 120, 130))
    for i in range(12):
        middle = (i % 6 + 0.5) * width / 6, (i // 6 + 0.5) * height / 2
        photo.paste(face, (int(middle[0] - side / 2), int(middle[1] - side / 2)))
    table = fast.analyze([photo])
    assert (table["status"] == "ok").sum() == 12
    assert fast.predict([photo])[0] == table["age"][0]
    centres = (table[["left", "top"]] + table[["width", "height"]].to_numpy() / 2).to_numpy()
    assert len({(int(x * 6 / width), int(y * 2 / height)) for x, y in centres}) == 12


def test_a_message_names_the_size_of_face_that_was_looked_for(fast):
    noise = np.random.default_rng(0).integers(0, 255, (900, 1800, 3), np.uint8)
    for side, expected in ((1800, "max_side (here 800)"), (60, None)):
        row = fast.analyze([noise[:side, :side]]).iloc[0]
        assert "pixels or more" in row.message
        assert (expected is None) == ("max_side" not in row.message)
        assert expected is None or expected in row.message
    assert FaceFinder().smallest_face(200, 200) == 40
    assert FaceFinder().smallest_face(4000, 3000) < 110
    for size in ((1280, 720), (1920, 1080), (4000, 3000), (8000, 800)):
        sizes = [FaceFinder(max_side=side).smallest_face(*size) for side in (400, 800, 1600, 3200)]
        assert sizes == sorted(sizes, reverse=True)


def test_names_of_photos_are_paths_or_say_what_they_are(jpeg):
    assert photo_name("a/b.jpg") == "a/b.jpg"
    assert photo_name("C:\\tills\\3.jpg") == "C:\\tills\\3.jpg"
    assert photo_name("https://a.example/b?c", 3) == "photo 3 (a URL at a.example)"
    assert photo_name("data:image/png;base64,AAAA") == "base64 text of 26 characters"
    assert photo_name({"a": 1}) == "dict of 1"
    assert photo_name([[1]], 0) == "photo 0 (list of 1)"
