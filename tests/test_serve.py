"""The service at the till, asked in the process of the tests."""

import io
import re
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from PIL import Image
from typer.testing import CliRunner

import ageboost
from ageboost.retail import AlcoholPolicy, check, check_each

sys.path.insert(0, str(ROOT / "benchmarks"))
from _bad_inputs import KINDS, bad_input

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient

from ageboost.serve import ServiceSettings, make_app

TOKEN = "a-token-of-the-tests"
HERE = "http://127.0.0.1"
# What a path of a machine, or an address in its memory, looks like.
INSIDE = re.compile(
    r"/(?:home|root|tmp|usr|var|work)/|site-packages|\.py\b|0x[0-9a-f]{6}|Traceback"
)


def jpeg(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def model():
    return ageboost.load_pretrained("fast")


@pytest.fixture(scope="module")
def photos(face_variants):
    faceless = np.random.default_rng(0).integers(0, 255, (120, 120, 3), dtype=np.uint8)
    return [jpeg(pixels) for pixels in [*face_variants[0][:12], faceless]]


@pytest.fixture(scope="module")
def client(model):
    settings = ServiceSettings(max_bytes=300_000, max_pixels=1_000_000)
    with TestClient(make_app(model, "fast", settings), HERE) as client:
        yield client


def send(client, content, path="/v1/check", kind="image/jpeg", **options):
    headers = {"Content-Type": kind} | options.pop("headers", {})
    return client.post(path, content=content, headers=headers, **options)


def test_each_answer_is_that_of_the_library(client, model, photos):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda photo: send(client, photo).json(), photos))
    for photo, answer in zip(photos, answers, strict=True):
        expected = asdict(check(photo, AlcoholPolicy(), model))
        assert {name: answer[name] for name in expected} == expected
        assert answer["model"] == {"name": "fast", "version": model.calibration_.fingerprint_}
        assert answer["policy"]["challenge_age"] == 25
        assert answer["id"] is None
    assert len({answer["age"] for answer in answers}) > 6
    assert answers[-1]["status"] == "no face"


def test_several_checked_at_once_are_as_each_alone(model, photos):
    policy = AlcoholPolicy(certainty=0.95)
    given = [*photos[:5], b"no photo", np.full((300, 300, 3), 90, np.uint8)]
    together = check_each(given, policy, model)
    alone = [check(photo, policy, model) for photo in given]
    assert [answer.status for answer in together[5:]] == ["unreadable", "no face"]
    for one, other in zip(together, alone, strict=True):
        numbered = {"reason": re.sub(r"photo \d", "photo 0", one.reason)}
        assert asdict(one) | numbered == asdict(other)


def test_a_form_is_as_good_as_a_body(client, photos):
    assert client.post("/v1/check", files={"photo": photos[0]}).json() == (
        send(client, photos[0], kind="application/octet-stream").json()
    )


