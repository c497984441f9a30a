"""The blob store in S3, against moto's server: whole or not there, few requests, and errors by their right names."""

import hashlib
import io
import os
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from cspine import s3
from cspine.blobs import BlobStore
from cspine.errors import Permanent, Refused, ServiceFault, Usage
from cspine.reasons import Reason
from tests.cspine.s3 import SECRET, Server, server

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with server() as made:
        yield made


@pytest.fixture
def store(running: Server) -> Iterator[Server]:
    """Give the server with an empty bucket."""
    yield running
    running.fault = None
    for key in list(running.keys()):
        running.client.delete_object(Bucket=running.bucket, Key=key)


@pytest.fixture
def blobs(store: Server) -> BlobStore:
    return BlobStore(store.url)


def uploads(store: Server) -> list[str]:
    """Return the uploads in parts that were begun and not ended."""
    return [one["Key"] for one in store.client.list_multipart_uploads(Bucket=store.bucket).get("Uploads", ())]


@pytest.mark.parametrize("size", [0, 10, s3.WRITE_BLOCK - 1, s3.WRITE_BLOCK, 2 * s3.WRITE_BLOCK + 7])
def test_a_blob_comes_back_as_it_was(store: Server, blobs: BlobStore, size: int) -> None:
    data = secrets.token_bytes(size)
    stored = blobs.put(io.BytesIO(data))
    assert (stored.sha256, stored.size) == (hashlib.sha256(data).hexdigest(), size)
    assert blobs.get(stored.key) == data
    with blobs.open(stored.key) as file:
        assert file.read(4) == data[:4]
        assert file.seek(0, os.SEEK_END) == size
        file.seek(max(0, size - 5))
        assert file.read() == data[max(0, size - 5) :]
    assert store.keys() == [f"cspine/{stored.key}"]
    assert list(blobs.keys()) == [stored.key]
    blobs.delete(stored.key)
    blobs.delete(stored.key)
    assert not blobs.exists(stored.key)
    assert uploads(store) == []


def test_few_requests_and_no_listing(store: Server, blobs: BlobStore) -> None:
    film = secrets.token_bytes(10 * 2**20)
    with store.counting() as put:
        key = blobs.put(io.BytesIO(film)).key
    assert put == {"PUT": 1}
    with store.counting() as header, blobs.open(key) as file:
        file.read(1000)
        file.seek(0)
        file.read(300_000)
    assert header == {"HEAD": 1, "GET": 1}
    with store.counting() as whole, blobs.open(key) as file:
        file.read(1000)
        assert file.read() == film[1000:]
    assert whole == {"HEAD": 1, "GET": 2}
    with store.counting() as small:
        assert blobs.get(blobs.put_bytes(b"a preview", ".jpg")) == b"a preview"
    assert small == {"PUT": 1, "GET": 1}
    with store.counting() as gone:
        blobs.delete(key)
    assert gone == {"DELETE": 1}
    with store.counting() as missing:
        assert not blobs.exists(key)
    assert missing == {"HEAD": 2}, "one for the blob, one for the bucket"


@pytest.mark.parametrize("size", [1000, s3.WRITE_BLOCK + 1000, 3 * s3.WRITE_BLOCK])
def test_what_breaks_off_leaves_nothing(store: Server, blobs: BlobStore, size: int) -> None:
    with pytest.raises(Refused) as refused:
        blobs.put(io.BytesIO(secrets.token_bytes(size)), limit=size - 1)
    assert refused.value.reason is Reason.TOO_LARGE
    assert (store.keys(), uploads(store)) == ([], [])


