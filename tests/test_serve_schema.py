"""Whatever the OpenAPI document allows is answered as it says, and never with an error of ours."""

import sys

import pytest
from conftest import ROOT
from hypothesis import given, settings

sys.path.insert(0, str(ROOT / "benchmarks"))
from _serving import serving

schemathesis = pytest.importorskip("schemathesis")
pytest.importorskip("uvicorn")
pytest.importorskip("sqlalchemy")

TOKEN = "a-token-of-the-tests"
OPERATIONS = [
    ("/v1/check", "POST"),
    ("/v1/analyze", "POST"),
    ("/v1/explain", "POST"),
    ("/v1/checks/{number}", "PUT"),
    ("/v1/refusals", "GET"),
    ("/v1/about", "GET"),
    ("/health", "GET"),
]


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    database = tmp_path_factory.mktemp("schema") / "checks.db"
    with serving("--record", f"sqlite:///{database}", "--jobs", 1, token=TOKEN) as (port, _):
        yield schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/openapi.json")


def test_every_operation_of_the_document_is_tried(document):
    found = [operation.ok() for operation in document.get_all_operations()]
    assert {(one.path, one.method.upper()) for one in found} == set(OPERATIONS)


def try_requests(operation, mode, **options):
    """Try what the document allows, or just not, and compare answers with what it says."""

    # The same requests each time: by chance, a change that is not to blame would fail.
    @settings(max_examples=25, derandomize=True)
    @given(operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode)))
    def try_one(case):
        case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"}, **options)

    try_one()


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_requests_that_the_document_allows(document, path, method):
    # It cannot say which bytes are a photo with a face, or which ages go together.
    rejected = schemathesis.checks.CHECKS.get_one("positive_data_acceptance")
    try_requests(document[path][method], "positive", excluded_checks=[rejected])


@pytest.mark.parametrize(("path", "method"), OPERATIONS[:5])
def test_requests_that_it_does_not_allow(document, path, method):
    try_requests(document[path][method], "negative")
