"""Services that a system has from its distribution: MariaDB, and PgBouncer before the tests' PostgreSQL."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from tempfile import mkdtemp

import psycopg
import pymysql
import pytest

from tests.live.services import SYSTEM_USER, Postgres, Service, checked


def on_system(*names: str) -> str:
    """The first of these programs that the system has, beside those of other users, too; skips where it has none."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
    for name in names:
        if (found := shutil.which(name, path=path)) is not None:
            return found
    pytest.skip(f"{names[0]} is not installed")


class MariaDB(Service):
    """As distributions install it: texts that differ in case alone are equal, unless a column says otherwise."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.binary = on_system("mariadbd")
        self.home = Path(mkdtemp(prefix="trace-streaming-mariadb-"))
        try:
            how = ["--auth-root-authentication-method=normal", "--skip-test-db"]
            checked([on_system("mariadb-install-db"), *self._folders(), *how, *self._user()])
        except BaseException:
            self.remove()
            raise

    @staticmethod
    def _user() -> list[str]:
        return ["--user=root"] if os.geteuid() == 0 else []

    def _folders(self) -> list[str]:
        """Temporary tables are its own, too: a server that starts removes all that it finds in that folder."""
        return ["--no-defaults", f"--datadir={self.home / 'data'}", f"--tmpdir={self.home}"]

    def command(self) -> list[str]:
        where = ["--bind-address=127.0.0.1", f"--port={self.port}", f"--socket={self.home / 'socket'}"]
        # What is committed is written, and not synced: a crash of the process loses nothing.
        how = ["--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=64M"]
        texts = ["--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci"]
        zone = "--default-time-zone=+05:45"  # Django does not set it
        return [self.binary, *self._folders(), *self._user(), *where, *how, *texts, zone]

    def answers(self) -> bool:
        try:
            with pymysql.connect(host="127.0.0.1", port=self.port, user="root", connect_timeout=1) as connection:
                connection.cursor().execute("CREATE DATABASE IF NOT EXISTS traces")
        except pymysql.OperationalError:
            return False
        return True

    @property
    def url(self) -> str:
        return f"mysql://root@127.0.0.1:{self.port}/traces"

    def remove(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)


class PgBouncer(Service):
    """Gives a connection to PostgreSQL to whoever has a transaction, for that alone: two of them, to all."""

    shutdown = signal.SIGKILL  # newer versions would wait for all clients to go

    def __init__(self, folder: Path, postgres: Postgres) -> None:
        super().__init__(folder)
        self.binary = on_system("pgbouncer")
        self.settings = folder / "pgbouncer.ini"
        self.settings.write_text(f"""
            [databases]
            * = host=127.0.0.1 port={postgres.port} user=postgres
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {self.port}
            unix_socket_dir =
            auth_type = any
            pool_mode = transaction
            default_pool_size = 2
            max_client_conn = 200
            server_login_retry = 0.2
        """)

    def command(self) -> list[str]:
        user = [f"--user={SYSTEM_USER}"] if os.geteuid() == 0 else []
        return [self.binary, *user, str(self.settings)]

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=1).close()
        except psycopg.OperationalError:
            return False
        return True

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"