def test_a_source_that_fails_leaves_nothing(store: Server, blobs: BlobStore) -> None:
    class Torn(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > s3.WRITE_BLOCK:
                raise OSError("the sender is gone")
            return super().read(size)

    with pytest.raises(Refused) as refused:
        blobs.put(Torn(secrets.token_bytes(2 * s3.WRITE_BLOCK)))
    assert refused.value.reason is Reason.UNREADABLE
    assert (store.keys(), uploads(store)) == ([], [])


def test_a_missing_blob_is_permanent(blobs: BlobStore) -> None:
    blobs.put_bytes(b"another")
    with pytest.raises(Permanent) as missing, blobs.open("aa/gone"):
        pass
    assert missing.value.reason is Reason.BLOB_MISSING
    with pytest.raises(Permanent) as missing:
        blobs.get("aa/gone")
    assert missing.value.reason is Reason.BLOB_MISSING


def test_a_missing_bucket_is_a_fault_of_the_store(store: Server) -> None:
    """Else every study in work would fail for good while somebody mistypes a name."""
    blobs = BlobStore(store.url.replace(f"@{store.bucket}/", "@elsewhere/"))
    for use in (lambda: blobs.get("aa/gone"), lambda: list(blobs.open("aa/gone").__enter__()),
                lambda: blobs.put_bytes(b"x"), lambda: blobs.put(io.BytesIO(b"x"))):  # fmt: skip
        with pytest.raises(ServiceFault) as fault:
            use()
        assert fault.value.reason is Reason.STORAGE_UNAVAILABLE


@pytest.mark.parametrize(("status", "code", "reason"), [
    (403, "AccessDenied", Reason.STORAGE_UNAVAILABLE),
    (403, "QuotaExceeded", Reason.STORAGE_FULL),
    (507, "XMinioStorageFull", Reason.STORAGE_FULL),
    (500, "InternalError", Reason.STORAGE_UNAVAILABLE),
    (503, "SlowDown", Reason.STORAGE_UNAVAILABLE),
])  # fmt: skip
def test_what_the_store_says(store: Server, blobs: BlobStore, status: int, code: str, reason: Reason) -> None:
    key = blobs.put_bytes(b"sound")
    store.fault = status, code
    uses = [lambda: blobs.get(key), lambda: blobs.put(io.BytesIO(b"x")), lambda: blobs.put_bytes(b"x")]
    for use in uses[:1] if status in {500, 503} else uses:  # these are tried again after a while, each time
        with pytest.raises(ServiceFault) as fault:
            use()
        assert fault.value.reason is reason
    store.fault = None
    assert blobs.get(key) == b"sound"


def test_a_store_that_is_away_and_comes_back(store: Server) -> None:
    away = BlobStore(store.url.replace("127.0.0.1%3A", "127.0.0.1%3A1"))  # where nobody listens
    for use in (lambda: away.get("aa/b"), lambda: away.put(io.BytesIO(b"x")), lambda: list(away.keys())):
        with pytest.raises(ServiceFault) as fault:
            use()
        assert fault.value.reason is Reason.STORAGE_UNAVAILABLE


def test_a_fork_has_its_own_connections(blobs: BlobStore) -> None:
    """Prefork workers, and whoever forks in a test: the child neither hangs nor disturbs its parent."""
    key = blobs.put_bytes(b"of the parent")
    end, begin = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            own = blobs.put_bytes(b"of the child")
            os.write(begin, f"{own} {blobs.get(key).decode()}".encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    own, _, read = os.read(end, 1000).decode().partition(" ")
    os.close(end)
    os.close(begin)
    assert read == "of the parent"
    assert blobs.get(own) == b"of the child"


def test_threads_share_one_store(blobs: BlobStore) -> None:
    contents = [secrets.token_bytes(50_000) for _ in range(32)]
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(blobs.put_bytes, contents))
        assert list(pool.map(blobs.get, keys)) == contents


@pytest.mark.parametrize("url", [
    "s3://", "s3:///films", "s3://key@films", "s3://films?endpoint=http://x", "s3://films?secret=x",
])  # fmt: skip
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(Usage):
        BlobStore(url)


def test_an_address_is_read_and_its_secret_not_shown(store: Server) -> None:
    address = s3.parse(store.url)
    assert (address.bucket, address.root, address.options["secret"]) == (store.bucket, f"{store.bucket}/cspine", SECRET)
    assert SECRET not in repr(address)
    assert s3.parse("s3://films").root == "films"
