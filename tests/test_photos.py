import contextlib
import io
import os

import numpy as np
import pandas as pd
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo
from skimage.data import astronaut

from ageboost import AgeboostError, PhotoTooLargeError, UnreadablePhotoError, read_photo
from ageboost.photos import check_photos, load_photo, photo_digest, photo_name


def encode(photo, kind, **options):
    buffer = io.BytesIO()
    photo.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def small():
    return Image.fromarray(astronaut()).resize((90, 60))


@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("WEBP", {"lossless": True}), ("PPM", {})],
)
def test_lossless_formats_give_the_pixels(small, kind, options):
    np.testing.assert_array_equal(read_photo(encode(small, kind, **options)), np.asarray(small))


def test_jpeg_gives_nearly_the_pixels(small):
    found = read_photo(encode(small, "JPEG", quality=95)).astype(int)
    assert np.abs(found - np.asarray(small)).mean() < 5


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("options", [{"quality": 40}, {"progressive": True}, {"quality": 98}])
def test_a_jpeg_gives_the_very_pixels_that_pillow_does(subsampling, options):
    # Of odd sides, whose last blocks are not whole.
    photo = Image.fromarray(astronaut()[:201, :333])
    content = encode(photo, "JPEG", subsampling=subsampling, **options)
    expected = np.asarray(Image.open(io.BytesIO(content)))
    np.testing.assert_array_equal(read_photo(content), expected)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_jpeg_of_other_colours_is_what_pillow_makes_of_it(small, mode):
    content = encode(small.convert(mode), "JPEG")
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    np.testing.assert_array_equal(read_photo(content), expected)


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_a_damaged_jpeg_is_what_pillow_makes_of_it(small, data):
    content = bytearray(encode(small, "JPEG"))
    for _ in range(data.draw(st.integers(1, 4))):
        # Damage behind the header is not always noticed.
        content[data.draw(st.integers(170, len(content) - 3))] = data.draw(st.integers(0, 255))
    try:
        expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    except Exception:
        with pytest.raises(UnreadablePhotoError):
            read_photo(bytes(content))
    else:
        np.testing.assert_array_equal(read_photo(bytes(content)), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied(small, orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(small, kind, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    photo = load_photo(content)
    np.testing.assert_array_equal(photo.pixels, expected)
    assert (photo.height, photo.width) == expected.shape[:2]


def test_rubbish_in_exif_does_not_cost_the_photo(small):
    # The second one asks for a tag that is of no type, and the last is cut short in its middle.
    for rubbish in (
        b"II*\0\xff\xff\xff\xffrubbish",
        b"II*\0\x08\0\0\0\x01\0\x12\x01\xff\xff\x01\0\0\0\x06\0\0\0\0\0\0\0",
        b"no byte order",
        b"II*\0\x08\0\0\0\x01",
    ):
        for kind in ("JPEG", "PNG", "WEBP"):
            found = read_photo(encode(small, kind, exif=b"Exif\0\0" + rubbish))
            np.testing.assert_array_equal(found, read_photo(encode(small, kind)))


def xmp(orientation):
    return (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
        b'tiff:Orientation="%d"/></rdf:RDF></x:xmpmeta>' % orientation
    )


def with_xmp(photo, kind, packet, **options):
    if kind == "PNG":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", packet.decode())
    elif kind == "TIFF":
        options["tiffinfo"] = {700: packet}
    else:
        options["xmp"] = packet
    return encode(photo, kind, **options)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_the_orientation_in_xmp_is_applied_where_exif_has_none(small, kind):
    plain = load_photo(encode(small, kind))
    photo = load_photo(with_xmp(small, kind, xmp(6)))
    np.testing.assert_array_equal(photo.pixels, np.rot90(plain.pixels, -1))
    assert (photo.width, photo.height) == (60, 90)


@pytest.mark.parametrize("orientation", [0, 9, 60000])
def test_an_orientation_that_there_is_not_turns_nothing(small, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = read_photo(encode(small, "PNG", exif=exif))
    np.testing.assert_array_equal(found, np.asarray(small))


# Rare: TIFFs of this mode come compressed, which Pillow 12 reads.
plain_ycbcr = pytest.param(
    "YCbCr",
    marks=pytest.mark.skipif(
        int(PIL.__version__.partition(".")[0]) < 13,
        reason="Pillow before 13 takes a TIFF without compression for one that is cut short",
    ),
)


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "RGBA", "LA", plain_ycbcr])
def test_every_mode_becomes_rgb(small, mode):
    kind = "TIFF" if mode in ("CMYK", "YCbCr") else "PNG"
    photo = read_photo(encode(small.convert(mode), kind))
    assert photo.shape == (60, 90, 3)
    assert photo.dtype == np.uint8


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg"])
def test_compressed_tiffs_of_luminance_and_colour_have_the_colours_of_the_photo(small, compression):
    content = encode(small.convert("YCbCr"), "TIFF", compression=compression)
    found = read_photo(content).astype(int)
    assert np.abs(found - np.asarray(small)).mean() < 7


def test_transparency_is_laid_on_white():
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert (read_photo(encode(clear, "PNG")) == 255).all()
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 51))
    palette = Image.new("P", (4, 4))
    palette.putpalette([0, 0, 0, 51], "RGBA")
    black = Image.new("P", (4, 4))
    black.putpalette([0, 0, 0])
    black.putalpha(51)
    assert black.mode == "PA"
    for photo in (half, half.convert("LA"), half.convert("RGBa"), palette, black):
        assert (read_photo(photo) == 204).all()
    assert (read_photo(np.zeros((4, 4, 4), np.uint8)) == 255).all()


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1"])
def test_a_colour_that_means_transparent_is_laid_on_white(mode):
    photo = Image.new("RGB", (4, 2), (0, 0, 0))
    photo.paste((255, 255, 255), (0, 0, 2, 2))
    photo = photo.convert(mode)
    dark = photo.getpixel((3, 0))
    found = read_photo(encode(photo, "PNG", transparency=dark))
    assert (found == 255).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(kind):
    levels = np.linspace(0, 65535, 48, dtype=np.uint16).reshape(6, 8)
    found = read_photo(encode(Image.fromarray(levels), kind))[..., 0]
    np.testing.assert_allclose(found, levels / 257, atol=0.51)


