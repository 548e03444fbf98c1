"""A file at an https URL arrives whole and verified, or not at all, however the server behaves."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import sys
from contextlib import closing

import pytest

from cellgauge.data.fetch import FetchError, Progress

CHUNK = 1 << 16


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def test_a_file_is_kept_under_its_digest_and_never_asked_for_again(fetch, server, data) -> None:
    url = server.serve(data)
    path = fetch(url, data)
    assert path.read_bytes() == data
    assert path.relative_to(fetch.store.folder).as_posix() == f"files/{path.name[:2]}/{digest(data)[7:]}"
    assert fetch(url, data) == path
    assert len(server.log) == 1
    assert fetch.left == [path]


def test_the_bytes_are_asked_for_and_kept_as_they_are(fetch, server) -> None:
    zipped = gzip.compress(b"matrix" * 1000)
    path = fetch(server.serve(zipped, headers={"Content-Encoding": "gzip"}), zipped)
    assert path.read_bytes() == zipped
    assert server.log[0].headers["accept-encoding"] == "identity"


def test_a_dropped_connection_goes_on_where_it_broke(fetch, server, data) -> None:
    path = fetch(server.serve(data, cuts=[300_000, 250_000]), data)
    assert path.read_bytes() == data
    starts = [int(one.range[6:-1]) for one in server.log[1:]]
    assert 0 < starts[0] <= 300_000 < starts[1] <= 550_000
    assert [one.headers["if-range"] for one in server.log[1:]] == ['"v1"', '"v1"']
    assert "trying again" in fetch.notes


def test_progress_ends_with_all_bytes_and_the_digest(fetch, server, data) -> None:
    url = server.serve(data, cuts=[300_000])
    fetch(url, data)
    arrived = [one.done for one in fetch.reports]
    assert arrived == sorted(arrived)
    assert fetch.reports[-1] == Progress(url, "done", len(data), len(data), sha256=digest(data))


def test_a_changed_file_is_noticed_and_fetched_from_the_start(fetch, server, data) -> None:
    new = bytes(reversed(data))

    def replace(served) -> None:
        if len(server.log) == 2:
            served.data, served.etag = new, '"v2"'

    path = fetch(server.serve(data, cuts=[300_000], before=replace), new)
    assert path.read_bytes() == new
    assert server.log[1].sent == len(new)


def test_a_server_that_ignores_if_range_cannot_mix_two_files(fetch, server, data) -> None:
    def replace(served) -> None:
        if len(server.log) == 2:
            served.data, served.etag = bytes(reversed(data)), '"v2"'

    path = fetch(server.serve(data, cuts=[300_000], conditions=False, before=replace))
    assert path.read_bytes() == bytes(reversed(data))
    assert "the source changed" in fetch.notes


def test_a_file_that_changed_its_length_is_noticed_without_etags(fetch, server, data) -> None:
    longer = data + b"more"

    def replace(served) -> None:
        if len(server.log) == 2:
            served.data = longer

    path = fetch(server.serve(data, etag=None, cuts=[300_000], before=replace), longer)
    assert path.read_bytes() == longer


def test_a_server_that_gives_no_parts_is_asked_for_all_again(fetch, server, data) -> None:
    path = fetch(server.serve(data, ranges=False, cuts=[300_000]), data)
    assert path.read_bytes() == data
    assert [one.sent for one in server.log] == [300_000, len(data)]


def test_a_server_that_always_breaks_at_one_place_is_given_up(fetch, server, data) -> None:
    url = server.serve(data, ranges=False, cuts=[300_000] * 50)
    with pytest.raises(FetchError, match="the connection broke"):
        fetch(url, data)
    assert len(server.log) == 1 + fetch.patience.retries
    assert fetch.store.blobs() == []


def test_tries_are_counted_anew_after_each_bit_of_progress(fetch, server, data) -> None:
    drops = len(data) // CHUNK
    assert drops > fetch.patience.retries
    path = fetch(server.serve(data, cuts=[CHUNK + 100] * drops), data)
    assert path.read_bytes() == data


@pytest.mark.parametrize("etag", [None, 'W/"v1"'])
def test_without_a_strong_etag_the_digest_answers_for_the_joined_parts(fetch, server, data, etag) -> None:
    path = fetch(server.serve(data, etag=etag, cuts=[300_000]), data)
    assert path.read_bytes() == data
    assert "if-range" not in server.log[1].headers
    assert server.log[1].sent < len(data)


@pytest.mark.parametrize("etag", [None, 'W/"v1"'])
def test_parts_that_nothing_answers_for_are_never_joined(fetch, server, data, etag) -> None:
    path = fetch(server.serve(data, etag=etag, cuts=[300_000]))
    assert path.read_bytes() == data
    assert server.log[1].range is None


def test_parts_that_do_not_fit_are_thrown_away_and_all_is_fetched_once_more(fetch, server, data) -> None:
    """Same length, no ETag: only the digest can tell that the file was replaced between the parts."""
    new = bytes(reversed(data))

    def replace(served) -> None:
        if len(server.log) == 2:
            served.data = new

    path = fetch(server.serve(data, etag=None, cuts=[300_000], before=replace), new)
    assert path.read_bytes() == new
    assert [one.range is None for one in server.log] == [True, False, True]


@pytest.mark.parametrize(
    "given", ["bytes 0-700000/700001", "bytes 300000-1/2", "bytes 300000-/9", "items 300000-700000/700001", ""]
)
def test_a_part_that_was_not_asked_for_is_not_taken(fetch, server, data, given) -> None:
    def mislabel(served) -> None:
        served.headers = {"Content-Range": given} if len(server.log) == 2 else {}

    assert fetch(server.serve(data, cuts=[300_000], before=mislabel), data).read_bytes() == data
    assert server.log[2].range is None


def test_parts_that_are_shorter_than_asked_for_are_put_together(fetch, server, data) -> None:
    assert fetch(server.serve(data, cuts=[300_000], longest_part=150_000), data).read_bytes() == data
    assert [one.range for one in server.log[1:]] == [f"bytes={at}-" for at in (300_000, 450_000, 600_000)]


def test_only_what_the_bytes_came_with_is_believed(fetch, server, data) -> None:
    """The first answer breaks before its first byte; what it said about the file does not hold for the next."""
    new = bytes(reversed(data))[1:]

    def replace(served) -> None:
        if len(server.log) == 2:
            served.data, served.etag = new, '"v2"'

    assert fetch(server.serve(data, cuts=[0, 300_000], before=replace), new).read_bytes() == new
    assert server.log[2].headers["if-range"] == '"v2"'


def test_a_server_that_goes_away_in_the_middle_is_waited_for(fetch, server, data) -> None:
    """More patiently than one that was never there."""
    with closing(type(server)()) as leaving:
        url = leaving.serve(data, cuts=[300_000], before=lambda _: leaving.server.socket.close())
        with pytest.raises(FetchError, match=r"Connection refused.*tried 5 times\. 300,000 bytes have arrived"):
            fetch(url, data)


def test_a_part_of_an_empty_rest_starts_over(fetch, server, data) -> None:
    """The source shrank to less than what has arrived: 416."""

    def shrink(served) -> None:
        if len(server.log) == 2:
            served.data = data[:1000]
            served.conditions = False

    path = fetch(server.serve(data, cuts=[300_000], before=shrink), data[:1000])
    assert path.read_bytes() == data[:1000]
    assert [one.range is None for one in server.log] == [True, False, True]


@pytest.mark.parametrize("how", [{"chunked": True}, {"says_length": False}])
def test_a_length_that_is_not_told_does_not_matter_to_a_pinned_file(fetch, server, data, how) -> None:
    path = fetch(server.serve(data, cuts=[300_000], **how), data)
    assert path.read_bytes() == data


def test_a_file_that_may_have_been_cut_short_is_not_taken_for_whole(fetch, server, data) -> None:
    url = server.serve(data, says_length=False, cuts=[300_000])
    with pytest.raises(FetchError, match="does not say how long the file is"):
        fetch(url)
    assert fetch.left == []


def test_a_size_on_the_card_tells_a_file_that_was_cut_short(fetch, server, data) -> None:
    url = server.serve(data, says_length=False, cuts=[300_000])
    assert fetch(url, size=len(data)).read_bytes() == data
    assert "the connection ended after 300,000 of 700,001 bytes" in fetch.notes


def test_a_chunked_file_says_where_it_ends(fetch, server, data) -> None:
    path = fetch(server.serve(data, chunked=True, cuts=[300_000]))
    assert path.read_bytes() == data


@pytest.mark.parametrize("how", [{}, {"chunked": True}])
def test_another_size_than_the_cards_is_told_at_once(fetch, server, data, how) -> None:
    url = server.serve(data, **how)
    with pytest.raises(
        FetchError, match=r"the card expects 9 bytes, the source has 700,001|expected 9 bytes, but more"
    ):
        fetch(url, data, size=9)
    with pytest.raises(FetchError, match=r"the card expects 999,999 bytes, the source has 700,001"):
        fetch(url, data, size=999_999)
    assert fetch.store.blobs() == []
    assert len(server.log) == 2


def test_an_endless_answer_is_stopped_at_the_cards_size(fetch, server, data) -> None:
    url = server.serve(data, says_length=False, pause=0.001, piece=1000)
    with pytest.raises(FetchError, match="expected 1,000 bytes, but more arrived"):
        fetch(url, data[:1000], size=1000)
    assert fetch.left == []


def test_a_wrong_digest_names_everything_and_keeps_nothing(fetch, server, data) -> None:
    url = server.serve(data)
    with pytest.raises(FetchError) as caught:
        fetch(url, b"other", size=len(data))
    message = str(caught.value)
    for said in (url, digest(data), digest(b"other"), "700,001 bytes"):
        assert said in message
    assert fetch.left == []
    assert len(server.log) == 1, "one answer, no doubt: asking again would give the same"


def test_a_login_page_is_called_one(fetch, server) -> None:
    url = server.serve(b"<html>Log in</html>", headers={"Content-Type": "text/html; charset=utf-8"})
    with pytest.raises(FetchError, match="a web page, perhaps to log in"):
        fetch(url, b"other")


@pytest.mark.parametrize(("status", "said"), [(404, "there is no such file"), (410, "no such file"), (403, "refuses")])
def test_what_will_not_change_is_asked_once(fetch, server, status, said) -> None:
    url = server.serve(b"", instead=[(status, {}, b"")] * 9)
    with pytest.raises(FetchError, match=said) as caught:
        fetch(url, b"x")
    assert url in str(caught.value)
    assert str(status) in str(caught.value)
    assert len(server.log) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_a_busy_server_is_asked_again(fetch, server, data, status) -> None:
    path = fetch(server.serve(data, instead=[(status, {"Retry-After": "0"}, b"busy")] * 2), data)
    assert path.read_bytes() == data
    assert len(server.log) == 3
    assert str(status) in fetch.notes


def test_a_server_that_stays_broken_is_given_up(fetch, server) -> None:
    url = server.serve(b"", instead=[(500, {}, b"")] * 99)
    with pytest.raises(FetchError, match=r"500 .*tried 5 times"):
        fetch(url, b"x")
    assert len(server.log) == 5


def test_nobody_there_is_said_after_few_tries(fetch, nowhere) -> None:
    with pytest.raises(FetchError, match=r"no answer \(Connection refused\); tried 2 times"):
        fetch(f"{nowhere}/x", b"x")
    assert fetch.left == []


def test_a_host_without_an_address_is_named(fetch) -> None:
    with pytest.raises(FetchError, match=r"no-such-host\.invalid"):
        fetch("http://no-such-host.invalid/x", b"x")


def test_a_slow_server_is_waited_for(fetch, server, data) -> None:
    path = fetch(server.serve(data[:60_000], pause=0.02, piece=4000), data[:60_000])
    assert path.read_bytes() == data[:60_000]
    assert len(server.log) == 1


def test_a_server_that_falls_silent_is_asked_again_for_the_rest(fetch, server, data) -> None:
    fetch.patience = dataclasses.replace(fetch.patience, read=0.2)

    def hesitate(served) -> None:
        served.pause, served.piece = (2, 300_000) if len(server.log) == 1 else (0, 10_000)

    path = fetch(server.serve(data, before=hesitate), data)
    assert path.read_bytes() == data
    assert 0 < int(server.log[1].range[6:-1]) <= 300_000


def test_a_redirect_is_followed(fetch, server, data) -> None:
    there = server.serve(data, "/there")
    url = server.serve(b"", instead=[(302, {"Location": there}, b"")])
    assert fetch(url, data).read_bytes() == data


def test_a_proxy_is_honoured(fetch, server, data, monkeypatch) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    server.serve(data, "http://elsewhere.example/data.h5ad")
    assert fetch("http://elsewhere.example/data.h5ad", data).read_bytes() == data


def test_two_urls_with_one_basename_are_two_files(fetch, server, data) -> None:
    first = fetch(server.serve(data, "/a/matrix.h5ad"), data)
    second = fetch(server.serve(data[1:], "/b/matrix.h5ad"), data[1:])
    assert (first.read_bytes(), second.read_bytes()) == (data, data[1:])


@pytest.mark.parametrize("second", ["of other bytes", "of the same bytes"])
def test_broken_downloads_of_one_basename_do_not_meet(fetch, server, data, second) -> None:
    files = {"/a/m": data, "/b/m": data if second == "of the same bytes" else data[1:]}
    patient, fetch.patience = fetch.patience, dataclasses.replace(fetch.patience, retries=0)
    for path, expected in files.items():
        with pytest.raises(FetchError, match="the next run goes on from there"):
            fetch(server.serve(expected, path, cuts=[300_000]), expected)
    fetch.patience = patient
    assert fetch(server.url + "/a/m", data).read_bytes() == data
    assert server.log[-1].range == "bytes=300000-"


def test_what_somebody_cleared_away_during_a_download_is_fetched_again(fetch, server, data) -> None:
    def clear(_) -> None:
        if len(server.log) == 2:
            for path in fetch.store.partials():
                path.unlink()

    path = fetch(server.serve(data, cuts=[300_000], before=clear), data)
    assert path.read_bytes() == data
    assert "was changed by somebody else" in fetch.notes


def test_an_unpinned_file_is_remembered_by_its_url(fetch, server, data) -> None:
    url = server.serve(data)
    path = fetch(url)
    assert fetch.reports[-1].sha256 == fetch.store.digest_of(path) == digest(data)
    assert fetch(url) == path
    assert fetch(url, data) == path, "pinned by now, with the digest that was found"
    assert len(server.log) == 1


def test_an_unpinned_file_that_is_gone_is_fetched_again(fetch, server, data) -> None:
    url = server.serve(data)
    fetch.store.remove(fetch.store.digest_of(fetch(url)))
    assert fetch(url).read_bytes() == data
    assert len(server.log) == 2


def test_an_etag_says_which_bytes_an_unpinned_card_means(fetch, server, data) -> None:
    url = server.serve(data)
    with pytest.raises(FetchError, match=r'the card gives the ETag v0, the source "v1"'):
        fetch(url, etag="v0")
    assert fetch.left == []
    fetch(url, etag="v1")
    server.files["/data.h5ad"].etag = '"v2"'
    server.files["/data.h5ad"].data = data[1:]
    assert fetch(url, etag="v2").read_bytes() == data[1:]


def test_a_digest_outweighs_the_etag(fetch, server, data) -> None:
    assert fetch(server.serve(data), data, etag="v0").read_bytes() == data
    assert "the sha256 decides" in fetch.notes


def test_an_empty_file_is_a_file(fetch, server) -> None:
    assert fetch(server.serve(b""), b"", size=0).read_bytes() == b""


def test_what_an_earlier_run_left_is_not_fetched_again(fetch, server, data) -> None:
    url = server.serve(data, cuts=[300_000])
    patient, fetch.patience = fetch.patience, dataclasses.replace(fetch.patience, retries=0)
    with pytest.raises(FetchError):
        fetch(url, data)
    (part,) = [path for path in fetch.store.partials() if path.suffix == ".part"]
    kept, fetch.patience = part.stat().st_size, patient
    assert fetch(url, data).read_bytes() == data
    assert server.log[1].range == f"bytes={kept}-"
    assert server.log[1].sent == len(data) - kept


@pytest.mark.parametrize("damage", ["zeros", "longer", "no note", "note of another URL", "broken note"])
def test_what_a_power_cut_left_is_not_trusted(fetch, server, data, damage) -> None:
    url = server.serve(data, cuts=[300_000])
    patient, fetch.patience = fetch.patience, dataclasses.replace(fetch.patience, retries=0)
    with pytest.raises(FetchError):
        fetch(url, data)
    note, part = sorted(fetch.store.partials(), key=lambda path: path.suffix)
    kept = part.read_bytes()
    if damage in ("zeros", "longer"):
        part.write_bytes(bytes(len(kept)) if damage == "zeros" else bytes(len(data) + 1))
    elif damage == "no note":
        note.unlink()
    else:
        note.write_text(json.dumps({"url": "http://elsewhere"}) if damage == "note of another URL" else "{")
    fetch.patience = patient
    assert fetch(url, data).read_bytes() == data
    assert fetch.left == [fetch.store.find(digest(data))]
    assert (server.log[1].range is None) == (damage != "zeros"), "zeros show only in the digest"


def test_an_unpinned_file_is_never_joined_with_what_lies_on_the_disk(fetch, server, data) -> None:
    url = server.serve(data, cuts=[300_000])
    patient, fetch.patience = fetch.patience, dataclasses.replace(fetch.patience, retries=0)
    with pytest.raises(FetchError):
        fetch(url)
    fetch.patience = patient
    assert fetch(url).read_bytes() == data
    assert server.log[1].range is None


def test_without_requests_the_extra_is_named(fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "requests", None)
    with pytest.raises(FetchError, match=r"pip install 'cellgauge\[run\]'"):
        fetch("https://example.org/x", b"x")
