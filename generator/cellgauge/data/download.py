"""Downloading one file: one loop that resumes and verifies, whatever protocol the bytes come by."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, NoReturn

from cellgauge.cards.dataset import SourceFile
from cellgauge.data.remote import (
    SECONDS_BETWEEN_REPORTS,
    FetchError,
    Head,
    Interrupted,
    Patience,
    Progress,
    Remote,
    Report,
)
from cellgauge.data.store import Partial


@dataclass(frozen=True)
class Received:
    """A whole file in ``Partial.data``, with the digest that was found."""

    sha256: str
    size: int
    etag: str | None


def download(asked: SourceFile, remote: Remote, partial: Partial, report: Report, patience: Patience) -> Received:
    """Download one file to ``partial.data``. The caller holds the file's lock.

    What an earlier process left is gone on with only if the card gives a digest: after a power cut the
    bytes on the disk may not be those that arrived, and nothing but the digest can tell.

    Raises
    ------
    FetchError
        When the source does not have the file, refuses it or stays silent, or the bytes are not those
        that the card means. After a wrong digest nothing is kept; after a breakdown what has arrived
        is, for the next run to go on from.
    """
    return _Download(asked, remote, partial, report, patience).run()


def need_space(folder: Path, n_bytes: int, place: str) -> None:
    """Raise ``FetchError`` when a disk has less room than that."""
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise FetchError(
            f"{place}: {n_bytes:,} bytes are still to come, but {folder} has {free:,} bytes free. "
            "Make room, or set CELLGAUGE_CACHE to a folder on a larger disk."
        )


class _Download:
    def __init__(self, asked: SourceFile, remote: Remote, partial: Partial, report: Report, patience: Patience) -> None:
        self.asked, self.remote, self.partial, self.report, self.patience = asked, remote, partial, report, patience
        self.url = asked.place
        self.furthest = self.tries = 0
        self.reached = self.began_again = False
        self.reported = 0.0
        self._from_zero()

    def _from_zero(self) -> None:
        self.done, self.hash = 0, hashlib.sha256()
        self.total: int | None = None
        self.etag: str | None = None
        self.media_type = ""
        self.doubtful = False
        """Whether a second download may come out better: joined from two answers, or perhaps cut short."""

    def run(self) -> Received:
        self._take_up()
        while True:
            try:
                if not self.done or self.done != self.total:
                    self._receive()
            except Interrupted as why:
                self._wait(why)
                continue
            found = f"sha256:{self.hash.hexdigest()}"
            if self.asked.sha256 in (None, found):
                return Received(found, self.done, self.etag)
            if not self.doubtful or self.began_again:
                self._refuse(found)
            self._from_zero()
            self.began_again = True
            self._tell("retrying", "the digest is wrong after resuming: starting from zero")

    def _take_up(self) -> None:
        """Go on from what a killed process left, if only the digest has to say whether it is good."""
        noted = self.partial.read_note()
        if self.asked.sha256 is None or noted.get("url") != self.url or not self.partial.data.is_file():
            return
        total, etag = noted.get("total"), noted.get("etag")
        size = self.partial.data.stat().st_size
        if size == 0 or (isinstance(total, int) and size > total):
            return
        self.total = total if isinstance(total, int) else None
        self.etag = etag if isinstance(etag, str) else None
        with self.partial.data.open("rb") as file:
            while block := file.read(1 << 20):
                self.hash.update(block)
                self.done += len(block)
                self._tell_now_and_then("resuming")
        self.furthest, self.doubtful = self.done, True
        self._tell("resuming")

    def _receive(self) -> None:
        if self.done and self.etag is None and self.asked.sha256 is None:
            self._from_zero()  # nothing would tell whether both parts are of one file
        with closing(self.remote.open(self.done, self.etag)) as answer:
            self._agree(answer.head)
            with self.partial.data.open("ab" if self.done else "wb") as file:
                if file.tell() != self.done:
                    self._from_zero()
                    raise Interrupted(f"{self.partial.data} was changed by somebody else")
                if not self.done:
                    self.partial.write_note({"url": self.url, "etag": self.etag, "total": self.total})
                self._write(answer.chunks, file)
        self._check_end(answer.head)

    def _agree(self, head: Head) -> None:
        """Compare what a source says with the card, and with what it said before."""
        if self.done and head.start == 0:
            self._from_zero()
            self._tell("retrying", "the source changed, or does not give parts: starting from zero")
        elif self.done:
            if _differ(self.etag, head.etag) or _differ(self.total, head.total):
                self._from_zero()
                raise Interrupted("the source changed during the download")
            self.doubtful = True
        if self.done == 0:
            self.total, self.etag = head.total, head.etag
        elif self.total is None:
            self.total = head.total
        self.media_type = head.media_type
        self._check_card(head)
        if self.total is None and not head.ends_surely and self.asked.sha256 is None and self.asked.size is None:
            raise FetchError(
                f"{self.url}: the server does not say how long the file is, and the card gives neither sha256 nor "
                "size, so that a download that breaks off would pass for the file. Write one of them into the card."
            )
        self.partial.data.parent.mkdir(parents=True, exist_ok=True)
        expected = self.total if self.total is not None else self.asked.size
        need_space(self.partial.data.parent, max((expected or 0) - self.done, 0), self.url)

    def _check_card(self, head: Head) -> None:
        if _differ(self.asked.size, self.total):
            raise FetchError(
                f"{self.url}: the card expects {self.asked.size:,} bytes, the source has {self.total:,}"
                f"{self._perhaps_a_page()}. If the source is right, write its size and sha256 into the card."
            )
        found = head.etag or head.weak_etag
        if self.asked.etag and found and _bare(self.asked.etag) != _bare(found):
            said = f"the card gives the ETag {self.asked.etag}, the source {found}"
            if self.asked.sha256 is None:
                raise FetchError(
                    f"{self.url}: {said}. Without a sha256 the ETag says which bytes are meant: "
                    "look at what has changed at the source, and write its sha256 and ETag into the card."
                )
            self._tell("downloading", f"{said}; the sha256 decides")

    def _write(self, chunks: Iterator[bytes], file: BinaryIO) -> None:
        most = self.total if self.total is not None else self.asked.size
        for chunk in chunks:
            file.write(chunk)
            self.hash.update(chunk)
            self.done += len(chunk)
            if most is not None and self.done > most:
                self.partial.remove()
                raise FetchError(f"{self.url}: expected {most:,} bytes, but more arrived. Nothing was kept.")
            self._tell_now_and_then("downloading")

    def _check_end(self, head: Head) -> None:
        if self.total is None and head.ends_surely and head.start == 0:
            self.total = self.done
            self._check_card(head)
        expected = self.total if self.total is not None else self.asked.size
        if expected is not None and self.done < expected:
            raise Interrupted(f"the connection ended after {self.done:,} of {expected:,} bytes")
        self.doubtful = self.doubtful or (expected is None and not head.ends_surely)
        self._tell("downloading")

    def _wait(self, why: Interrupted) -> None:
        if self.done > self.furthest:  # only what is new counts: a server may drop each answer at one place
            self.furthest, self.tries = self.done, 0
        self.tries += 1
        self.reached = self.reached or why.reached
        allowed = self.patience.retries if self.reached else self.patience.retries_unreached
        if self.tries > allowed:
            kept = f" {self.done:,} bytes have arrived and are kept: the next run goes on from there." * bool(
                self.done and self.asked.sha256
            )
            raise FetchError(f"{self.url}: {why}; tried {self.tries} times.{kept}") from None
        seconds = min(self.patience.first_wait * 2 ** (self.tries - 1), self.patience.longest_wait)
        seconds = max(seconds, min(why.after, self.patience.longest_wait))
        self._tell("retrying", f"{why}; trying again in {seconds:.3g} s")
        time.sleep(seconds)

    def _refuse(self, found: str) -> NoReturn:
        self.partial.remove()
        size = "" if self.asked.size is None else f" of {self.asked.size:,} bytes"
        raise FetchError(
            f"{self.url}: the card expects {self.asked.sha256}{size}, the source gave {found} of {self.done:,} bytes"
            f"{self._perhaps_a_page()}. Nothing was kept. If the file was replaced on purpose, look at what has "
            "changed and write the new digest into the card."
        )

    def _perhaps_a_page(self) -> str:
        return " (a web page, perhaps to log in or to report an error)" if self.media_type == "text/html" else ""

    def _tell_now_and_then(self, stage: Literal["resuming", "downloading"]) -> None:
        if time.monotonic() - self.reported >= SECONDS_BETWEEN_REPORTS:
            self._tell(stage)

    def _tell(self, stage: Literal["resuming", "downloading", "retrying"], note: str = "") -> None:
        self.reported = time.monotonic()
        self.report(Progress(self.url, stage, self.done, self.total, note))


def _differ(one: object, other: object) -> bool:
    return one is not None and other is not None and one != other


def _bare(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')
