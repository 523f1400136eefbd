"""The pages of the service in a browser with a camera that is none."""

import io
import json
import sys
import time

import pytest
from conftest import ROOT, set_width, start_browser, violations
from PIL import Image

sys.path.insert(0, str(ROOT / "benchmarks"))
from _serving import serving

pytest.importorskip("uvicorn")
pytest.importorskip("sqlalchemy")
pytest.importorskip("matplotlib")

SECONDS = 60
TOKEN = "a-token-of-the-tests"
WIDTHS = [360, 768, 1440]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, portrait):
    folder = tmp_path_factory.mktemp("page")
    face = Image.fromarray(portrait[:300, 60:400])
    face.save(folder / "face.jpg", quality=95)
    Image.new("RGB", (300, 300), (90, 90, 90)).save(folder / "grey.png")
    (folder / "no photo.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut short")
    frame = io.BytesIO()
    face.save(frame, "JPEG", quality=95)
    (folder / "camera.mjpeg").write_bytes(frame.getvalue() * 2)
    return folder


@pytest.fixture(scope="module")
def service(folder):
    with serving("--record", f"sqlite:///{folder}/checks.db", "--jobs", 1) as (port, _):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def browser(folder):
    driver = start_browser(
        "use-fake-device-for-media-stream",
        "use-fake-ui-for-media-stream",
        f"use-file-for-fake-video-capture={folder / 'camera.mjpeg'}",
    )
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, service):
    """The page to try checks on, just opened."""
    for log in ("performance", "browser"):
        browser.get_log(log)
    set_width(browser, 1024)
    browser.get(service)
    wait_until(lambda: "version" in text_of(browser, "about"))
    return browser