def test_a_large_form_stays_in_memory(model, monkeypatch):
    def fail(_):
        raise OSError("a photo goes to the disk")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", fail)
    noise = np.random.default_rng(0).integers(0, 255, (900, 900, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    assert len(buffer.getvalue()) > 2_000_000
    app = make_app(model, "fast", ServiceSettings(workers=1, timeout=60))
    with TestClient(app, HERE) as client:
        assert client.post("/v1/analyze", files={"photo": buffer.getvalue()}).status_code == 200


def test_a_photo_without_a_face_cannot_be_judged(client):
    answer = send(client, jpeg(np.full((300, 300, 3), 90, np.uint8))).json()
    assert (answer["answer"], answer["status"], answer["age"]) == ("cannot tell", "no face", None)


def test_a_call_may_name_its_policy(client, photos):
    asked = send(client, photos[0], "/v1/check?legal_age=21&challenge_age=110").json()
    assert asked["answer"] == "ask"
    assert asked["policy"] == {"legal_age": 21, "challenge_age": 110, "certainty": None}
    refused = send(client, photos[0], "/v1/check?legal_age=30")
    assert refused.status_code == 422
    assert "challenge_age=25" in refused.json()["detail"]


def test_a_policy_that_is_fixed_stays(model, photos):
    settings = ServiceSettings(AlcoholPolicy(challenge_age=110), workers=1)
    with TestClient(make_app(model, "fast", settings), HERE) as client:
        assert send(client, photos[0]).json()["answer"] == "ask"
        refused = send(client, photos[0], "/v1/check?challenge_age=18")
        assert refused.status_code == 422
        assert refused.json()["detail"] == "the policy is fixed: leave out challenge_age"
        assert client.get("/v1/about").json()["policy_fixed"]


def test_probabilities_are_those_of_the_people_at_the_till(model, photos):
    weights = pd.Series({**dict.fromkeys(range(14, 18), 50), **dict.fromkeys(range(18, 80), 1)})
    policy = AlcoholPolicy(certainty=0.97)
    settings = ServiceSettings(policy, workers=1, age_weights=weights)
    with TestClient(make_app(model, "fast", settings), HERE) as client:
        answers = [send(client, photo).json() for photo in photos]
    for photo, answer in zip(photos, answers, strict=True):
        expected = asdict(check(photo, policy, model, weights))
        assert {name: answer[name] for name in expected} == expected
    usual = [check(photo, policy, model).under_legal for photo in photos[:3]]
    assert usual != [answer["under_legal"] for answer in answers[:3]]
    with pytest.raises(ValueError, match="pass a policy with a certainty"):
        ServiceSettings(AlcoholPolicy(), age_weights=weights)
    for one_sided in (weights[18:], pd.Series({16: 1, 150: 1})):
        with pytest.raises(ValueError, match="no weight to minors"):
            ServiceSettings(policy, age_weights=one_sided)


def test_the_command_reads_ages_only_for_a_certainty(tmp_path):
    from ageboost.cli import app

    ages = tmp_path / "ages.csv"
    ages.write_text("age,people\n16,3\n40,50\n")
    for options, said in (
        ((), "pass --certainty as well"),
        (
            ("--certainty", "0.95", "--legal-age", "41", "--challenge-age", "41"),
            "or none to adults",
        ),
    ):
        result = CliRunner().invoke(app, ["serve", "--age-weights", str(ages), *options])
        assert result.exit_code == 2
        assert said in " ".join(result.stderr.split())


def test_every_face_is_analyzed(client, model, portrait):
    photo = jpeg(portrait)
    found = send(client, photo, "/v1/analyze").json()
    table = model.analyze([photo])
    assert [face["age"] for face in found["faces"]] == table["age"].tolist()
    assert [face["left"] for face in found["faces"]] == table["left"].tolist()
    assert found["message"] == ""
    nothing = send(client, jpeg(np.full((300, 300, 3), 90, np.uint8)), "/v1/analyze").json()
    assert nothing["faces"] == []
    assert "no face" in nothing["message"]


def test_reasons_add_up(client, photos):
    pytest.importorskip("matplotlib")
    found = send(client, photos[0], "/v1/explain").json()
    total = found["base_value"] + sum(found["regions"].values())
    assert total == pytest.approx(found["prediction"], abs=0.01)
    assert found["picture"].startswith("iVBOR")
    assert send(client, b"no photo", "/v1/explain").status_code == 422


@pytest.mark.parametrize("path", ["/v1/check", "/v1/analyze", "/v1/explain"])
@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "image/jpeg", 422),
        (b"not a photo at all", "image/jpeg", 422),
        (b"\xff\xd8\xff\xe0 cut short", "image/jpeg", 422),
        (b"\0" * 300_001, "image/png", 413),
        (b"{}", "application/json", 415),
        (b"a=b", "application/x-www-form-urlencoded", 415),
        (b"--x\r\n", "multipart/form-data; boundary=x", 422),
        (b"no boundary", "multipart/form-data; boundary=x", 400),
        (b"", "multipart/form-data", 400),
    ],
)
def test_what_is_no_photo_is_refused(client, path, content, kind, status):
    refused = send(client, content, path, kind)
    assert refused.status_code == status
    assert refused.json()["detail"]
    assert not INSIDE.search(refused.text)