@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        st.sampled_from([(3, 5), (3, 5, 1), (3, 5, 3), (1, 1)]),
    )
)
def test_an_array_of_each_dtype_means_the_same_photo(array):
    found = read_photo(array)
    depth = np.iinfo(array.dtype).max
    as_float = array / depth
    assert np.abs(read_photo(as_float).astype(int) - found).max() <= 1
    expected = np.rint(as_float * 255).reshape(*array.shape[:2], -1)
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1)


def test_twelve_megapixels_are_decoded_at_a_reduced_scale():
    noise = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    large = Image.fromarray(noise).resize((4000, 3000))
    for content in (encode(large, "JPEG"), encode(large, "PNG", compress_level=1)):
        photo = load_photo(content)
        assert photo.pixels.shape == (1500, 2000, 3)
        assert (photo.width, photo.height, photo.scale) == (4000, 3000, 0.5)
    assert read_photo(large).shape == (1500, 2000, 3)
    assert load_photo(np.asarray(large)).pixels.shape == (1500, 2000, 3)
    assert read_photo(large, max_side=None).shape == (3000, 4000, 3)


@pytest.mark.parametrize(
    ("levels", "problem"),
    [
        ([-0.5, 0.5], "values from -0.5 to 0.5"),
        ([0.5, 1.5], "values from 0.5 to 1.5"),
        ([0, np.nan], "NaN"),
        ([0, np.inf], "values from 0 to inf"),
        ([-np.inf, np.inf], "values from -inf to inf"),
    ],
)
def test_float_arrays_that_do_not_go_from_0_to_1_are_refused(levels, problem):
    with pytest.raises(UnreadablePhotoError, match=f"from 0 to 1, this has {problem}: "):
        read_photo(np.array([levels, levels]))


