"""Drives `edgesync mcp` with the stock MCP client for Python.

    mcp_client.py EDGESYNC MODE SCENARIO [ARGUMENTS]

MODE is `legacy` (the initialize handshake) or `auto` (what the client and the server agree on). The running agent is found by
EDGESYNC_HOME. ARGUMENTS is a JSON array of those that the scenario starts the server with. A scenario that ends without an exception has passed.
"""

import json
import os
import signal
import sys
import urllib.request

import anyio
from mcp import Client, MCPError, StdioServerParameters

EDGESYNC, MODE, SCENARIO, *REST = sys.argv[1:]

# How long anything may take on a busy machine.
PATIENCE_S = 60


async def edgesync(*args):
    """Runs the command line, and returns what it prints as JSON."""
    done = await anyio.run_process([EDGESYNC, *args, "--json"])
    return json.loads(done.stdout)


async def api(method, path):
    """Asks the running agent's API."""
    status = await edgesync("sync", "status")
    request = urllib.request.Request(
        f"{status['api']}/api/v1/{path}",
        method=method,
        data=b"{}" if method == "POST" else None,
        headers={"Authorization": f"Bearer {status['token']}", "Content-Type": "application/json"},
    )
    return json.loads(await anyio.to_thread.run_sync(lambda: urllib.request.urlopen(request).read()))


def server(*args):
    """Returns how a client starts the server."""
    return StdioServerParameters(command=EDGESYNC, args=["mcp", *args], env=dict(os.environ))


def connect(*args, **options):
    return Client(server("--project", "demo", *args), mode=MODE, **options)


class Asking:
    """A call of `ask` that is under way, with what it says of its progress."""

    def __init__(self, client, **wish):
        self.client, self.wish = client, wish
        self.told = None
        self.asked = anyio.Event()
        self.id = None
        self.scope = anyio.CancelScope()

    async def progress(self, _progress, _total, message):
        self.id = message.split()[0]
        self.asked.set()

    async def run(self):
        with self.scope:
            result = await self.client.call_tool("ask", self.wish, progress_callback=self.progress)
            assert not result.is_error, result
            self.told = result.structured_content

    async def question(self):
        """Returns the question, as soon as it was asked."""
        await self.asked.wait()
        return await api("GET", f"notify/messages/{self.id}")


async def ask(client, then, **wish):
    """Calls `ask`, does `then` with the question, and returns what the tool told."""
    asking = Asking(client, **wish)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(asking.run)
        question = await asking.question()
        assert question["question"] == {"kind": "open"}, question
        await then(question)
    assert asking.told["id"] == question["id"] and asking.told["thread"] == question["thread"]
    return asking.told


def reply(*answer):
    async def then(question):
        await edgesync("notify", "reply", "--thread", question["thread"], "--from-name", "Ada", *answer)

    return then


async def take_back(question):
    await api("POST", f"notify/messages/{question['id']}/cancel")


def outcome(told):
    return told["outcome"], told["value"], told["by"]


async def outcomes():
    async with connect("--from-name", "builder") as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert sorted(tools) == ["ask", "notify", "status", "threads", "timeline"], tools
        assert tools["status"].annotations.read_only_hint and not tools["ask"].annotations.read_only_hint

        told = await ask(client, reply("--action", "Deploy now"), question="Deploy?", actions=["Deploy now", "Wait"])
        assert outcome(told) == ("accepted", "deploy_now", "Ada") and told["label"] == "Deploy now", told
        told = await ask(client, reply("release/1.2"), question="Which branch?")
        assert outcome(told) == ("accepted", "release/1.2", "Ada"), told
        told = await ask(client, reply("--action", "Yes"), question="Drop the table?", approval=True)
        assert outcome(told) == ("accepted", "yes", "Ada"), told
        told = await ask(client, reply("--action", "No"), question="Drop the table?", approval=True)
        assert outcome(told) == ("declined", "no", "Ada"), told
        told = await ask(client, take_back, question="Still there?")
        assert outcome(told) == ("cancelled", None, None), told

        async def silence(**wish):
            result = await client.call_tool("ask", {"expires_in_seconds": 1, **wish})
            assert json.loads(result.content[0].text) == result.structured_content
            return outcome(result.structured_content)

        assert await silence(question="Anybody?") == ("expired", None, None)
        assert await silence(question="May I?", approval=True) == ("expired", "no", None)
        assert await silence(question="Go on?", actions=["Go", "Stop"], default="Stop") == ("expired", "stop", None)

        threads = await edgesync("notify", "threads", "--project", "demo")
        assert len(threads) == 8 and not any(thread["waiting"] for thread in threads), threads


async def time_outs():
    async with connect() as client:
        wish = {"question": "Merge?", "actions": ["Yes", "No"]}
        # Not before the question is there: the call's own clock begins with the call.
        first = Asking(client, **wish)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first.run)
            question = await first.question()
            try:
                # The same words again: the call joins the first, and runs out of time.
                await client.call_tool("ask", wish, read_timeout_seconds=0.2)
                raise AssertionError("the call did not run out of time")
            except MCPError as error:
                assert "timed out" in str(error), error
            for again in [{**wish, "wait_seconds": 0}, {"id": question["id"], "wait_seconds": 0}, {"thread": question["thread"], "wait_seconds": 0}]:
                told = (await client.call_tool("ask", again)).structured_content
                assert (told["outcome"], told["id"]) == ("waiting", question["id"]), told
            await reply("--action", "Yes")(question)
        assert outcome(first.told) == ("accepted", "yes", "Ada"), first.told
        threads = await edgesync("notify", "threads")
        assert len(threads) == 1, threads

        # An answer that was told counts for nothing else: the same words are a new question now.
        told = (await client.call_tool("ask", {**wish, "wait_seconds": 0})).structured_content
        assert told["outcome"] == "waiting" and told["id"] != question["id"], told
        second = told

    # Another server knows nothing of it but its id.
    async with connect("--wait", "100ms") as client:
        told = (await client.call_tool("ask", {"id": second["id"]})).structured_content
        assert told["outcome"] == "waiting", told
        await reply("--action", "No")(second)
        told = (await client.call_tool("ask", {"id": second["id"]})).structured_content
        # A question's No is an answer like others; only an approval is declined.
        assert outcome(told) == ("accepted", "no", "Ada"), told