def test_a_photo_of_too_many_pixels_is_refused(client):
    buffer = io.BytesIO()
    Image.new("L", (1500, 1000)).save(buffer, "PNG")
    refused = send(client, buffer.getvalue(), kind="image/png")
    assert refused.status_code == 413
    assert "1500 x 1000" in refused.json()["detail"]


def test_a_form_needs_the_field_photo(client):
    refused = client.post("/v1/check", files={"picture": b"x"})
    assert refused.status_code == 422
    assert "'photo'" in refused.json()["detail"]


def test_names_are_short_and_printable(client, photos):
    for query in ("till=" + "x" * 61, "cashier=%00", "till=", "unknown=1", "legal_age=nan"):
        refused = send(client, photos[0], f"/v1/check?{query}")
        assert refused.status_code == 422
        assert "xxxx" not in refused.text


def test_only_a_token_opens(model, photos):
    app = make_app(model, "fast", ServiceSettings(token=TOKEN, workers=1))
    with TestClient(app, "http://till.shop") as client:
        right = {"Authorization": "Bearer " + TOKEN}
        assert client.get("/v1/about", headers=right).status_code == 200
        assert send(client, photos[0], headers=right).status_code == 200
        for path, headers in [
            ("/v1/check", {}),
            ("/v1/check", {"Authorization": "Bearer wrong"}),
            ("/v1/check", {"Authorization": "Bearer " + TOKEN[:-1]}),
            ("/v1/check", {"Authorization": "Basic " + TOKEN}),
            ("/v1/check", {"Authorization": "Bearer \xe9"}),
            ("/v1/check?token=" + TOKEN, {}),
            ("/v1/check?access_token=" + TOKEN, {}),
        ]:
            given = {name: value.encode("latin-1") for name, value in headers.items()}
            refused = send(client, photos[0], path, headers=given)
            assert refused.status_code == 401
            assert refused.headers["WWW-Authenticate"] == "Bearer"
        leaky = send(client, photos[0], "/v1/check?token=x", headers=right)
        assert leaky.status_code == 422
        assert client.get("/health").status_code == 200


def test_a_short_token_is_none():
    for token in ("short", "with a space, which no header has", "\xe9" * 20):
        with pytest.raises(ValueError, match="16 ASCII characters"):
            ServiceSettings(token=token)
    assert "secret" not in repr(ServiceSettings(token="secret-secret-secret"))


def test_pages_of_others_cannot_call(client, photos):
    elsewhere = send(client, photos[0], headers={"Origin": "https://shop.example"})
    assert elsewhere.status_code == 403
    assert send(client, photos[0], headers={"Origin": "null"}).status_code == 403
    assert send(client, photos[0], headers={"Origin": HERE}).status_code == 200
    for host in ("shop.example", "127.0.0.1.shop.example", ""):
        assert send(client, photos[0], headers={"Host": host}).status_code == 421
    for host in ("localhost:8000", "127.0.0.1:1", "[::1]:8000"):
        assert send(client, photos[0], headers={"Host": host}).status_code == 200


@pytest.fixture
def gate(monkeypatch):
    """Checks that wait until they may go on."""
    from ageboost.serve import _tasks

    opened = threading.Event()
    look = _tasks.check_each

    def wait_and_look(*asked):
        assert opened.wait(60)
        return look(*asked)

    monkeypatch.setattr(_tasks, "check_each", wait_and_look)
    yield opened
    opened.set()


@pytest.mark.parametrize(("per_client", "status"), [(9, 503), (2, 429)])
def test_who_comes_too_many_is_sent_away_at_once(model, photos, gate, per_client, status):
    settings = ServiceSettings(workers=1, waiting=1, per_client=per_client, timeout=60)
    with (
        TestClient(make_app(model, "fast", settings), HERE) as client,
        ThreadPoolExecutor(4) as pool,
    ):
        waiting = [pool.submit(send, client, photos[0]) for _ in range(2)]
        deadline = time.monotonic() + 60
        while client.get("/health").json()["status"] != "busy":
            assert time.monotonic() < deadline
        refused = send(client, photos[1])
        assert refused.status_code == status
        assert int(refused.headers["Retry-After"]) >= 1
        gate.set()
        assert [answer.result().status_code for answer in waiting] == [200, 200]
        assert send(client, photos[1]).status_code == 200
        assert client.get("/health").json()["status"] == "ok"