def test_float_files_go_from_0_to_1_or_to_65535_and_what_is_outside_is_cut_off():
    unit = np.array([[-1.0, 0.0, 0.5, 1.0, np.nan]], np.float32)
    assert read_photo(encode(Image.fromarray(unit), "TIFF"))[0, :, 0].tolist() == [
        *(0, 0, 128, 255, 0)
    ]
    wide = np.array([[-1.0, 0.0, 32768.0, 70000.0, np.nan]], np.float32)
    assert read_photo(encode(Image.fromarray(wide), "TIFF"))[0, :, 0].tolist() == [
        *(0, 0, 128, 255, 0)
    ]


def test_too_many_pixels_are_refused():
    with pytest.raises(PhotoTooLargeError, match="max_pixels"):
        read_photo(np.zeros((20, 20), np.uint8), max_pixels=399)
    assert read_photo(np.zeros((20, 20), np.uint8), max_pixels=400).shape == (20, 20, 3)


def test_a_thin_photo_is_reduced_in_every_format():
    for size in ((500, 1), (500, 3), (500, 9), (1, 500), (9, 500)):
        for kind in ("JPEG", "PNG"):
            photo = load_photo(encode(Image.new("RGB", size), kind), max_side=50)
            assert 50 <= max(photo.pixels.shape) < 100
            assert (photo.width, photo.height) == size


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "GIF"])
def test_a_pil_image_that_is_read_stays_as_it_was(small, kind):
    content = encode(small, kind)
    with Image.open(io.BytesIO(content)) as given, Image.open(io.BytesIO(content)) as untouched:
        first, second = (load_photo(given, max_side=20) for _ in range(2))
        assert (first.width, first.height) == (second.width, second.height) == (90, 60)
        np.testing.assert_array_equal(first.pixels, second.pixels)
        assert photo_digest(given) == photo_digest(untouched)


def test_a_photo_is_reduced_as_long_as_its_longer_side_stays_long_enough(small):
    for photo in (small, np.asarray(small), encode(small, "PNG"), encode(small, "JPEG")):
        assert read_photo(photo, max_side=45).shape == (30, 45, 3)
        assert read_photo(photo, max_side=46).shape == (60, 90, 3)
        assert 30 <= load_photo(photo, max_side=30).pixels.shape[1] < 60
        loaded = load_photo(photo, max_side=30)
        assert (loaded.width, loaded.height) == (90, 60)
        assert load_photo(photo, name="till 3").name == "till 3"
        assert load_photo(photo).name == photo_name(photo)


def test_bad_photos_are_errors_that_name_them(bad_photos):
    unreadable = {k: v for k, v in bad_photos.items() if k not in ("one pixel", "black")}
    for photo, _ in unreadable.values():
        with pytest.raises(UnreadablePhotoError) as caught:
            read_photo(photo)
        assert str(caught.value).startswith(photo_name(photo))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("photo", "said"),
    [
        (io.StringIO("text"), "open it with mode 'rb'"),
        (Image.new("RGB", (0, 5)), "nothing to see"),
        (np.zeros((0, 5, 3), np.uint8), "no pixels"),
        ("a\0b.jpg", "cannot be opened"),
        (7, "a photo cannot be a int"),
    ],
)
def test_what_cannot_be_a_photo_says_why(photo, said):
    with pytest.raises(UnreadablePhotoError, match=said):
        read_photo(photo)


