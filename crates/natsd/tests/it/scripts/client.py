"""What a stock client does with one server: messages, headers, wildcards, queue groups, requests, limits, draining.

Arguments: the server's URL, and a second one where the answers come from (the same, or another server behind a link).
Prints `ok` when all went as it should.
"""

import asyncio
import sys

import nats
from nats.errors import NoRespondersError


async def reached(asking, subject):
    """Waits until interest in a subject has come over to where `asking` is connected."""
    for _ in range(500):
        try:
            return await asking.request(subject, b"", timeout=1)
        except (NoRespondersError, asyncio.TimeoutError, nats.errors.TimeoutError):
            await asyncio.sleep(0.02)
    raise AssertionError(f"nobody answers on {subject}")


async def messages(here, there):
    got = asyncio.Queue()

    async def ready(message):
        await message.respond(b"yes")

    await there.subscribe("things.*.new", cb=got.put)
    await there.subscribe("ready", cb=ready)
    await reached(here, "ready")
    await here.publish("things.a.new", b"one")
    await here.publish("things.a.old", b"not asked for")
    await here.publish("things.b.new", b"two", headers={"Colour": "green", "Empty": ""})
    await here.publish("things.c.new", b"")
    await here.flush()
    first, second, third = [await asyncio.wait_for(got.get(), 10) for _ in range(3)]
    assert (first.subject, first.data, first.headers) == ("things.a.new", b"one", None), first
    assert second.data == b"two" and second.headers["Colour"] == "green", second
    assert second.headers["Empty"] == "", second
    assert third.data == b"", third
    large = bytes(range(256)) * 2000
    await here.publish("things.d.new", large)
    assert (await asyncio.wait_for(got.get(), 10)).data == large
    assert got.empty()


async def requests(here, there):
    async def double(message):
        await message.respond(message.data * 2)

    await there.subscribe("double", queue="workers", cb=double)
    await there.subscribe("double", queue="workers", cb=double)
    await there.flush()
    await reached(here, "double")
    answers = await asyncio.gather(*[here.request("double", b"%d" % n, timeout=10) for n in range(200)])
    assert [answer.data for answer in answers] == [b"%d%d" % (n, n) for n in range(200)]
    try:
        await here.request("nobody.is.here", b"", timeout=10)
        raise AssertionError("somebody answered")
    except NoRespondersError:
        pass


async def groups(here, there):
    counts = [0, 0, 0]
    everybody = asyncio.Event()
    seen = 0

    def member(at):
        async def take(message):
            nonlocal seen
            counts[at] += 1
            seen += 1
            if seen == 600:
                everybody.set()

        return take

    async def ready(message):
        await message.respond(b"yes")

    for at in (0, 1):
        await there.subscribe("jobs", queue="group", cb=member(at))
    await there.subscribe("jobs", cb=member(2))
    await there.subscribe("groups.ready", cb=ready)
    await reached(here, "groups.ready")
    for _ in range(300):
        await here.publish("jobs", b"job")
    await asyncio.wait_for(everybody.wait(), 10)
    await here.flush()
    await there.flush()
    assert counts[2] == 300 and counts[0] + counts[1] == 300 and min(counts) > 50, counts


async def limits(here, there):
    got = asyncio.Queue()
    subscription = await there.subscribe("few", cb=got.put)
    await subscription.unsubscribe(limit=2)

    async def ready(message):
        await message.respond(b"yes")

    await there.subscribe("limits.ready", cb=ready)
    await reached(here, "limits.ready")
    for n in range(5):
        await here.publish("few", b"%d" % n)
    await here.flush()
    await reached(here, "limits.ready")
    assert [(await asyncio.wait_for(got.get(), 10)).data for _ in range(2)] == [b"0", b"1"]
    assert got.empty()


async def main():
    urls = sys.argv[1:]

    async def complain(error):
        raise AssertionError(f"unexpected error: {error!r}")

    here = await nats.connect(urls[0], error_cb=complain, allow_reconnect=False)
    there = await nats.connect(urls[-1], error_cb=complain, allow_reconnect=False)
    for check in (messages, requests, groups, limits):
        await asyncio.wait_for(check(here, there), 60)
    await here.drain()
    await there.drain()
    print("ok")


asyncio.run(main())
