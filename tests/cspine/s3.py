"""An S3 server for tests: moto's, over HTTP on a free port. It notes what it is asked, and can be made to fail."""

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from threading import Thread
from typing import Any
from urllib.parse import quote

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Response

KEY, SECRET, REGION = "worker", "a/secret+of=some&kind", "eu-central-1"


@dataclass(frozen=True)
class Asked:
    """A request: its method, whether it lists, and the bytes that went up and came down."""

    method: str
    lists: bool
    up: int
    down: int


@dataclass
class Server:
    """The running server."""

    endpoint: str = ""
    bucket: str = field(default_factory=lambda: f"films-{secrets.token_hex(4)}")  # moto keeps all in one place
    asked: list[Asked] = field(default_factory=list)
    fault: tuple[int, str] | None = None  # status and code of every answer, until it is null again
    app: Any = field(default_factory=lambda: DomainDispatcherApplication(create_backend_app))

    @property
    def url(self) -> str:
        """The BLOB_URL of the bucket, with all that is needed to reach it."""
        query = f"endpoint_url={quote(self.endpoint, safe='')}&region={REGION}"
        return f"s3://{KEY}:{quote(SECRET, safe='')}@{self.bucket}/cspine?{query}"

    @cached_property
    def client(self) -> Any:
        """A client that is not ours."""
        return boto3.client("s3", endpoint_url=self.endpoint, region_name=REGION, aws_access_key_id=KEY,
                            aws_secret_access_key=SECRET)  # fmt: skip

    def keys(self) -> list[str]:
        """Return the keys in the bucket, as another client sees them."""
        return [one["Key"] for one in self.client.list_objects_v2(Bucket=self.bucket).get("Contents", ())]

    @contextmanager
    def counting(self) -> Iterator[Counter[str]]:
        """Count the requests of the block: by method, and `LIST` for those that list."""
        self.asked.clear()
        found: Counter[str] = Counter()
        yield found
        found.update("LIST" if one.lists else one.method for one in self.asked)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer as moto does, or with the fault."""
        if self.fault is not None:
            status, code = self.fault
            body = f"<Error><Code>{code}</Code><Message>as the test wants it</Message></Error>"
            return Response(body, status, mimetype="application/xml")(environ, start_response)
        body = b"".join(self.app(environ, start_response))
        query, method = environ.get("QUERY_STRING", ""), environ["REQUEST_METHOD"]
        lists = method == "GET" and ("list-type" in query or "prefix=" in query or query.startswith("uploads"))
        self.asked.append(Asked(method, lists, int(environ.get("CONTENT_LENGTH") or 0), len(body)))
        return [body]


class Quiet(WSGIRequestHandler):
    """Writes no line for each request."""

    protocol_version = "HTTP/1.1"  # connections are kept, as with a real store

    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def server(host: str = "127.0.0.1") -> Iterator[Server]:
    """Run the server at an address of ours, with an empty bucket, until the block ends."""
    made = Server()
    http = make_server(host, 0, made, threaded=True, request_handler=Quiet)
    made.endpoint = f"http://{host}:{http.server_port}"
    thread = Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        made.client.create_bucket(Bucket=made.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        made.asked.clear()
        yield made
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
