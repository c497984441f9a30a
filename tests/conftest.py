"""What every test may ask for: settings in a folder of its own, a migrated database, blobs, a real broker.

DATABASE_URL and REDIS_URL, where given, are used as they are: .ci/run runs the tests marked `services` once more
against PostgreSQL and Redis. A test gets a PostgreSQL schema, or an SQLite file, of its own. The Redis is emptied
before each test; one that holds something before the first is somebody's, and the run ends.
"""

import gc
import os
import secrets
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from redis import Redis
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import Pool

from cspine import migrate
from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
GIVEN_DATABASE = os.environ.pop("DATABASE_URL", "")
GIVEN_REDIS = os.environ.pop("REDIS_URL", "")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")  # tests run in as many processes as there is room for
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Spare the garbage collector what the imports of all tests bring, which stays: in forked children it is copied."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def needs_shared(path: str) -> Path:
    """Return a path of the shared folder, or skip the test with the reason."""
    if not (SHARED / path).exists():
        pytest.skip(f"../shared/{path} is not here")
    return SHARED / path


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """Leave no log that writes to a stream of an earlier test."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=GIVEN_DATABASE != "")
def closed_connections() -> Iterator[None]:
    """Close what a command left open to PostgreSQL, as the end of its process would; psycopg warns of the rest."""
    opened: list[Any] = []

    def remember(connection: Any, _record: object) -> None:
        opened.append(connection)

    event.listen(Pool, "connect", remember)
    yield
    event.remove(Pool, "connect", remember)
    for connection in opened:
        connection.close()


@pytest.fixture(scope="session")
def given_redis() -> Iterator[Redis | None]:
    """Give a client of the Redis that was given, which must be empty."""
    if not GIVEN_REDIS:
        yield None
        return
    with Redis.from_url(GIVEN_REDIS) as client:
        if client.dbsize():
            pytest.exit("REDIS_URL names a Redis that is not empty; tests would empty it", returncode=2)
        yield client


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrate one SQLite database, which tests copy."""
    path = tmp_path_factory.mktemp("template") / "cspine.db"
    database = Database(f"sqlite+pysqlite:///{path}")
    migrate.upgrade(database)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.dispose()
    return path


@pytest.fixture
def database_url(tmp_path: Path, template: Path) -> Iterator[str]:
    """Give the address of a migrated, empty database of the test's own."""
    if not GIVEN_DATABASE:
        path = tmp_path / "cspine.db"
        path.write_bytes(template.read_bytes())
        yield f"sqlite+pysqlite:///{path}"
        return
    url = make_url(Settings(database_url=GIVEN_DATABASE).database)
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    schema = f"test_{secrets.token_hex(6)}"
    with admin.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    own = url.update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(hide_password=False)
    database = Database(own)
    migrate.upgrade(database)
    database.dispose()
    yield own
    with admin.connect() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    admin.dispose()


@pytest.fixture
def settings(tmp_path: Path, database_url: str, given_redis: Redis | None) -> Settings:
    """Give settings whose `var` is the test's own; no broker runs but one that was given.

    A prepare worker has one child whatever the machine: it takes all that waits, where several leave each other some.
    """
    if given_redis is not None:
        given_redis.flushdb()
    key = "0123456789abcdef" * 4
    return Settings(
        var=tmp_path / "var", database_url=database_url, redis_url=GIVEN_REDIS, secret_key=key, prepare_processes=1
    )


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """Give the test's database."""
    database = Database.of(settings)
    yield database
    database.dispose()


@pytest.fixture
def blobs(settings: Settings) -> BlobStore:
    """Give the test's blob store."""
    return BlobStore(settings.blobs)
