"""`python -m tests.integration.forwarder PORT:HOST:PORT ...`: a wire that can be cut, by stopping this process."""

import asyncio
import sys
from contextlib import suppress


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
    target.close()


async def _forward(port: int, host: str, to: int) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, to)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", port)
    await server.serve_forever()


async def main() -> None:
    """Forward every port to its address, until killed."""
    wires = [argument.split(":") for argument in sys.argv[1:]]
    await asyncio.gather(*(_forward(int(port), host, int(to)) for port, host, to in wires))


if __name__ == "__main__":
    asyncio.run(main())