async def cancellation():
    async with connect() as client:
        asking = Asking(client, question="Still wanted?")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(asking.run)
            question = await asking.question()
            asking.scope.cancel()
        assert asking.told is None
        decided = await api("GET", f"notify/messages/{question['id']}/answer?wait_ms={PATIENCE_S * 1000}")
        assert decided["question"]["source"] == "cancelled", decided

        # A caller that goes away altogether leaves its question for the people.
        async with connect() as other:
            told = (await other.call_tool("ask", {"question": "Later?", "wait_seconds": 0})).structured_content
        left = await api("GET", f"notify/messages/{told['id']}")
        assert left["question"]["kind"] == "open", left


async def looks():
    async with connect() as client:
        said = await client.call_tool("notify", {"message": "Tests are green", "priority": "info", "link": "https://example.org/1"})
        said = said.structured_content
        asked = (await client.call_tool("ask", {"question": "Ship it?", "actions": ["Yes"], "thread": said["thread"], "wait_seconds": 0})).structured_content
        assert asked["thread"] == said["thread"], (asked, said)
        message = await api("GET", f"notify/messages/{said['id']}")
        assert message["click"] == "https://example.org/1" and message["from_name"] == "mcp", message

        threads = (await client.call_tool("threads", {"project": "demo"})).structured_content
        assert [thread["waiting"] for thread in threads["threads"]] == [asked["id"]] and threads["more"] == 0, threads
        assert threads["threads"][0]["title"] == "Tests are green" and threads["threads"][0]["last"] == "Ship it?", threads
        none = (await client.call_tool("threads", {"project": "other"})).structured_content
        assert none == {"threads": [], "more": 0}, none
        one = (await client.call_tool("threads", {"thread": said["thread"], "limit": 1})).structured_content
        assert [row["text"] for row in one["messages"]] == ["Ship it?"] and one["more"] == 1, one
        assert one["messages"][0]["question"] == "waiting" and one["messages"][0]["actions"] == ["yes"], one

        timeline = await client.call_tool("timeline", {"limit": 1})
        assert not timeline.is_error, timeline
        timeline = timeline.structured_content
        assert timeline["repository"] == "a" and [row["kind"] for row in timeline["rows"]] == ["check-in"], timeline
        status = (await client.call_tool("status", {})).structured_content
        assert [it["name"] for it in status["repositories"]] == ["a", "notify"], status
        questions = status["questions"]
        reach = questions.pop("reach")
        assert questions == {"waiting": 1, "desktop": False, "phones": 0, "devices": 0, "listening": 0, "bus": questions["bus"]}, status
        assert reach.startswith("Nobody is shown a question at once: there is no desktop and no phone, and no other device may answer."), reach
        token = (await edgesync("sync", "status"))["token"]
        assert token not in json.dumps(status)

    async with Client(server(), mode=MODE) as client:
        for tool, wish, says in [
            ("notify", {"message": "x"}, "project is missing"),
            ("notify", {"message": "x", "project": "a b"}, "project"),
            ("ask", {"project": "demo"}, "question is missing"),
            ("ask", {"project": "demo", "question": "x", "expires_in_seconds": 0}, "expires at once"),
            ("ask", {"id": said["id"]}, "is not a question"),
            ("ask", {"id": "../../status"}, "there is no message"),
            ("threads", {"thread": "ffffffff"}, "thread"),
            ("timeline", {"repository": "b"}, "hint: it has: a"),
        ]:
            result = await client.call_tool(tool, wish)
            assert result.is_error and says in result.content[0].text, (tool, wish, result)


async def nobody():
    async with connect() as client:
        for tool, wish in [("notify", {"message": "x"}), ("ask", {"question": "x"}), ("threads", {}), ("timeline", {}), ("status", {})]:
            result = await client.call_tool(tool, wish)
            text = result.content[0].text
            assert result.is_error and "no agent is running" in text and "hint: start one" in text, result


async def lost():
    """The agent is killed while a call waits: the call says what has become of the question, and how to go on."""
    async with connect() as client:
        asked = anyio.Event()
        seen = []

        async def progress(_progress, _total, message):
            seen.append(message.split()[0])
            asked.set()

        async def kill():
            await asked.wait()
            os.kill((await edgesync("sync", "status"))["agent"]["pid"], signal.SIGKILL)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill)
            result = await client.call_tool("ask", {"question": "Still there?"}, progress_callback=progress)
        text = result.content[0].text
        assert result.is_error and f"the question stays open; when the agent runs again, ask with id {seen[0]}" in text, result


async def configured():
    arguments = json.loads(REST[0])
    async with Client(StdioServerParameters(command=EDGESYNC, args=arguments, env=dict(os.environ)), mode=MODE) as client:
        told = await ask(client, reply("--action", "Yes"), question="May I?", approval=True)
        assert outcome(told) == ("accepted", "yes", "Ada"), told


async def main():
    with anyio.fail_after(PATIENCE_S):
        await {"outcomes": outcomes, "time_outs": time_outs, "cancellation": cancellation, "configured": configured, "looks": looks, "lost": lost, "nobody": nobody}[SCENARIO]()


anyio.run(main)
