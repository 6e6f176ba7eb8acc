#!/usr/bin/env python3
"""Opens /ws behind a proxy, sends the calls that it is given, and prints what comes back, a line each."""

import argparse
import base64
import os
import socket
import ssl
import struct
import sys


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("site")
    parser.add_argument("address", help="host:port to connect to instead")
    parser.add_argument("--call", action="append", default=[], help="JSON to send")
    parser.add_argument("--ca", help="PEM file to trust; without it no TLS")
    parser.add_argument("--source", default="127.0.0.1")
    parser.add_argument("--header", action="append", default=[])
    options = parser.parse_args()
    host, port = options.address.rsplit(":", 1)
    stream = socket.create_connection((host, int(port)), timeout=10, source_address=(options.source, 0))
    if options.ca:
        trust = ssl.create_default_context(cafile=options.ca)
        trust.set_alpn_protocols(["http/1.1"])
        stream = trust.wrap_socket(stream, server_hostname=options.site)
    key = base64.b64encode(os.urandom(16)).decode()
    head = [
        "GET /ws HTTP/1.1",
        f"Host: {options.site}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        *options.header,
    ]
    stream.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
    reader = stream.makefile("rb")
    status = reader.readline().decode().strip()
    while reader.readline().strip():
        pass
    if " 101 " not in status + " ":
        sys.exit(f"no socket: {status}")
    print(frame(reader))
    for call in options.call:
        stream.sendall(masked(call.encode()))
        print(frame(reader))


def masked(text):
    """One text frame as clients send it (RFC 6455 §5.2)."""
    mask = os.urandom(4)
    length = bytes([0x80 | len(text)]) if len(text) < 126 else bytes([0xFE]) + struct.pack(">H", len(text))
    return b"\x81" + length + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))


def frame(reader):
    """The text of the next text frame; pings are passed over."""
    while True:
        first, second = whole(reader, 2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", whole(reader, 2))
        elif length == 127:
            (length,) = struct.unpack(">Q", whole(reader, 8))
        body = whole(reader, length)
        if first & 0x0F == 1:
            return body.decode()
        if first & 0x0F == 8:
            sys.exit(f"closed: {body[2:].decode()}")


def whole(reader, length):
    body = reader.read(length)
    if len(body) < length:
        sys.exit("the connection ended")
    return body


main()
