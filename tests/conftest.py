import importlib.util
import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from skimage.data import astronaut

from ageboost import AgeEstimator
from ageboost.datasets import read_utkface
from ageboost.faces import FaceFinder

ROOT = Path(__file__).resolve().parents[1]

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(scope="session")
def utkface():
    """The folder of UTKFace, where there is one."""
    default = ROOT.parent / "shared" / "datasets" / "utkface"
    folder = Path(os.environ.get("AGEBOOST_UTKFACE", default))
    if not (folder / "images").is_dir() or not (folder / "labels.csv").is_file():
        pytest.skip(f"no images/ and labels.csv in {folder}: set AGEBOOST_UTKFACE to the folder")
    return folder


@pytest.fixture(scope="session")
def elsewhere():
    """The folder of photos from other sources, where there is one."""
    default = ROOT.parent / "shared" / "datasets" / "elsewhere"
    folder = Path(os.environ.get("AGEBOOST_ELSEWHERE", default))
    if not (folder / "labels.csv").is_file():
        pytest.skip(f"no labels.csv in {folder}: set AGEBOOST_ELSEWHERE to the folder")
    return folder


@pytest.fixture(scope="session")
def photos_and_ages(utkface):
    table = read_utkface(utkface).iloc[::160]
    return table["photo"].tolist(), table["age"].to_numpy()


@pytest.fixture(scope="session")
def portrait():
    return astronaut()


@pytest.fixture(scope="session")
def face(portrait):
    [found] = FaceFinder().find(portrait)
    return found


def variants(portrait, n_photos):
    """Photos that all show the one face that is always at hand, each in another light and size."""
    rng = np.random.default_rng(0)
    photos, ages = [], []
    for i in range(n_photos):
        light = rng.uniform(0.5, 1)
        cut = portrait[i % 20 : 300 + i, 60 + i % 7 : 400]
        photos.append(np.clip(cut * light, 0, 255).astype(np.uint8))
        ages.append(20 + 60 * light)
    return photos, np.array(ages)


@pytest.fixture(scope="session")
def face_variants(portrait):
    return variants(portrait, 30)


@pytest.fixture(scope="session")
def small_estimator():
    """Quick to fit: classical features and few trees."""
    return AgeEstimator("classical", random_state=0).set_params(
        regressor__n_estimators=20, regressor__learning_rate=0.3, reduction__n_centers=50
    )


@pytest.fixture(scope="session")
def fitted(small_estimator, face_variants):
    return small_estimator.fit(*face_variants)


@pytest.fixture
def no_file_larger_than():
    """Let no file grow beyond a number of bytes for a while, as if the disk were full."""
    resource = pytest.importorskip("resource")

    @contextmanager
    def limit(n_bytes):
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    return limit


@pytest.fixture
def bad_photos(tmp_path, portrait):
    """One of each kind of file that shops have had, by what is wrong with it."""
    import zlib

    from PIL import Image

    Image.fromarray(portrait).save(tmp_path / "good.jpg")
    content = (tmp_path / "good.jpg").read_bytes()
    (tmp_path / "cut short.jpg").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("not a photo at all\n" * 20)
    (tmp_path / "folder.jpg").mkdir()
    Image.new("RGB", (1, 1)).save(tmp_path / "one pixel.png")
    Image.new("RGB", (300, 300)).save(tmp_path / "black.png")

    def chunk(kind, data):
        body = kind + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    size = (30_000).to_bytes(4, "big") * 2
    (tmp_path / "huge.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", size + bytes([8, 2, 0, 0, 0]))
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )
    return {
        "missing": (str(tmp_path / "missing.jpg"), "unreadable"),
        "folder": (str(tmp_path / "folder.jpg"), "unreadable"),
        "empty": (str(tmp_path / "empty.jpg"), "unreadable"),
        "cut short": (str(tmp_path / "cut short.jpg"), "unreadable"),
        "text": (str(tmp_path / "text.jpg"), "unreadable"),
        "one pixel": (str(tmp_path / "one pixel.png"), "no face"),
        "black": (str(tmp_path / "black.png"), "no face"),
        "huge": (str(tmp_path / "huge.png"), "too large"),
        "NaN": (np.full((50, 50), np.nan), "unreadable"),
        "wrong dtype": (np.zeros((50, 50), dtype=np.int64), "unreadable"),
        "wrong shape": (np.zeros(50, dtype=np.uint8), "unreadable"),
        "nothing": (None, "unreadable"),
    }


def start_browser(*flags):
    """A browser without a window, which notes what it loads and what it complains about."""
    selenium = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    paths = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if not all(paths):
        pytest.skip("no chromium or no chromedriver on the path")
    options = selenium.ChromeOptions()
    options.binary_location = paths[0]
    always = ("headless=new", "no-sandbox", "disable-gpu", "disable-background-networking")
    for flag in (*always, *flags):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return selenium.Chrome(options=options, service=Service(paths[1]))


@pytest.fixture(scope="session")
def browser():
    driver = start_browser()
    yield driver
    driver.quit()


@pytest.fixture
def show(browser, tmp_path):
    """Opens a page in the browser, which forgets what it has noted before."""

    def show(page):
        page.save(tmp_path / "page.html")
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        for log in ("performance", "browser"):
            browser.get_log(log)
        browser.get((tmp_path / "page.html").as_uri())
        return browser

    return show


def requests_of(browser):
    """Addresses that the page asked for, itself and what is inside it left out."""
    requested = re.findall(
        r'"request":\{[^}]*?"url":"([^"]{0,40})',
        " ".join(entry["message"] for entry in browser.get_log("performance")),
    )
    return [url for url in requested if not url.startswith(("data:", "file:"))]


def set_width(browser, width):
    """Make the window as wide as the screen of a telephone, or of a desk."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False},
    )


def violations(browser):
    """Rules of axe that the page as it is now does not keep."""
    wheel = importlib.util.find_spec("axe_playwright_python")
    if wheel is None:
        pytest.skip("no axe: pip install axe-playwright-python")
    script = (Path(wheel.origin).parent / "axe.min.js").read_text("utf-8")
    browser.execute_cdp_cmd("Runtime.evaluate", {"expression": script})
    browser.set_script_timeout(300)
    result = browser.execute_async_script(
        "const done = arguments[arguments.length - 1]; axe.run(document).then(done)"
    )
    assert len(result["passes"]) > 5
    return [
        f"{rule['id']}: {node['html'][:200]}"
        for rule in result["violations"]
        for node in rule["nodes"]
    ]
