"""Another user of the same machine, who tries to run code as the owner of a study, and to read and to spoil what is his.

A program: ``python -m soak.attacker UID DIRECTORY``, with what he knows on standard input, as JSON: ``ports`` that listen on
loopback, and ``pids``. What he has managed goes to standard output. Nobody but the machine itself is spoken to.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import ssl
import sys
from pathlib import Path
from typing import Any

from distributed import Security
from distributed.comm.core import connect
from distributed.core import send_recv
from distributed.protocol.pickle import dumps, loads

from dajko.study.execution.tls import make_certificates, security

_SECONDS = 3.0
_PAGES = (
    "/",
    "/status",
    "/health",
    "/metrics",
    "/info/main/workers.html",
    "/json/counts.json",
    "/individual-task-stream",
)


def main(uid: int, directory: Path) -> None:
    """Become that user, if this process may, and try everything."""
    known = json.loads(sys.stdin.read())
    if os.getuid() == 0:
        os.chown(directory, uid, uid)
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    found = {
        "uid": os.getuid(),
        "ran": asyncio.run(_run_code(known["ports"], directory)),
        "pages": [place for port in known["ports"] for place in _pages(port)],
        "read": [*_files(Path(known["temporary"])), *_processes(known["pids"])],
    }
    print(json.dumps(found))


async def _run_code(ports: list[int], directory: Path) -> list[str]:
    """Where a function of ours was called, and with which certificate."""
    own = make_certificates(directory / "own")
    strangers = {
        "plain text": ("tcp", None),
        "TLS without a certificate": ("tls", Security(tls_ca_file=own.ca, require_encryption=True)),
        "TLS with a certificate of another authority": ("tls", security(own)),
    }
    tries = [
        _call(f"{scheme}://127.0.0.1:{port}", who, safe, operation)
        for port in ports
        for who, (scheme, safe) in strangers.items()
        for operation in ("run", "run_function")  # of workers and nannies, and of schedulers
    ]
    return [said for said in await asyncio.gather(*tries) if said]


async def _call(address: str, who: str, safe: Security | None, operation: str) -> str:
    # Not to trust the other side is no hindrance for somebody who attacks it.
    settings = {} if safe is None else {"ssl_context": _trusting(safe), "require_encryption": True}
    try:
        async with asyncio.timeout(_SECONDS):
            comm = await connect(address, timeout=_SECONDS, **settings)
            try:
                answer = await send_recv(
                    comm, op=operation, function=dumps(os.getuid), args=dumps(()), kwargs=dumps({}), reply=True
                )
            finally:
                comm.abort()
    except Exception:  # refused, in one of many ways
        return ""
    if not isinstance(answer, dict) or answer.get("status") != "OK":
        return ""
    result = answer["result"]
    user = loads(result) if isinstance(result, bytes) else result
    return f"{address}: code was run as the user {user}, with {who}"


def _trusting(safe: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if safe.tls_client_cert:
        context.load_cert_chain(safe.tls_client_cert, safe.tls_client_key)
    return context


def _pages(port: int) -> list[str]:
    """Pages that a server shows."""
    found = []
    for page in _PAGES:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
        try:
            connection.request("GET", page)
            if connection.getresponse().status < 400:
                found.append(f"http://127.0.0.1:{port}{page} was shown")
        except (OSError, http.client.HTTPException):
            break  # it does not speak HTTP
        finally:
            connection.close()
    return found


def _files(temporary: Path) -> list[str]:
    """Files of the owner below the temporary directory that can be read."""
    found = []
    for folder, _, names in os.walk(temporary):
        for name in names:
            path = Path(folder) / name
            try:
                if path.stat().st_uid != os.getuid() and path.read_bytes():
                    found.append(f"{path} was read")
            except OSError:
                continue
    return found


def _processes(pids: list[int]) -> list[str]:
    """Private keys in what processes show of themselves."""
    found = []
    for pid in pids:
        for what in ("cmdline", "environ"):
            try:
                content = Path(f"/proc/{pid}/{what}").read_bytes()
            except OSError:
                continue
            if b"PRIVATE KEY" in content:
                found.append(f"a private key was read in /proc/{pid}/{what}")
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