def test_nobody_waits_for_longer_than_the_limit(model, photos, gate):
    settings = ServiceSettings(workers=1, timeout=0.3)
    with TestClient(make_app(model, "fast", settings), HERE) as client:
        late = send(client, photos[0])
        assert late.status_code == 503
        assert late.headers["Retry-After"]
        gate.set()


def test_one_photo_that_breaks_the_library_takes_no_other_with_it(model, photos, monkeypatch):
    from ageboost.serve import _tasks

    look = _tasks.check_each

    def break_at(given, *asked):
        if any(photo.content == photos[0] for photo in given):
            raise RuntimeError("broken in /usr/lib")
        return look(given, *asked)

    monkeypatch.setattr(_tasks, "check_each", break_at)
    app = make_app(model, "fast", ServiceSettings(workers=1))
    with (
        TestClient(app, HERE, raise_server_exceptions=False) as client,
        ThreadPoolExecutor(6) as pool,
    ):
        answers = list(pool.map(lambda photo: send(client, photo), photos[:6]))
    assert [answer.status_code for answer in answers] == [500, *[200] * 5]
    assert not INSIDE.search(answers[0].text)


def test_settings_that_make_no_sense_are_refused():
    for wrong in ({"waiting": -1}, {"timeout": 0}, {"workers": 0}, {"max_bytes": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            ServiceSettings(**wrong)


def test_a_model_without_calibration_is_refused(small_estimator, face_variants):
    unsure = ageboost.AgeEstimator("classical", interval_folds=None).set_params(
        regressor__n_estimators=2, reduction__n_centers=20
    )
    unsure.fit(face_variants[0][:10], face_variants[1][:10])
    with pytest.raises(ValueError, match="how far its ages are off"):
        make_app(unsure, "unsure")


def test_a_model_that_cannot_look_at_photos_is_not_served(model, monkeypatch):
    def fail(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(type(model), "extract", fail)
    app = make_app(model, "fast", ServiceSettings(workers=2))
    with pytest.raises(OSError, match="no network"), TestClient(app, HERE):
        pass


@pytest.mark.parametrize("path", ["/", "/register", "/docs"])
def test_pages_load_nothing_from_elsewhere(client, path):
    page = client.get(path)
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    for loaded in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert loaded.startswith(("/", "#"))
        if not loaded.startswith("#"):
            assert client.get(loaded).status_code == 200
    assert client.get("/static/../serve/app.py").status_code == 404
    assert client.get("/static/%2e%2e%2fpage.py").status_code == 404


def test_the_document_names_every_answer(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {
        *("/v1/check", "/v1/analyze", "/v1/explain", "/v1/checks/{number}", "/v1/refusals"),
        *("/v1/about", "/health"),
    }
    photo = paths["/v1/check"]["post"]
    assert set(photo["requestBody"]["content"]) == {
        *("image/*", "application/octet-stream", "multipart/form-data")
    }
    assert {"200", "401", "408", "413", "415", "422", "429", "503"} <= set(photo["responses"])


@pytest.mark.parametrize("seed", range(5))
def test_damaged_files_are_refused_or_judged_like_any_photo(client, model, seed):
    for kind in KINDS:
        content = bad_input(kind, seed)
        expected = check(content, AlcoholPolicy(), model) if content else None
        answer = send(client, content, kind="application/octet-stream")
        assert not INSIDE.search(answer.text)
        if expected is None or expected.status in ("unreadable", "too large"):
            assert 400 <= answer.status_code < 500
        elif answer.status_code != 413:
            assert answer.json()["answer"] == expected.answer
