"""A file in an object store: anonymous first, then with whatever credentials there are; resumed and verified."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys

import pytest
import requests

from cellgauge.data.fetch import FetchError


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def signed(heads: list[str]) -> list[bool]:
    return ["\r\nauthorization: " in head.lower() for head in heads]


def header(head: str, name: str) -> str | None:
    lines = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:])
    return lines.get(name)


def test_a_public_file_needs_no_credentials(fetch, bucket, data) -> None:
    path = fetch(bucket.put("a/b.h5ad", data, public=True), data, size=len(data))
    assert path.read_bytes() == data
    assert signed(bucket.wire.heads) == [False]
    assert bucket.wire.gets == bucket.wire.heads, "an anonymous HEAD may be refused where GET is allowed"
    assert fetch.left == [path]


def test_credentials_are_not_used_where_none_are_needed(fetch, bucket, data, monkeypatch) -> None:
    bucket.sign(monkeypatch)
    fetch(bucket.put("x", data, public=True), data)
    assert signed(bucket.wire.heads) == [False]


def test_a_private_file_is_asked_for_with_the_credentials_there_are(fetch, bucket, data, monkeypatch) -> None:
    bucket.sign(monkeypatch)
    assert fetch(bucket.put("x", data, public=False), data).read_bytes() == data
    assert signed(bucket.wire.heads) == [False, True]


def test_refused_without_credentials_says_so(fetch, bucket, data) -> None:
    url = bucket.put("x", data, public=False)
    with pytest.raises(FetchError, match=r"refuses anonymous access .* no AWS credentials were found") as caught:
        fetch(url, data)
    assert url in str(caught.value)
    assert bucket.wire.url in str(caught.value)
    assert len(bucket.wire.heads) == 1
    assert fetch.left == []


def test_refused_with_credentials_says_where_they_are_from(fetch, bucket, data, monkeypatch) -> None:
    bucket.sign(monkeypatch)
    url = bucket.put("x", data, public=True)
    what = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket.name}/*"}
    bucket.owner.put_bucket_policy(
        Bucket=bucket.name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [what]})
    )
    with pytest.raises(FetchError, match=r"refuses access \(.*403|AccessDenied.*with those from env") as caught:
        fetch(url, data)
    assert "from env" in str(caught.value)
    assert bucket.keys[1] not in str(caught.value)
    assert signed(bucket.wire.heads) == [False, True]


@pytest.fixture
def checking_signatures(moto_endpoint):
    """Let moto check keys and signatures, which it does not do by default."""
    requests.post(f"{moto_endpoint}/moto-api/reset-auth", data=b"0", timeout=5)
    yield
    requests.post(f"{moto_endpoint}/moto-api/reset-auth", data=b"inf", timeout=5)


def test_keys_that_the_store_does_not_know_are_reported(fetch, bucket, data, monkeypatch, request) -> None:
    url = bucket.put("x", data, public=False)
    if not bucket.real:
        request.getfixturevalue("checking_signatures")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobodys-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-right-one")
    with pytest.raises(FetchError, match=r"InvalidAccessKeyId.*with those from env"):
        fetch(url, data)


def test_a_profile_that_does_not_exist_is_named(fetch, bucket, data, monkeypatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "somebody")
    with pytest.raises(FetchError, match="somebody"):
        fetch(bucket.put("x", data, public=False), data)


def test_a_missing_key_is_named(fetch, bucket, monkeypatch) -> None:
    bucket.sign(monkeypatch)
    with pytest.raises(FetchError, match=rf"s3://{bucket.name}/no/such: the bucket .* has no object no/such"):
        fetch(f"s3://{bucket.name}/no/such", b"x")
    assert fetch.left == []


def test_a_missing_bucket_is_named(fetch, bucket, monkeypatch) -> None:
    bucket.sign(monkeypatch)
    with pytest.raises(FetchError, match=r"has no bucket cellgauge-nowhere.* AWS_ENDPOINT_URL"):
        fetch("s3://cellgauge-nowhere/x", b"x")


def test_a_dropped_connection_goes_on_where_it_broke(fetch, bucket, data) -> None:
    url = bucket.put("x", data, public=True)
    bucket.wire.cuts = [300_000, 200_000]
    assert fetch(url, data).read_bytes() == data
    first, *others = bucket.wire.gets
    assert header(first, "range") is None
    starts = [int(header(head, "range")[6:-1]) for head in others]
    assert 200_000 < starts[0] < 300_000 < starts[1] < 500_000
    assert {header(head, "if-match") for head in others} == {f'"{hashlib.md5(data).hexdigest()}"'}


def test_a_private_file_is_resumed_too(fetch, bucket, data, monkeypatch) -> None:
    bucket.sign(monkeypatch)
    url = bucket.put("x", data, public=False)
    bucket.wire.cuts = [None, 300_000]
    assert fetch(url, data).read_bytes() == data
    assert signed(bucket.wire.gets) == [False, True, True]


def test_what_an_earlier_run_left_is_not_fetched_again(fetch, bucket, data) -> None:
    url = bucket.put("x", data, public=True)
    bucket.wire.cuts = [300_000]
    patient, fetch.patience = fetch.patience, dataclasses.replace(fetch.patience, retries=0)
    with pytest.raises(FetchError, match="the next run goes on from there"):
        fetch(url, data)
    (part,) = [path for path in fetch.store.partials() if path.suffix == ".part"]
    kept, fetch.patience = part.stat().st_size, patient
    assert fetch(url, data).read_bytes() == data
    assert [header(head, "range") for head in bucket.wire.gets] == [None, f"bytes={kept}-"]


def test_an_object_that_was_replaced_is_fetched_from_the_start(fetch, bucket, data) -> None:
    new = bytes(reversed(data))
    url = bucket.put("x", data, public=True)
    bucket.wire.cuts = [300_000]
    patient, fetch.patience = fetch.patience, dataclasses.replace(fetch.patience, retries=0)
    with pytest.raises(FetchError):
        fetch(url, new)
    fetch.patience = patient
    bucket.put("x", new, public=True)
    assert fetch(url, new).read_bytes() == new
    assert [header(head, "range") is None for head in bucket.wire.gets] == [True, False, True]


def test_a_multipart_object_is_resumed_by_its_etag(fetch, bucket, data) -> None:
    """Its ETag is no digest of the content, and is not taken for one."""
    big = data * 8  # parts have at least 5 MiB
    made = bucket.owner.create_multipart_upload(Bucket=bucket.name, Key="big", ACL="public-read")
    where = {"Bucket": bucket.name, "Key": "big", "UploadId": made["UploadId"]}
    cut = 5 << 20
    parts = []
    for number, part in enumerate((big[:cut], big[cut:]), 1):
        tag = bucket.owner.upload_part(**where, PartNumber=number, Body=part)["ETag"]
        parts.append({"PartNumber": number, "ETag": tag})
    bucket.owner.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    bucket.wire.cuts = [2_000_000]
    assert fetch(f"s3://{bucket.name}/big", big).read_bytes() == big
    assert header(bucket.wire.gets[1], "if-match").endswith('-2"')


def test_a_slow_store_is_waited_for(fetch, bucket, data) -> None:
    url = bucket.put("x", data, public=True)
    bucket.wire.pause = 0.01
    assert fetch(url, data).read_bytes() == data
    assert len(bucket.wire.gets) == 1


def test_a_wrong_digest_names_everything_and_keeps_nothing(fetch, bucket, data) -> None:
    url = bucket.put("x", data, public=True)
    with pytest.raises(FetchError) as caught:
        fetch(url, b"other", size=len(data))
    for said in (url, digest(data), digest(b"other"), "700,001 bytes"):
        assert said in str(caught.value)
    assert fetch.left == []


def test_another_size_than_the_cards_is_told_before_the_bytes(fetch, bucket, data) -> None:
    url = bucket.put("x", data, public=True)
    with pytest.raises(FetchError, match="the card expects 9 bytes, the source has 700,001"):
        fetch(url, data, size=9)
    assert fetch.left == []


def test_an_unpinned_object_is_remembered(fetch, bucket, data) -> None:
    url = bucket.put("x", data, public=True)
    path = fetch(url)
    assert fetch(url) == path
    assert fetch.reports[-1].sha256 == digest(data)
    assert len(bucket.wire.gets) == 1


def test_a_key_is_taken_as_it_is_written(fetch, bucket, data) -> None:
    key = "a%20b/c+d?e=f#g/é"
    assert fetch(bucket.put(key, data, public=True), data).read_bytes() == data


def test_an_empty_object_is_a_file(fetch, bucket) -> None:
    assert fetch(bucket.put("empty", b"", public=True), b"", size=0).read_bytes() == b""


# What no store does on demand: an HTTP server that answers as one would.


@pytest.fixture
def endpoint(server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
    return server


def refusal(code: str, **more: str) -> bytes:
    inside = "".join(f"<{name}>{text}</{name}>" for name, text in {"Code": code, "Message": "No.", **more}.items())
    return f'<?xml version="1.0" encoding="UTF-8"?><Error>{inside}</Error>'.encode()


def test_a_busy_store_is_asked_again(fetch, endpoint, data) -> None:
    endpoint.serve(data, "/bucket/x", instead=[(503, {}, refusal("SlowDown")), (500, {}, refusal("InternalError"))])
    assert fetch("s3://bucket/x", data).read_bytes() == data
    assert "SlowDown" in fetch.notes
    assert len(endpoint.log) == 3


def test_a_store_that_stays_broken_is_given_up(fetch, endpoint) -> None:
    endpoint.serve(b"", "/bucket/x", instead=[(500, {}, b"<html>oh</html>")] * 99)
    with pytest.raises(FetchError, match=r"500.*tried 5 times"):
        fetch("s3://bucket/x", b"x")
    assert len(endpoint.log) == 5


@pytest.mark.parametrize(
    ("status", "code", "where"),
    [
        (301, "PermanentRedirect", {"x-amz-bucket-region": "eu-west-3"}),
        (400, "AuthorizationHeaderMalformed", {"x-amz-bucket-region": "eu-west-3"}),
        (301, "PermanentRedirect", {}),
    ],
)
def test_a_bucket_in_another_region_is_reported(fetch, endpoint, status, code, where) -> None:
    endpoint.serve(b"", "/bucket/x", instead=[(status, where, refusal(code))] * 9)
    advice = "Set AWS_DEFAULT_REGION to eu-west-3" if where else "Set AWS_DEFAULT_REGION to the region of the bucket"
    with pytest.raises(FetchError, match=f"bucket bucket is in another region.*{code}.*{advice}"):
        fetch("s3://bucket/x", b"x")


def test_an_archived_object_is_reported_by_its_code(fetch, endpoint) -> None:
    endpoint.serve(b"", "/bucket/x", instead=[(403, {}, refusal("InvalidObjectState"))])
    with pytest.raises(FetchError, match="InvalidObjectState"):
        fetch("s3://bucket/x", b"x")


def test_a_store_that_ignores_ranges_is_asked_for_all_again(fetch, endpoint, data) -> None:
    endpoint.serve(data, "/bucket/x", ranges=False, cuts=[300_000])
    assert fetch("s3://bucket/x", data).read_bytes() == data
    assert [one.sent for one in endpoint.log] == [300_000, len(data)]


def test_an_object_that_shrank_is_fetched_from_the_start(fetch, endpoint, data) -> None:
    def shrink(served) -> None:
        if len(endpoint.log) == 2:
            served.data = data[:1000]

    endpoint.serve(data, "/bucket/x", cuts=[300_000], before=shrink)
    assert fetch("s3://bucket/x", data[:1000]).read_bytes() == data[:1000]
    assert [one.range is None for one in endpoint.log] == [True, False, True]


def test_the_bytes_are_asked_for_as_they_are(fetch, endpoint, data) -> None:
    endpoint.serve(data, "/bucket/x", headers={"Content-Encoding": "gzip"})
    assert fetch("s3://bucket/x", data).read_bytes() == data
    assert endpoint.log[0].headers["accept-encoding"] == "identity"


def test_something_that_is_no_store_is_called_so(fetch, endpoint) -> None:
    endpoint.serve(b"", "/bucket/x", instead=[(404, {"Content-Type": "text/html"}, b"<html>Not here</html>")])
    with pytest.raises(FetchError, match=f"s3://bucket/x: .*{endpoint.url}"):
        fetch("s3://bucket/x", b"x")


def test_an_endpoint_that_cannot_be_reached_is_named(fetch, nowhere, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", nowhere)
    with pytest.raises(FetchError, match=rf"no answer from {nowhere} \(Connection refused\); tried 2 times"):
        fetch("s3://bucket/x", b"x")


def test_an_endpoint_that_is_no_url_is_named(fetch, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "not a url")
    with pytest.raises(FetchError, match="not a url"):
        fetch("s3://bucket/x", b"x")


def test_a_bucket_name_that_cannot_be_is_refused(fetch) -> None:
    with pytest.raises(FetchError, match=r"cannot be asked for.*Invalid bucket name"):
        fetch(f"s3://{'a' * 300}/x", b"x")


def test_without_boto3_the_extra_is_named(fetch, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(FetchError, match=r"pip install 'cellgauge\[run\]'"):
        fetch("s3://bucket/x", b"x")