def test_an_error_says_what_is_wrong_and_the_way_out(bad_photos, small):
    class Broken(io.RawIOBase):
        def read(self, size=-1):
            raise OSError(5, "Input/output error")

    whole = encode(small, "PNG")
    problems = {
        "missing": "no such file: check the path",
        "folder": "a folder, not a photo: list its files",
        "empty": "empty, 0 bytes: copy it again",
        "cut short": r"damaged or cut short \(\w+: .+\): copy it again",
        "text": "not a photo: give a JPEG",
        "huge": r"Image size \(900000000 pixels\) exceeds limit .*: reduce it first",
        "wrong dtype": "an array of dtype int64 is not a photo: give uint8",
        "wrong shape": r"an array of shape \(50,\) is not a photo: give \(height, width\)",
        "nothing": "a photo cannot be a NoneType: give a path",
    }
    photos = [(bad_photos[kind][0], problem) for kind, problem in problems.items()]
    photos += [
        (Broken(), "cannot be opened: Input/output error: check the file"),
        (io.StringIO("a"), "opened as text: open it with mode 'rb'"),
        ("nul\0.jpg", "cannot be opened: embedded null byte: check the file"),
        (np.zeros((0, 5, 3), np.uint8), r"an array of shape \(0, 5, 3\) has no pixels"),
        (np.zeros((5, 5, 2), np.uint8), r"an array of shape \(5, 5, 2\) is not a photo"),
        (Image.new("RGB", (0, 5)), "0 x 5 pixels: nothing to see in it"),
        (whole[:900], "damaged or cut short"),
    ]
    for photo, problem in photos:
        with pytest.raises(UnreadablePhotoError, match=f"^till 3: {problem}"):
            load_photo(photo, name="till 3")


@pytest.mark.parametrize("kind", ["EPS", "ICO", "PCX", "TGA", "SGI", "DDS"])
def test_no_other_format_is_read(small, kind):
    with pytest.raises(UnreadablePhotoError, match="not a photo: give a JPEG"):
        read_photo(encode(small, kind))