def wait_until(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def text_of(browser, name):
    return browser.find_element("id", name).text


def choose(browser, path):
    browser.find_element("id", "file").send_keys(str(path))


def answered(browser):
    wait_until(lambda: text_of(browser, "word"))
    return text_of(browser, "word").lower()


def drop(browser, path, content, kind="image/jpeg"):
    """Drop a file on the page, as a hand with a mouse would."""
    browser.execute_script(
        """
        const [name, bytes, kind] = arguments;
        const carried = new DataTransfer();
        carried.items.add(new File([new Uint8Array(bytes)], name, {type: kind}));
        const target = document.getElementById("drop");
        for (const event of ["dragenter", "dragover", "drop"]) {
          target.dispatchEvent(new DragEvent(event, {dataTransfer: carried, bubbles: true,
            cancelable: true}));
        }
        """,
        path,
        list(content),
        kind,
    )


def complaints(browser):
    """What the browser complains of, but for the statuses of answers that are no photo's."""
    return [
        entry["message"]
        for entry in browser.get_log("browser")
        if entry["level"] in ("SEVERE", "WARNING") and "status of 4" not in entry["message"]
    ]


def addresses(browser, service):
    """Addresses outside the service that the page asked for."""
    found = []
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            found.append(message["params"]["request"]["url"])
    assert found
    return [url for url in found if not url.startswith((service, "blob:" + service, "data:"))]


def sideways(browser):
    """How many pixels of the page are to the right of the window."""
    return browser.execute_script(
        "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )


def test_a_dropped_photo_gets_an_answer_boxes_and_json(page, folder, service):
    drop(page, "face.jpg", (folder / "face.jpg").read_bytes())
    assert answered(page) in ("ask", "sell")
    assert "looks about" in text_of(page, "reason")
    assert "probability of being under 18" in text_of(page, "reason")
    assert "Recorded as check" in text_of(page, "recorded")
    [face] = page.find_elements("css selector", "#faces tbody tr")
    assert "good" in face.text
    canvas = page.find_element("id", "canvas")
    assert "face 1:" in canvas.get_attribute("aria-label")
    shown = json.loads(page.find_element("id", "json").get_attribute("textContent"))
    assert shown["check"]["model"]["name"] == "fast"
    box = shown["analysis"]["faces"][0]
    drawn = page.execute_script(
        "return [...document.getElementById('canvas').getContext('2d')"
        ".getImageData(arguments[0], arguments[1], 1, 1).data]",
        round(box["left"]),
        round(box["top"] + box["height"] / 2),
    )
    assert min(drawn) > 240
    assert addresses(page, service) == []
    assert complaints(page) == []


def test_a_pasted_photo_gets_an_answer(page, folder):
    page.execute_script(
        """
        const carried = new DataTransfer();
        carried.items.add(new File([new Uint8Array(arguments[0])], "a.jpg", {type: "image/jpeg"}));
        document.dispatchEvent(new ClipboardEvent("paste", {clipboardData: carried}));
        """,
        list((folder / "face.jpg").read_bytes()),
    )
    assert answered(page) in ("ask", "sell")


def test_the_camera_is_used_and_let_go(page):
    page.find_element("id", "camera").click()
    wait_until(lambda: page.find_element("id", "shoot").is_displayed())
    assert page.switch_to.active_element.get_attribute("id") == "shoot"
    wait_until(
        lambda: page.execute_script("return document.getElementById('video').videoWidth") > 0
    )
    assert violations(page) == []
    page.find_element("id", "shoot").click()
    assert answered(page) in ("ask", "sell")
    page.find_element("id", "stop").click()
    assert page.switch_to.active_element.get_attribute("id") == "camera"
    states = "return video.srcObject.getTracks().map((track) => track.readyState)"
    assert page.execute_script(states) == ["ended"]
    assert not page.find_element("id", "live").is_displayed()
    assert complaints(page) == []


def test_reasons_come_on_request(page, folder):
    choose(page, folder / "face.jpg")
    answered(page)
    assert not page.find_element("id", "reasons").is_displayed()
    page.find_element("id", "explain").click()
    wait_until(lambda: page.find_element("id", "reasons").is_displayed())
    wait_until(lambda: page.execute_script("return document.getElementById('map').naturalWidth"))
    rows = page.find_elements("css selector", "#regions tbody tr")
    assert {row.text.split()[0] for row in rows} >= {"forehead", "eyes", "nose"}
    assert violations(page) == []


def test_what_is_no_photo_is_said_and_the_next_one_is_answered(page, folder):
    choose(page, folder / "no photo.jpg")
    wait_until(lambda: page.find_element("id", "alert").is_displayed())
    assert "damaged or cut short" in text_of(page, "alert")
    assert not page.find_element("id", "answer").is_displayed()
    assert violations(page) == []
    choose(page, folder / "grey.png")
    assert answered(page) == "cannot tell"
    assert not page.find_element("id", "alert").is_displayed()
    assert not page.find_element("id", "explain").is_enabled()


def test_what_is_kept_is_said(page):
    assert "not kept" in text_of(page, "kept")
    assert "no photo and no age" in text_of(page, "rows")
    assert "365 days" in text_of(page, "rows")
    assert "No commercial use" in text_of(page, "about")


def reached_by_tab(browser, presses):
    """What the key Tab leads to, one after the other."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    reached = []
    for _ in range(presses):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        focused = browser.switch_to.active_element
        reached.append(focused.get_attribute("id") or focused.text)
    return reached


def test_all_of_it_works_without_a_mouse(page, folder):
    reached = reached_by_tab(page, 8)
    assert reached[:4] == [
        *("Skip to the content", "Check", "Refusals register", "For programmers")
    ]
    assert [name for name in reached if name in ("file", "camera")] == ["file", "camera"]
    choose(page, folder / "face.jpg")
    answered(page)
    page.execute_script("document.getElementById('camera').focus()")
    reached = reached_by_tab(page, 6)
    assert [name for name in reached if name in ("explain", "copy")] == ["explain", "copy"]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", ["/", "/register", "/docs"])
def test_pages_fit_and_axe_finds_nothing(page, service, folder, path, width):
    set_width(page, width)
    page.get(service + path)
    if path == "/":
        choose(page, folder / "face.jpg")
        answered(page)
    elif path == "/register":
        wait_until(lambda: "refusal" in text_of(page, "progress"))
    else:
        wait_until(lambda: "POST /v1/check" in text_of(page, "operations"))
    assert sideways(page) == 0
    assert violations(page) == []
    assert addresses(page, service) == []
    assert complaints(page) == []


@pytest.mark.parametrize("width", [360, 1600])
def test_the_narrowest_and_the_widest_window_show_all_of_it(page, folder, width):
    set_width(page, width)
    choose(page, folder / "face.jpg")
    answered(page)
    assert sideways(page) == 0


def test_a_refusal_stands_in_the_register(page, service, folder):
    choose(page, folder / "face.jpg")
    answered(page)
    number = text_of(page, "recorded").split()[-1].rstrip(".")
    page.execute_async_script(
        """
        const done = arguments[arguments.length - 1];
        fetch(`/v1/checks/${arguments[0]}`, {
          method: "PUT",
          headers: {"Content-Type": "application/json"},
          body: JSON.stringify({asked: true, sold: false, refusal: "no card", goods: "<b>gin"}),
        }).then(() => done());
        """,
        number,
    )
    page.get(service + "/register")
    wait_until(lambda: text_of(page, "progress") == "1 refusal.")
    assert "<b>gin" in text_of(page, "refusals")
    assert "no card" in text_of(page, "refusals")
    assert violations(page) == []


def test_the_page_asks_for_the_token(browser, folder):
    with serving("--jobs", 1, token=TOKEN) as (port, _):
        set_width(browser, 1024)
        browser.get(f"http://127.0.0.1:{port}")
        wait_until(lambda: browser.find_element("id", "token-form").is_displayed())
        assert violations(browser) == []
        browser.find_element("id", "token").send_keys("wrong-token\n")
        wait_until(lambda: "not the token" in text_of(browser, "token-note"))
        browser.find_element("id", "token").send_keys(TOKEN + "\n")
        wait_until(lambda: "No check is recorded" in text_of(browser, "rows"))
        choose(browser, folder / "face.jpg")
        assert answered(browser) in ("ask", "sell")
        assert TOKEN not in browser.current_url
