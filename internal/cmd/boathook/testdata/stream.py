"""An outside client of the live log of Crewship's agents: it shares no code with Boathook.

It has a WebSocket (RFC 6455) of its own, and watches the agents of a running
system that it triggers. Usage: python3 stream.py URL ADMIN_TOKEN
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import re
import socket
import struct
import time
import unittest
import urllib.parse

from outside import BASE, TOKEN, Gate, eventually, patience

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
PONG = {"type": "pong", "payload": None}


def call(method, path, body=None, want=200, token=TOKEN, headers=None):
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(BASE).netloc, timeout=patience())
    headers = {**({"Authorization": "Bearer " + token} if token else {}), **(headers or {})}
    connection.request(method, path, body if isinstance(body, bytes) or body is None else json.dumps(body), headers)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    assert response.status == want, f"{method} {path}: {response.status} {text}, want {want}"
    return json.loads(text) if text else None


def ws_token(token=TOKEN):
    answer = call("GET", "/api/v1/ws-token", token=token)
    assert list(answer) == ["token"], answer
    return answer["token"]


class Refused(Exception):
    pass


class WebSocket:
    """The client's side of RFC 6455, without extensions."""

    def __init__(self, token=None):
        netloc = urllib.parse.urlsplit(BASE).netloc
        host, port = netloc.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=patience())
        self.file = self.socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        path = "/ws" + (f"?token={urllib.parse.quote(token)}" if token is not None else "")
        self.socket.sendall((f"GET {path} HTTP/1.1\r\nHost: {netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
        status = int(self.file.readline().split()[1])
        headers = http.client.parse_headers(self.file)
        if status != 101:
            self.socket.close()
            raise Refused(status)
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        assert headers["Sec-WebSocket-Accept"] == accept, headers

    def send_frame(self, opcode, data):
        mask = os.urandom(4)
        size = len(data)
        head = bytes([0x80 | opcode, 0x80 | (size if size < 126 else 126 if size < 1 << 16 else 127)])
        if size >= 126:
            head += struct.pack(">H" if size < 1 << 16 else ">Q", size)
        self.socket.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def send(self, message):
        self.send_frame(1, (message if isinstance(message, str) else json.dumps(message)).encode())

    def frame(self):
        """The next frame's opcode and data."""
        first, size = self.file.read(2)
        assert first & 0xF0 == 0x80 and not size & 0x80, (first, size)  # whole, no extension, unmasked
        if size >= 126:
            (size,) = struct.unpack(">H" if size == 126 else ">Q", self.file.read(2 if size == 126 else 8))
        return first & 0x0F, self.file.read(size)

    def receive(self):
        """The next message; protocol pings are answered on the way."""
        while True:
            opcode, data = self.frame()
            if opcode == 9:
                self.send_frame(10, data)
                continue
            assert opcode == 1, (opcode, data)
            assert len(data) < 32 << 10, len(data)
            return json.loads(data.decode())  # which must be UTF-8

    def closed(self):
        """The code that the server closes with; nothing may come before."""
        opcode, data = self.frame()
        assert opcode == 8, (opcode, data)
        self.socket.close()
        return struct.unpack(">H", data[:2])[0]

    def come_to_rest(self):
        """Returns when what was sent before has had its effect, and nothing else came."""
        self.send({"type": "ping"})
        answer = self.receive()
        assert answer == PONG, answer


WORKSPACE = call("GET", "/v1/me")["workspace"]["id"]
CHANNEL = f"workspace:{WORKSPACE}"


def watch(token=None):
    ws = WebSocket(token or ws_token())
    ws.send({"type": "subscribe", "channel": CHANNEL})
    ws.come_to_rest()
    return ws


class Agent:
    def __init__(self, slug, script):
        crew = call("POST", "/v1/crews", {"name": "watched"}, 201)["id"]
        agent = call("POST", f"/v1/crews/{crew}/agents", {
            "name": slug.title(), "slug": slug, "target": {"type": "command", "argv": ["sh", "-c", script]}}, 201)
        self.id, self.slug, self.secret = agent["id"], slug, agent["webhook_secret"]
        self.trigger_path = f"/api/v1/webhooks/{crew}/{self.id}/trigger"

    def trigger(self, payload=b'{"event":"test","source":"stream.py"}'):
        signature = hmac.new(self.secret.encode(), payload, hashlib.sha256).hexdigest()
        assert call("POST", self.trigger_path, payload, 202, token=None, headers={"X-Signature": signature}) == {"status": "accepted"}

    def seen(self, ws, last):
        """The frames of this agent up to the one that holds the line last."""
        frames = []
        while not frames or last not in frames[-1]["payload"]["content"].split("\n"):
            message = ws.receive()
            if message["payload"]["agent_id"] == self.id:
                frames.append(message)
        return frames


class Watching(unittest.TestCase):
    def test_an_agents_lines_are_seen_while_it_runs(self):
        more, end = Gate(self), Gate(self)
        agent = Agent("reviewer", f"cat >/dev/null; echo one; {more.script}; echo oops >&2; {end.script}; echo last")
        ws = watch()
        agent.trigger()
        first = ws.receive()
        self.assertEqual(list(first), ["type", "channel", "payload"])
        self.assertEqual((first["type"], first["channel"]), ("agent.log", CHANNEL))
        payload = first["payload"]
        self.assertEqual(list(payload), ["ts", "level", "agent", "agent_id", "event", "content", "metadata"])
        self.assertRegex(payload["ts"], TIME)
        self.assertEqual((payload["level"], payload["agent"], payload["agent_id"], payload["content"]), ("info", "reviewer", agent.id, "one"))
        for gate, level, line in ((more, "error", "oops"), (end, "info", "last")):
            gate.open()
            (frame,) = agent.seen(ws, line)
            self.assertEqual((frame["payload"]["level"], frame["payload"]["content"]), (level, line))

    def test_everyone_who_watches_sees_the_same(self):
        agent = Agent("shared", "cat >/dev/null; for i in 1 2 3; do echo line $i; sleep 0.3; done; echo last")
        watchers = [watch() for _ in range(5)]
        agent.trigger()
        seen = [[f["payload"]["content"] for f in agent.seen(ws, "last")] for ws in watchers]
        self.assertEqual("\n".join(seen[0]), "line 1\nline 2\nline 3\nlast")
        for other in seen[1:]:
            self.assertEqual(other, seen[0])

    def test_many_lines_keep_their_order(self):
        agent = Agent("busy", "cat >/dev/null; i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done; echo last")
        ws = watch()
        agent.trigger()
        lines = "\n".join(f["payload"]["content"] for f in agent.seen(ws, "last")).split("\n")
        self.assertEqual(lines, [f"line {i}" for i in range(5000)] + ["last"])

    def test_a_hundred_thousand_lines_are_kept_whole_and_seen_in_order(self):
        agent = Agent("very-busy", "cat >/dev/null; seq 100000; echo last")
        ws = watch()
        agent.trigger()
        lines = "\n".join(f["payload"]["content"] for f in agent.seen(ws, "last")).split("\n")
        seen = [int(line) for line in lines if line.isdigit()]  # whoever is too slow is told so, between the lines
        self.assertEqual(seen, sorted(set(seen)))
        if len(seen) < 100000:
            self.assertRegex(" ".join(lines), r"\[boathook: \d+ lines came too fast to be shown")
        run = call("GET", f"/api/v1/agents/{agent.id}/runs")[0]
        while run["status"] == "RUNNING":
            run = call("GET", f"/api/v1/agents/{agent.id}/runs")[0]
        kept = []
        for offset in range(0, 100001, 500):
            kept += [line["content"] for line in call("GET", f"/api/v1/agents/{agent.id}/logs?limit=500&offset={offset}")]
        self.assertEqual(kept[::-1], [str(i) for i in range(1, 100001)] + ["last"])

    def test_bytes_that_are_no_text_are_safe(self):
        agent = Agent("binary", r"""cat >/dev/null; printf '\033[31mred\033[0m "quoted" \\ \000 \377 \342\200\250 end\n'; echo last""")
        ws = watch()
        agent.trigger()
        content = "\n".join(f["payload"]["content"] for f in agent.seen(ws, "last"))
        self.assertEqual(content, '\x1b[31mred\x1b[0m "quoted" \\ \x00 \ufffd \u2028 end\nlast')

    def test_a_long_line_is_within_a_frame(self):
        agent = Agent("long", "cat >/dev/null; head -c 8000 /dev/zero; echo; head -c 100000 /dev/zero | tr '\\0' x; echo; echo last")
        ws = watch()
        agent.trigger()
        content = "".join(f["payload"]["content"] for f in agent.seen(ws, "last"))
        self.assertEqual(content.count("\x00"), 8000)
        self.assertIn("[cut: the line has 100000 bytes]", content)

    def test_the_log_has_what_was_seen(self):
        agent = Agent("kept", "cat >/dev/null; echo first; echo last")
        ws = watch()
        agent.trigger()
        frame = agent.seen(ws, "last")[-1]["payload"]
        log = eventually(lambda: len(lines := call("GET", f"/api/v1/agents/{agent.id}/logs")) > 1 and lines, "the log is stored")
        self.assertEqual([line["content"] for line in log], ["last", "first"])
        for field in ("level", "agent", "event", "metadata"):
            self.assertEqual(log[0][field], frame[field], field)

    def test_a_watcher_that_never_reads_holds_nobody_up(self):
        agent = Agent("loud", "cat >/dev/null; i=0; while [ $i -lt 300 ]; do head -c 8000 /dev/zero | tr '\\0' x; echo; i=$((i+1)); done; echo last")
        for _ in range(5):
            watch()
        ws = watch()
        agent.trigger()
        self.assertTrue(agent.seen(ws, "last"))

    def test_one_that_has_gone_is_forgotten(self):
        gate = Gate(self)
        agent = Agent("lonely", f"cat >/dev/null; echo first; {gate.script}; echo last")
        gone, ws = watch(), watch()
        gone.socket.close()
        agent.trigger()
        for line in ("first", "last"):
            self.assertEqual([f["payload"]["content"] for f in agent.seen(ws, line)], [line])
            gate.open()


class Access(unittest.TestCase):
    def test_a_token_in_the_first_message(self):
        agent = Agent("first", "cat >/dev/null; echo last")
        ws = WebSocket()
        ws.send({"type": "auth", "token": ws_token()})
        ws.send({"type": "subscribe", "channel": CHANNEL})
        ws.come_to_rest()
        agent.trigger()
        agent.seen(ws, "last")

    def test_another_workspaces_channel_is_denied_and_silent(self):
        other = call("POST", "/v1/workspaces", {"name": "other"}, 201)
        stranger = WebSocket(ws_token(other["token"]))
        stranger.send({"type": "subscribe", "channel": CHANNEL})
        self.assertEqual(stranger.receive(), {"type": "error", "channel": CHANNEL, "payload": {"error": "access denied", "message": "access denied"}})
        stranger.send({"type": "subscribe", "channel": f"workspace:{other['id']}"})
        stranger.come_to_rest()
        agent = Agent("private", "cat >/dev/null; echo last")
        ws = watch()
        agent.trigger()
        agent.seen(ws, "last")
        stranger.come_to_rest()

    def test_who_has_unsubscribed_sees_nothing(self):
        silent, ws = watch(), watch()
        silent.send({"type": "unsubscribe", "channel": CHANNEL})
        silent.come_to_rest()
        agent = Agent("unsubscribed", "cat >/dev/null; echo last")
        agent.trigger()
        agent.seen(ws, "last")
        silent.come_to_rest()

    def test_who_has_not_subscribed_sees_nothing(self):
        silent, ws = WebSocket(ws_token()), watch()
        agent = Agent("unseen", "cat >/dev/null; echo last")
        agent.trigger()
        agent.seen(ws, "last")
        silent.come_to_rest()

    def test_without_a_good_token_nothing_opens(self):
        good = ws_token()
        for token in ("nonsense", good[:-1], good + "x", TOKEN, good.replace(WORKSPACE, "ws_other")):
            with self.assertRaises(Refused) as refused:
                WebSocket(token)
            self.assertEqual(refused.exception.args, (401,))
        call("GET", "/api/v1/ws-token", want=401, token=None)
        call("GET", "/api/v1/ws-token", want=401, token=good)  # it opens WebSockets, and nothing else

    def test_a_bad_token_in_a_message_ends_the_connection(self):
        ws = WebSocket()
        ws.send({"type": "auth", "token": "nonsense"})
        self.assertEqual(ws.receive(), {"type": "error", "payload": {"error": "unauthorized", "message": "unauthorized"}})
        self.assertEqual(ws.closed(), 1008)

    def test_before_authentication(self):
        ws = WebSocket()
        ws.come_to_rest()
        ws.send({"type": "subscribe", "channel": CHANNEL})
        self.assertEqual(ws.receive(), {"type": "error", "channel": CHANNEL, "payload": {"error": "not authenticated", "message": "not authenticated"}})
        ws.send("garbage")
        self.assertEqual(ws.receive()["type"], "error")
        self.assertEqual(ws.closed(), 1008)

    def test_who_does_not_authenticate_is_closed_after_ten_seconds(self):
        start = time.monotonic()
        ws = WebSocket()
        self.assertEqual(ws.closed(), 1008)
        self.assertGreaterEqual(time.monotonic() - start, 10)

    def test_bad_messages_are_answered(self):
        ws = watch()
        for message in ("hello", "[1]", '"ping"', "\x00", '{"type":"shout"}', "{}", json.dumps({"type": "ping", "x": "x" * 5000})):
            ws.send(message)
            self.assertEqual(ws.receive()["type"], "error", message[:80])
        ws.send_frame(2, b"\x00\xff\xfe")
        self.assertEqual(ws.receive()["type"], "error")
        ws.come_to_rest()

    def test_a_frame_that_is_too_large_ends_the_connection(self):
        ws = watch()
        ws.send("x" * (40 << 10))
        self.assertEqual(ws.closed(), 1009)


unittest.main(verbosity=1, warnings="ignore")  # of sockets that are left to the end