def test_a_photo_of_too_many_pixels_is_too_large_in_every_form(small):
    for photo in (small, np.asarray(small), encode(small, "PNG"), encode(small, "JPEG")):
        assert read_photo(photo, max_pixels=5400).shape == (60, 90, 3)
        with pytest.raises(
            PhotoTooLargeError, match=r"^till 3: 90 x 60 are more than 5,399 pixels"
        ):
            load_photo(photo, max_pixels=5399, name="till 3")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_bytes_give_a_photo_or_a_clear_error(small, kind, data):
    content = bytearray(encode(small, kind))
    for _ in range(data.draw(st.integers(0, 8))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    content = bytes(content[: data.draw(st.integers(0, len(content)))])
    # Any other error fails the test.
    with contextlib.suppress(AgeboostError):
        assert read_photo(content, max_pixels=10**6).ndim == 3


def test_a_file_is_read_from_where_it_stands_and_left_there(small):
    file = io.BytesIO(b"head" + encode(small, "PNG"))
    file.seek(4)
    first, second = read_photo(file), read_photo(file)
    np.testing.assert_array_equal(first, second)


def test_a_file_that_cannot_go_back_is_read_once(small):
    class Stream(io.BytesIO):
        def seekable(self):
            return False

        def tell(self):
            raise io.UnsupportedOperation("tell")

    np.testing.assert_array_equal(read_photo(Stream(encode(small, "PNG"))), np.asarray(small))


def test_photos_are_named_by_what_is_known_of_them(small, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode(small, "PNG"))
    with path.open("rb") as file, Image.open(path) as image:
        for photo in (str(path), path, file, image):
            assert photo_name(photo) == photo_name(photo, position=3) == str(path)
    for photo, name in (
        (b"x" * 1234, "1,234 bytes"),
        (memoryview(b"xyz"), "3 bytes"),
        (small, "PIL image of 90 x 60"),
        (5, "int"),
    ):
        assert photo_name(photo) == name
        assert photo_name(photo, position=0) == f"photo 0 ({name})"
    assert photo_name(np.zeros((4, 3, 3))) == "array of 3 x 4"
    assert photo_name(np.array(1.0)) == "array of no size"
    # A descriptor has a number in the place of a name.
    with os.fdopen(os.open(path, os.O_RDONLY), "rb") as unnamed:
        assert photo_name(unnamed) == "BufferedReader"
        assert read_photo(unnamed).shape == (60, 90, 3)


def test_the_digest_tells_contents_apart_and_forms_not(small, tmp_path):
    content = encode(small, "PNG")
    path = tmp_path / "a.png"
    path.write_bytes(content)
    digests = {photo_digest(form) for form in (path, str(path), content, io.BytesIO(content))}
    assert len(digests) == 1
    array = np.asarray(small)
    others = [array, array[::-1], array.astype(np.uint16), small, small.convert("L")]
    assert len({photo_digest(other) for other in others}) == len(others)


def test_the_digest_of_a_pil_image_knows_its_palette_and_which_way_is_up(small):
    flat = Image.new("P", (8, 8))
    flat.putpalette([255, 0, 0])
    other = flat.copy()
    other.putpalette([0, 0, 255])
    assert photo_digest(flat) != photo_digest(other)

    def noted(orientation):
        exif = Image.Exif()
        exif[0x0112] = orientation
        return Image.open(io.BytesIO(encode(small, "PNG", exif=exif)))

    assert photo_digest(noted(6)) != photo_digest(noted(8))
    assert photo_digest(noted(1)) == photo_digest(small)


def test_a_digest_is_of_128_bits_or_an_error_that_names_the_photo(small, tmp_path):
    assert len(bytes.fromhex(photo_digest(encode(small, "PNG")))) == 16
    empty = [np.zeros(shape, np.uint8) for shape in ((0, 3), (3, 0), (0, 0, 3))]
    assert len({photo_digest(array) for array in empty}) == 3
    (tmp_path / "cut.png").write_bytes(encode(small, "PNG")[:900])
    objects = np.array([[None] * 3] * 3)
    for photo in (str(tmp_path / "missing.jpg"), Image.open(tmp_path / "cut.png"), objects):
        with pytest.raises(UnreadablePhotoError) as caught:
            photo_digest(photo)
        assert str(caught.value).startswith(photo_name(photo))


def test_all_levels_of_sixteen_bits_become_the_nearest_of_eight():
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    nearest = np.rint(levels / 257)
    for photo in (levels, levels / 65535, Image.fromarray(levels)):
        found = read_photo(photo)
        np.testing.assert_array_equal(found, np.stack([nearest] * 3, axis=2))
        assert found.dtype == np.uint8


def test_a_float_file_that_goes_above_1_goes_to_65535():
    levels = np.array([[0.0, 1.0, 1.5]], np.float32)
    assert not read_photo(encode(Image.fromarray(levels), "TIFF")).any()


def test_lists_of_photos_are_taken_as_they_are(tmp_path):
    assert check_photos(iter(["a", "b"])) == ["a", "b"]
    assert check_photos(np.array(["a", "b"])) == ["a", "b"]
    assert check_photos(np.array([b"a", None], dtype=object)) == [b"a", None]
    for shape in [(3, 8, 8, 3), (3, 8, 8), (3, 1, 2)]:
        assert len(check_photos(np.zeros(shape, np.uint8))) == 3
    image = Image.new("L", (1, 1))
    for wrong in ["a.jpg", tmp_path, b"x", bytearray(b"x"), io.BytesIO(), image, 5]:
        with pytest.raises(TypeError, match="list of photos") as caught:
            check_photos(wrong)
        assert str(caught.value).startswith(photo_name(wrong))
    with pytest.raises(TypeError, match=r"table\['photo'\]"):
        check_photos(pd.DataFrame({"photo": ["a"]}))
    with pytest.raises(ValueError, match=r"\(8, 8, 3\) is not a list of photos"):
        check_photos(np.zeros((8, 8, 3), np.uint8))


def test_a_pil_image_whose_file_is_cut_short_has_no_digest(small):
    content = encode(small, "PNG")
    with (
        Image.open(io.BytesIO(content[: len(content) // 2])) as opened,
        pytest.raises(UnreadablePhotoError, match="reload it"),
    ):
        photo_digest(opened)


@pytest.mark.parametrize("shape", [(9,), (9, 9), (9, 9, 1), (9, 9, 3), (9, 9, 4), (2, 2, 9, 9, 3)])
def test_an_array_that_is_one_photo_or_none_is_not_a_list_of_them(shape):
    with pytest.raises(ValueError, match=r"is not a list of photos: pass \[photo\]"):
        check_photos(np.zeros(shape, np.uint8))
