"""A small RTSP server for the tests: H.264 in RTP over the RTSP connection itself (RFC 2326, RFC 6184)."""

from __future__ import annotations

import base64
import io
import re
import socketserver
import struct
import threading
from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np

_MTU = 1400


def encode_h264(images: Sequence[np.ndarray], fps: int) -> list[list[bytes]]:
    """(H, W, 3) BGR pictures to access units, each a list of NAL units; a key frame every ten."""
    with av.open(io.BytesIO(), mode="w", format="h264") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = images[0].shape[1], images[0].shape[0], "yuv420p"
        stream.options = {"tune": "zerolatency", "preset": "ultrafast", "g": "10", "x264-params": "repeat-headers=1"}
        stream.codec_context.time_base = Fraction(1, fps)
        packets = [packet for image in images for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24"))]
        packets += stream.encode(None)
    return [[nal for nal in re.split(rb"\x00\x00\x00?\x01", bytes(packet)) if nal] for packet in packets if packet.size]


class RtspServer:
    """Plays its pictures in a loop at their rate; each connection starts from the beginning.

    Args:
        frames_a_connection: after how many pictures it cuts the first connection, the second, …; the last for all others;
            None never.
    """

    def __init__(self, images: Sequence[np.ndarray], fps: int, frames_a_connection: Sequence[int | None] = (None,)) -> None:
        self.units = encode_h264(images, fps)
        self.fps = fps
        self.frames_a_connection = frames_a_connection
        self.n_plays = 0
        self.stopping = threading.Event()
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with_connection(server, self.rfile, self.wfile)

        class Listener(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            block_on_close = True

        self._listener = Listener(("127.0.0.1", 0), Handler)
        self.url = f"rtsp://viewer:secret@127.0.0.1:{self._listener.server_address[1]}/live"
        self._thread = threading.Thread(target=self._listener.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self.stopping.set()
        self._listener.shutdown()
        self._thread.join()
        self._listener.server_close()

    def sdp(self) -> str:
        heads = [nal for nal in self.units[0] if nal[0] & 0x1F in (7, 8)]
        sets = ",".join(base64.b64encode(nal).decode() for nal in heads)
        return (
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\nc=IN IP4 0.0.0.0\r\n"
            f"a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}\r\na=control:track0\r\n"
        )


def with_connection(server: RtspServer, lines, out) -> None:
    """Answer requests until PLAY, then send pictures until the client or the server ends it."""
    try:
        while request := lines.readline().decode():
            method = request.split()[0]
            headers = {}
            while (line := lines.readline().decode().strip()) != "":
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            out.write(answer(server, method, headers).encode())
            if method == "PLAY":
                play(server, out)
                return
    except (TimeoutError, BrokenPipeError, ConnectionError, ValueError):
        return


def answer(server: RtspServer, method: str, headers: dict[str, str]) -> str:
    head = f"RTSP/1.0 200 OK\r\nCSeq: {headers['cseq']}\r\n"
    if method == "OPTIONS":
        return head + "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n\r\n"
    if method == "DESCRIBE":
        body = server.sdp()
        return head + f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    if method == "SETUP":
        return head + "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n\r\n"
    return head + "Session: 1\r\n\r\n"


def play(server: RtspServer, out) -> None:
    quotas = server.frames_a_connection
    quota = quotas[min(server.n_plays, len(quotas) - 1)]
    server.n_plays += 1
    sequence = n = 0
    while not server.stopping.is_set() and (quota is None or n < quota):
        for payload, is_last in rtp_payloads(server.units[n % len(server.units)]):
            stamp = n * 90_000 // server.fps
            packet = struct.pack("!BBHII", 0x80, 96 | (0x80 if is_last else 0), sequence & 0xFFFF, stamp, 7) + payload
            out.write(struct.pack("!cBH", b"$", 0, len(packet)) + packet)
            sequence += 1
        n += 1
        server.stopping.wait(1 / server.fps)


def rtp_payloads(nals: Sequence[bytes]) -> list[tuple[bytes, bool]]:
    """NAL units as RTP payloads, long ones in fragments (FU-A); the flag marks the last of the picture."""
    payloads: list[bytes] = []
    for nal in nals:
        if len(nal) <= _MTU:
            payloads.append(nal)
            continue
        parts = [nal[at : at + _MTU] for at in range(1, len(nal), _MTU)]
        for index, part in enumerate(parts):
            start, end = index == 0, index == len(parts) - 1
            payloads.append(bytes([nal[0] & 0xE0 | 28, start << 7 | end << 6 | nal[0] & 0x1F]) + part)
    return [(payload, index == len(payloads) - 1) for index, payload in enumerate(payloads)]
