"""What a folder and an S3 store do with files: the same, and nothing is overwritten that should not be."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor

import pytest

from cellgauge.cards import UserError
from cellgauge.publish.delivery import ASK_AGAIN, FOR_EVER, Delivery
from cellgauge.publish.destination import open_destination

PAGE = b"<p>" + b"a page of some length " * 100


@pytest.fixture(params=["folder", "s3"])
def place(request, tmp_path, store):
    if request.param == "folder":
        return open_destination(str(tmp_path / "deep" / "site"), None)
    return open_destination(store.url, store.wire.url)


def file(key: str, data: bytes = PAGE) -> Delivery:
    return Delivery(key, data, FOR_EVER)


def test_a_file_is_created_once_and_replaced_by_its_tag(place):
    place.probe()
    place.probe()
    key = "a/b/index.html"
    assert place.read(key) is None
    assert place.create(key, file(key))
    assert not place.create(key, file(key, b"other"))
    found = place.read(key)
    assert found.data == PAGE
    assert not place.replace(key, file(key, b"other"), None)
    assert not place.replace(key, file(key, b"other"), f"{found.tag[:-2]}00")
    assert place.replace(key, file(key, b"other"), found.tag)
    assert not place.replace(key, file(key, b"third"), found.tag)
    assert place.read(key).data == b"other"
    place.put(key, file(key, b"third"))
    assert place.read(key).data == b"third"
    assert place.replace("new.json", file("new.json", b"1"), None)
    assert not place.replace("none.json", file("none.json", b"1"), found.tag)


def test_what_differs_is_told_from_what_is_missing(place):
    files = {f"r/{n}.html": file(f"r/{n}.html", PAGE + b"%d" % n) for n in range(5)}
    for key in list(files)[1:]:
        place.create(key, files[key])
    place.put("r/3.html", file("r/3.html", b"damaged"))
    place.put("r2/0.html", file("r2/0.html"))
    seen = []
    assert place.differing("r/", files, seen.append) == {"r/0.html": False, "r/3.html": True}
    assert sum(seen) == 5


def test_of_twelve_that_create_a_file_at_once_one_does(place):
    with ThreadPoolExecutor(12) as pool:
        won = list(pool.map(lambda n: place.create("claim.json", file("claim.json", b"%d" % n)), range(12)))
    assert won.count(True) == 1
    assert place.read("claim.json").data == b"%d" % won.index(True)


def test_a_store_says_what_a_file_is_and_compresses_what_browsers_read(store):
    place = open_destination(store.url, store.wire.url)
    expected = {
        "2026.11/index.html": ("text/html; charset=utf-8", "gzip", FOR_EVER),
        "2026.11/assets/a.css": ("text/css; charset=utf-8", "gzip", FOR_EVER),
        "2026.11/assets/a.js": ("text/javascript; charset=utf-8", "gzip", FOR_EVER),
        "2026.11/assets/a.woff2": ("font/woff2", None, FOR_EVER),
        "2026.11/assets/a.png": ("image/png", None, FOR_EVER),
        "2026.11/search/search_index.json": ("application/json; charset=utf-8", "gzip", FOR_EVER),
        "2026.11/api/v1/results.csv": ("text/csv; charset=utf-8", None, FOR_EVER),
        "2026.11/api/v1/results.json": ("application/json; charset=utf-8", None, FOR_EVER),
        "2026.11/results/a.npy": ("application/octet-stream", None, FOR_EVER),
        "2026.11/CITATION.cff": ("application/yaml; charset=utf-8", None, FOR_EVER),
        "versions.json": ("application/json; charset=utf-8", None, ASK_AGAIN),
    }
    for key, (_, _, cache) in expected.items():
        place.put(key, Delivery(key, PAGE, cache))
        found = store.client.get_object(Bucket=store.name, Key=f"board/{key}")
        assert (found["ContentType"], found.get("ContentEncoding"), found["CacheControl"]) == expected[key]
        data = found["Body"].read()
        assert (gzip.decompress(data) if found.get("ContentEncoding") else data) == PAGE
        assert place.read(key).data == PAGE
    assert Delivery("a.html", PAGE, "").body() == Delivery("a.html", PAGE, "").body(), "the same bytes on any day"
    assert Delivery("a.html", b"short", "").body().encoding is None


@pytest.mark.parametrize("header", ["If-None-Match", "If-Match"])
def test_a_store_that_ignores_conditions_is_refused(store, header):
    if store.is_real:
        pytest.skip("it checks signatures, and nothing can be taken out of a request")
    store.wire.without = (header,)
    with pytest.raises(UserError, match=rf"this store ignores {header}, so that published releases could be over"):
        open_destination(store.url, store.wire.url).probe()


@pytest.mark.parametrize(
    ("name", "endpoint", "said"),
    [
        ("ftp://host/x", None, r"ftp://host/x: expected a folder or s3://bucket/prefix"),
        ("s3://", None, r"expected s3://bucket or s3://bucket/prefix"),
        ("folder", "http://127.0.0.1:9", r"--endpoint-url is for s3:// destinations, and folder is a folder"),
        ("s3://bucket", "no address", r"s3://bucket: cannot be asked: Invalid endpoint"),
    ],
)
def test_what_is_no_destination_is_refused(store, name, endpoint, said):
    with pytest.raises(UserError, match=said):
        open_destination(name, endpoint)


def test_a_store_that_cannot_be_used_says_why(store, tmp_path):
    with pytest.raises(
        UserError, match=r"s3://not-there-at-all: the store refuses PutObject \(NoSuchBucket.*Create the"
    ):
        open_destination("s3://not-there-at-all", store.wire.url).probe()
    with pytest.raises(UserError, match=r"cannot be asked: Could not connect to the endpoint URL"):
        open_destination(store.url, "http://127.0.0.1:9").probe()
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=r"file: is a file; name a folder"):
        open_destination(str(tmp_path / "file"), None)
    with pytest.raises(UserError, match=rf"^{tmp_path}/file: is a file; name a folder"):
        open_destination(str(tmp_path / "file/deep/site"), None)


def test_a_folder_that_cannot_be_written_to_says_so():
    with pytest.raises(UserError, match=r"/proc/board: cannot be written to as it must be"):
        open_destination("/proc/board", None).probe()


def test_bug_the_folder_above_need_not_be_writable(tmp_path):
    place = open_destination(str(tmp_path / "board"), None)
    place.probe()
    assert place.replace("versions.json", file("versions.json"), None)
    assert [path.name for path in tmp_path.iterdir()] == ["board"]
    assert sorted(path.name for path in (tmp_path / "board").iterdir()) == [".cellgauge-publish.lock", "versions.json"]
