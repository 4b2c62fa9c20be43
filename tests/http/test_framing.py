#!/usr/bin/python3
"""Framing: what RFC 9112 lets be read in one way only is accepted, all else is refused.

Each case is a request, the status it must get, and why: a section of RFC 9112, or of RFC 9110 where the
number has "9110" before it.  Another request stands behind each.  Where the first is accepted that one
is answered; where it is refused, nothing behind it may be answered or stored, and the connection ends.
Every case is sent whole, and byte by byte.
"""
import json
import sys

from historiand import NDJSON, Server, message, request_bytes, run, sql

BODY = json.dumps(message(1, "front", [1])).encode()
SIZE = b"%x" % len(BODY)
HOST = b"Host: x\r\n"


def head(*lines, method=b"POST", target=b"/save", version=b"HTTP/1.1"):
    return b"\r\n".join([b"%s %s %s" % (method, target, version), *lines]) + b"\r\n\r\n"


def get(*lines, target=b"/livez", version=b"HTTP/1.1", host=b"Host: x", method=b"GET"):
    return head(*([host] if host is not None else []), *lines, method=method, target=target,
                version=version)


def post(*lines, body=BODY, version=b"HTTP/1.1"):
    return head(b"Host: x", *lines, version=version) + body


LENGTH = b"Content-Length: %d" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = SIZE + b"\r\n" + BODY + b"\r\n0\r\n\r\n"


def chunks(size=SIZE, after_size=b"\r\n", after_data=b"\r\n", last=b"0\r\n", trailer=b"\r\n"):
    return post(CHUNKED, body=size + after_size + BODY + after_data + last + trailer)


def with_byte(byte):
    return get(b"X: a" + byte + b"b")


# (bytes, status, section)
CASES = [
    # the request line
    (get(), 200, "3"),
    (b"\r\n" + get(), 200, "2.2: at least one empty line before it is ignored"),
    (b"\r\n\r\n" + get(), 400, "2.2: how many more is the server's choice"),
    (b"\n" + get(), 400, "2.2: LF alone"),
    (b"\r" + get(), 400, "2.2: CR alone"),
    (b" " + get(), 400, "3: a method begins it"),
    (b"GET  /livez HTTP/1.1\r\n" + HOST + b"\r\n", 400, "3: single SP"),
    (b"GET /livez  HTTP/1.1\r\n" + HOST + b"\r\n", 400, "3: single SP"),
    (b"GET\t/livez HTTP/1.1\r\n" + HOST + b"\r\n", 400, "3: SP, not HTAB"),
    (b"GET /livez\tHTTP/1.1\r\n" + HOST + b"\r\n", 400, "3: SP, not HTAB"),
    (b"GET /livez HTTP/1.1 \r\n" + HOST + b"\r\n", 400, "3: CRLF behind the version"),
    (b"GET /livez HTTP/1.1\n" + HOST + b"\r\n", 400, "2.2: LF alone"),
    (b"GET /livez HTTP/1.1\r" + HOST + b"\r\n", 400, "2.2: CR alone"),
    (b"GET /livez HTTP/1.1\r\r\n" + HOST + b"\r\n", 400, "2.2: CR alone"),
    (b"GET /li\rvez HTTP/1.1\r\n" + HOST + b"\r\n", 400, "2.2: CR alone"),
    (b"GET /livez\r\n" + HOST + b"\r\n", 400, "3: the version is missing (HTTP/0.9)"),
    (b"GET HTTP/1.1\r\n" + HOST + b"\r\n", 400, "3: the target is missing"),
    (b"GET  HTTP/1.1\r\n" + HOST + b"\r\n", 400, "3: the target is missing"),
    (b"/livez HTTP/1.1\r\n" + HOST + b"\r\n", 400, "3: the method is missing"),
    (get(method=b"get"), 501, "9110 9.1: methods are case-sensitive; unknown ones get 501"),
    (get(method=b"GETX"), 501, "9110 9.1: unknown methods get 501"),
    (get(method=b"G(T"), 400, "9110 9.1: a method is a token"),
    (get(method=b"G\x00T"), 400, "9110 9.1: a method is a token"),
    (get(method=b"\xc3\xa9"), 400, "9110 9.1: a method is a token"),
    (get(target=b"/li vez"), 400, "3.2: no white space in the target"),
    (get(target=b"/livez\x00"), 400, "3.2: no control characters in the target"),
    (get(target=b"/livez\x7f"), 400, "3.2: no control characters in the target"),
    (get(target=b"/livez\x0b"), 400, "3.2: no control characters in the target"),
    (get(target=b"/livez#x"), 400, "3.2: no fragment in the target"),
    (get(target=b"livez"), 400, "3.2: origin-form begins with a slash"),
    (get(target=b"?/livez"), 400, "3.2: origin-form begins with a slash"),
    (get(target=b"*"), 400, "3.2.4: asterisk-form is for OPTIONS"),
    (get(target=b"x:80", method=b"CONNECT"), 400, "3.2.3: no tunnels here"),
    (get(target=b"x:80"), 400, "3.2.3: authority-form is for CONNECT"),
    (get(target=b"http://x/livez"), 200, "3.2.2: absolute-form must be accepted"),
    (get(target=b"HTTP://x/livez"), 200, "3.2.2; 9110 4.2.3: schemes have no case"),
    (get(target=b"http://x/livez?a=http://y/ping"), 200, "3.2.2"),
    (get(target=b"http://y/livez"), 200, "3.2.2: the target's host is taken, not Host"),
    (get(target=b"http://x?/livez"), 400, "3.2.2: the path is not in the query"),
    (get(target=b"http://x?a=/livez"), 400, "3.2.2: the path is not in the query"),
    (get(target=b"http:///livez"), 400, "9110 4.2.1: an empty host must be rejected"),
    (get(target=b"http://u@x/livez"), 400, "9110 4.2.4: userinfo is an error"),
    (get(target=b"ftp://x/livez"), 400, "3.2.2: not HTTP"),
    (get(target=b"https://x/livez"), 400, "9110 7.4: not over TLS"),
    (get(target=b"/tags?prefix=%22"), 200, "3.2.1"),
    # the version
    (get(version=b"HTTP/1.0"), 200, "2.3"),
    (get(version=b"HTTP/1.2"), 505, "2.3; 9110 15.6.6"),
    (get(version=b"HTTP/0.9"), 505, "2.3; 9110 15.6.6"),
    (get(version=b"HTTP/2.0"), 505, "2.3; 9110 15.6.6"),
    (get(version=b"http/1.1"), 400, "2.3: case-sensitive"),
    (get(version=b"HTTP/1"), 400, "2.3: DIGIT . DIGIT"),
    (get(version=b"HTTP/1.10"), 400, "2.3: DIGIT . DIGIT"),
    (get(version=b"HTTP/01.1"), 400, "2.3: DIGIT . DIGIT"),
    (get(version=b"HTTP/1,1"), 400, "2.3: DIGIT . DIGIT"),
    (get(version=b"HTTP/+1.1"), 400, "2.3: DIGIT . DIGIT"),
    (get(version=b"HTTPS/1.1"), 400, "2.3: HTTP-name"),
    (get(version=b"RTSP/1.0"), 400, "2.3: HTTP-name"),
    (get(version=b"ICE/1.0", method=b"SOURCE"), (400, 501), "2.3: HTTP-name"),
    (get(version=b"RTSP/1.0", method=b"DESCRIBE"), (400, 501), "2.3: HTTP-name"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (501, 505), "2.3; 9110 15.6.6"),
    # Host
    (get(host=None), 400, "3.2: a request without Host must get 400"),
    (get(host=None, version=b"HTTP/1.0"), 200, "3.2: HTTP/1.0 needs none"),
    (get(b"Host: x"), 400, "3.2: more than one Host must get 400"),
    (get(b"hOST: y"), 400, "3.2: more than one Host must get 400"),
    (get(b"Host: x", version=b"HTTP/1.0"), 400, "3.2: more than one Host must get 400"),
    (get(host=b"Host:"), 400, "9110 4.2.1: an empty host must be rejected"),
    (get(host=b"Host: x y"), 400, "3.2: an invalid Host must get 400"),
    (get(host=b"Host: x/livez"), 400, "3.2: an invalid Host must get 400"),
    (get(host=b"Host: u@x"), 400, "3.2: an invalid Host must get 400"),
    (get(host=b"Host: x:8o"), 400, "3.2: an invalid Host must get 400"),
    (get(host=b"Host: x:80:80"), 400, "3.2: an invalid Host must get 400"),
    (get(host=b"Host: [::1"), 400, "3.2: an invalid Host must get 400"),
    (get(host=b"Host: \xc3\xa9"), 400, "3.2: an invalid Host must get 400"),
    (get(host=b"Host: :80"), 400, "9110 4.2.1: an empty host must be rejected"),
    (get(host=b"Host: x:8080"), 200, "3.2"),
    (get(host=b"Host: x:"), 200, "9110 4.2.1: a port may be empty"),
    (get(host=b"Host: [::1]:8080"), 200, "3.2"),
    (get(host=b"Host: 127.0.0.1"), 200, "3.2"),
    (get(host=b"Host: a_b-c"), 200, "3.2; RFC 3986 3.2.2"),
    (get(host=b"host:x"), 200, "5: no white space is needed"),
    (get(host=b"Host: \t x \t "), 200, "5: OWS is not part of the value"),
    # fields
    (get(b"X: a\tb c"), 200, "9110 5.5: SP and HTAB within a value"),
    (get(b"X: \xe9\xff"), 200, "9110 5.5: obs-text is opaque"),
    (get(b"X:"), 200, "9110 5.5: a value may be empty"),
    (get(b"X : a"), 400, "5.1: no white space before the colon"),
    (get(b"X\t: a"), 400, "5.1: no white space before the colon"),
    (get(b"Content-Length : 0"), 400, "5.1: no white space before the colon"),
    (get(b": a"), 400, "5: a name has at least one character"),
    (get(b"a"), 400, "5: a colon"),
    (get(b"X Y: a"), 400, "5.1: a name is a token"),
    (get(b"X(: a"), 400, "5.1: a name is a token"),
    (get(b"X\x00: a"), 400, "5.1: a name is a token"),
    (get(b"\xe9: a"), 400, "5.1: a name is a token"),
    (get(b"X: a", b" b"), 400, "5.2: obs-fold"),
    (get(b"X: a", b"\tb"), 400, "5.2: obs-fold"),
    (get(b"X: a", b" "), 400, "5.2: obs-fold"),
    (get(b"Transfer-Encoding:", b" chunked"), 400, "5.2: obs-fold"),
    (b"GET /livez HTTP/1.1\r\n Host: x\r\n\r\n", 400, "2.2: white space before the first field"),
    (b"GET /livez HTTP/1.1\r\n \r\n" + HOST + b"\r\n", 400, "2.2: white space before the first field"),
    (b"GET /livez HTTP/1.1\r\nHost: x\nX: y\r\n\r\n", 400, "2.2: LF alone"),
    (b"GET /livez HTTP/1.1\r\nHost: x\r\n\n", 400, "2.2: LF alone"),
    (b"GET /livez HTTP/1.1\r\nHost: x\n\n", 400, "2.2: LF alone"),
    (b"GET /livez HTTP/1.1\r\nHost: x\r\n\rX: y\r\n\r\n", 400, "2.2: CR alone"),
    (b"GET /livez HTTP/1.1\r\nHost: x\rX: y\r\n\r\n", 400, "2.2: CR alone"),
    (b"GET /livez HTTP/1.1\r\nHost: x\r\r\n\r\n", 400, "2.2: CR alone"),
    (b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\r\n", 400, "2.2: CR alone"),
    (with_byte(b"\x00"), 400, "9110 5.5: NUL"),
    (with_byte(b"\r"), 400, "9110 5.5: CR"),
    (with_byte(b"\n"), 400, "9110 5.5: LF"),
    (with_byte(b"\x01"), 400, "9110 5.5: control characters are invalid"),
    (with_byte(b"\x0b"), 400, "9110 5.5: control characters are invalid"),
    (with_byte(b"\x0c"), 400, "9110 5.5: control characters are invalid"),
    (with_byte(b"\x1b"), 400, "9110 5.5: control characters are invalid"),
    (with_byte(b"\x7f"), 400, "9110 5.5: control characters are invalid"),
    (get(b"X: " + b"a" * 17000), 431, "9110 5.4: as large as the server wishes"),
    (get(b"X:" + b" " * 17000 + b"a"), 431, "9110 5.4: as large as the server wishes"),
    # Content-Length
    (post(LENGTH), 202, "6.2"),
    (post(b"Content-Length: 00%d" % len(BODY)), 202, "9110 8.6: 1*DIGIT"),
    (post(b"Content-Length:\t%d " % len(BODY)), 202, "5: OWS"),
    (get(LENGTH) + BODY, 200, "9110 9.3.1: a body of GET has no meaning, but it is framed"),
    (get(b"Content-Length: 0"), 200, "6.2"),
    (post(LENGTH, LENGTH), 400, "6.3: repeated, which may be rejected"),
    (post(LENGTH, b"Content-Length: 0"), 400, "6.3: invalid"),
    (post(b"Content-Length: %d, %d" % (len(BODY), len(BODY))), 400, "6.3: a list may be rejected"),
    (post(b"Content-Length: 1, %d" % len(BODY)), 400, "6.3: invalid"),
    (post(b"Content-Length:"), 400, "6.3: invalid"),
    (post(b"Content-Length: +%d" % len(BODY)), 400, "6.3: invalid"),
    (post(b"Content-Length: -1"), 400, "6.3: invalid"),
    (post(b"Content-Length: 0x%x" % len(BODY)), 400, "6.3: invalid"),
    (post(b"Content-Length: %d.0" % len(BODY)), 400, "6.3: invalid"),
    (post(b"Content-Length: 1e2"), 400, "6.3: invalid"),
    (post(b"Content-Length: 5 0"), 400, "6.3: invalid"),
    (post(b"Content-Length: \"50\""), 400, "6.3: invalid"),
    (post(b"Content-Length: \xd9\xa5"), 400, "6.3: invalid"),
    (post(b"Content-Length: 18446744073709551616"), 400, "9110 8.6: overflow"),
    (post(b"Content-Length: 18446744073709551666"), 400, "9110 8.6: overflow"),
    (post(b"Content-Length: " + b"9" * 100), 400, "9110 8.6: overflow"),
    # Transfer-Encoding
    (post(CHUNKED, body=CHUNKS), 202, "6.1"),
    (post(b"transfer-encoding:CHUNKED ", body=CHUNKS), 202, "7: names of codings have no case"),
    (post(CHUNKED, LENGTH, body=CHUNKS), 400, "6.1: both may be rejected"),
    (post(LENGTH, CHUNKED, body=CHUNKS), 400, "6.1: both may be rejected"),
    (post(b"Content-Length: 0", CHUNKED, body=CHUNKS), 400, "6.1: both may be rejected"),
    (post(CHUNKED, b"Connection: keep-alive", version=b"HTTP/1.0", body=CHUNKS), 400,
     "6.1: faulty framing in HTTP/1.0"),
    (post(CHUNKED, LENGTH, b"Connection: keep-alive", version=b"HTTP/1.0", body=CHUNKS), 400,
     "6.1: faulty framing in HTTP/1.0"),
    (post(CHUNKED, CHUNKED, body=CHUNKS), 400, "6.1: chunked once only"),
    (post(b"Transfer-Encoding: chunked, chunked", body=CHUNKS), 400, "6.1: chunked once only"),
    (post(b"Transfer-Encoding: chunked, identity", body=CHUNKS), 400, "6.3: chunked is not the last"),
    (post(b"Transfer-Encoding: identity", body=CHUNKS), 400, "6.3: chunked is not the last"),
    (post(b"Transfer-Encoding: gzip", body=CHUNKS), 400, "6.3: chunked is not the last"),
    (post(b"Transfer-Encoding: gzip, chunked", body=CHUNKS), 501, "6.1: a coding not understood"),
    (post(b"Transfer-Encoding: xchunked", body=CHUNKS), 400, "6.3: chunked is not the last"),
    (post(b"Transfer-Encoding: chunkedx", body=CHUNKS), 400, "6.3: chunked is not the last"),
    (post(b"Transfer-Encoding: chunked;q=1", body=CHUNKS), 400, "7: no parameters"),
    (post(b"Transfer-Encoding: \"chunked\"", body=CHUNKS), 400, "6.3: chunked is not the last"),
    (post(b"Transfer-Encoding: \x0bchunked", body=CHUNKS), 400, "9110 5.5: control characters"),
    (post(b"Transfer-Encoding:", body=CHUNKS), 400, "6.3: chunked is not the last"),
    (post(b"Transfer-Encoding: gzip", CHUNKED, body=CHUNKS), 400, "6.1: here once at most"),
    (post(b"Transfer-Encoding : chunked", body=CHUNKS), 400, "5.1: no white space before the colon"),
    (get(CHUNKED) + b"0\r\n\r\n", 200, "6.1: any method may have one"),
    # chunks
    (chunks(last=b"000\r\n"), 202, "7.1: last-chunk = 1*(\"0\")"),
    (chunks(size=b"000" + SIZE), 202, "7.1: 1*HEXDIG"),
    (chunks(size=SIZE.upper()), 202, "7.1: HEXDIG"),
    (chunks(size=b"0x" + SIZE), 400, "7.1: 1*HEXDIG"),
    (chunks(size=b"+" + SIZE), 400, "7.1: 1*HEXDIG"),
    (chunks(size=b"-" + SIZE), 400, "7.1: 1*HEXDIG"),
    (chunks(size=b" " + SIZE), 400, "7.1: 1*HEXDIG"),
    (chunks(size=b""), 400, "7.1: 1*HEXDIG"),
    (chunks(size=b";a=b"), 400, "7.1: 1*HEXDIG"),
    (chunks(size=b"1" + b"0" * 14 + SIZE), 400, "7.1: overflow"),
    (chunks(size=b"0" * 100 + SIZE), 400, "7.1: longer than any number"),
    (chunks(after_size=b" \r\n"), 400, "7.1: nothing behind the size"),
    (chunks(after_size=b"\t\r\n"), 400, "7.1: nothing behind the size"),
    (chunks(after_size=b"\n"), 400, "2.2: LF alone"),
    (chunks(after_size=b"\r"), 400, "2.2: CR alone"),
    (chunks(after_size=b"\rX"), 400, "2.2: CR alone"),
    (chunks(after_size=b"\r\r\n"), 400, "2.2: CR alone"),
    (chunks(after_size=b"x\r\n"), 400, "7.1: 1*HEXDIG"),
    (chunks(after_data=b""), 400, "7.1: CRLF behind the data"),
    (chunks(after_data=b"\n"), 400, "7.1: CRLF behind the data"),
    (chunks(after_data=b"\r"), 400, "7.1: CRLF behind the data"),
    (chunks(after_data=b"\rX"), 400, "7.1: CRLF behind the data"),
    (chunks(after_data=b"XX\r\n"), 400, "7.1: CRLF behind the data"),
    (chunks(after_size=b";name\r\n"), 202, "7.1.1: unknown extensions are ignored"),
    (chunks(after_size=b";name=value\r\n"), 202, "7.1.1: unknown extensions are ignored"),
    (chunks(after_size=b";name=\"a;b c\"\r\n"), 202, "7.1.1: unknown extensions are ignored"),
    (chunks(after_size=b";a=b\r\n", last=b"0;e=f\r\n"), 202, "7.1.1: unknown extensions are ignored"),
    (chunks(after_size=b";a\nb\r\n"), 400, "2.2: LF alone"),
    (chunks(after_size=b";a\rb\r\n"), 400, "2.2: CR alone"),
    (chunks(after_size=b";a\x00b\r\n"), 400, "7.1.1: no control characters"),
    (chunks(after_size=b";a=\"b\r\n"), 400, "7.1.1: a quoted string is closed"),
    (chunks(after_size=b";a=\"b\r\n\"\r\n"), 400, "7.1.1: no line end in a quoted string"),
    (chunks(after_size=b";a=" + b"b" * 17000 + b"\r\n"), 431, "7.1.1: limited in length"),
    (chunks(last=b"0\n"), 400, "2.2: LF alone"),
    (chunks(last=b"0\r"), 400, "2.2: CR alone"),
    # trailers
    (chunks(trailer=b"X: y\r\n\r\n"), 202, "7.1.2: ignored"),
    (chunks(trailer=b"Accept-Encoding: gzip\r\nContent-Type: text/xml\r\n\r\n"), 202, "7.1.2: ignored"),
    (chunks(trailer=b"X : y\r\n\r\n"), 400, "5.1: no white space before the colon"),
    (chunks(trailer=b": y\r\n\r\n"), 400, "5: a name has at least one character"),
    (chunks(trailer=b" X: y\r\n\r\n"), 400, "5.2: obs-fold"),
    (chunks(trailer=b"X: y\n\r\n"), 400, "2.2: LF alone"),
    (chunks(trailer=b"\n"), 400, "2.2: LF alone"),
    (chunks(trailer=b"\rX"), 400, "2.2: CR alone"),
    (chunks(trailer=b"X: y\r\n\rX"), 400, "2.2: CR alone"),
    (chunks(trailer=b"Content-Length: 5\r\n\r\n"), 400, "9110 6.5.1: no framing in trailers"),
    (chunks(trailer=b"Transfer-Encoding: chunked\r\n\r\n"), 400, "9110 6.5.1: no framing in trailers"),
    (chunks(trailer=b"Host: y\r\n\r\n"), 400, "9110 6.5.1: no routing in trailers"),
    (chunks(trailer=b"Connection: close\r\n\r\n"), 400, "9110 6.5.1: no control data in trailers"),
    (chunks(trailer=b"X: " + b"y" * 17000 + b"\r\n\r\n"), 431, "9110 5.4: as large as the server wishes"),
    # what else a head asks for
    (get(b"Connection: upgrade", b"Upgrade: h2c", b"HTTP2-Settings: AAMA"), 200,
     "9110 7.8: Upgrade may be ignored"),
    (get(b"Connection: keep-alive, upgrade", b"Upgrade: websocket"), 200,
     "9110 7.8: Upgrade may be ignored"),
    (get(b"Expect: 100-continue"), 200, "9110 10.1.1: without a body it has no effect"),
]

# Answered, and the last: what stands behind it is not looked at.
LAST = [
    (get(b"Connection: close"), 200, "9.6: no further requests after close"),
    (post(LENGTH, b"Connection: close"), 202, "9.6: no further requests after close"),
    (post(LENGTH, b"connection: x, CLOSE"), 202, "9.6: no further requests after close"),
    (head(b"Host: x", LENGTH, b"Connection: close", target=b"/save?ack=committed") + BODY, 204,
     "9.6: no further requests after close, however long the answer takes"),
    (get(version=b"HTTP/1.0"), 200, "9.3: HTTP/1.0 without keep-alive"),
    (get(host=None, version=b"HTTP/1.0"), 200, "9.3: HTTP/1.0 without keep-alive"),
]

server = None


def setup():
    global server
    if server is None:
        server = Server(header_timeout="3s", body_timeout="3s", idle_timeout="3s")


def answers(data, bytewise):
    """All that comes back until the server closes."""
    client = server.connect()
    got = []
    try:
        for piece in [data[i:i + 1] for i in range(len(data))] if bytewise else [data]:
            client.send(piece)
    except OSError:
        pass        # the rest is not wanted
    try:
        while True:
            answer = client.answer()
            if answer is None:
                break
            got.append(answer)
    except ConnectionResetError:
        pass
    client.close()
    return got


def behind(number, bytewise):
    tag = f"behind/{number}/{'bytes' if bytewise else 'whole'}"
    return tag, request_bytes("POST", "/save?ack=committed", json.dumps(
        message(1, tag, [1])).encode(), {**NDJSON, "Connection": "close"})


def check(bytewise):
    """Sends all cases; returns what went wrong."""
    wrong = []
    kept = set()
    for number, (data, expected, why) in enumerate(CASES + LAST):
        last = (data, expected, why) in LAST
        tag, next_request = behind(number, bytewise)
        got = answers(data + next_request, bytewise and len(data) < 5000)
        statuses = [answer.status for answer in got]
        expected = expected if isinstance(expected, tuple) else (expected,)
        accepted = expected[0] < 400 and b"HTTP/1.0" not in data
        if expected[0] < 400 and not last and accepted:
            right = len(got) == 2 and got[0].status in expected and statuses[1] == 204
            kept.add(tag)
        else:
            right = len(got) == 1 and got[0].status in expected and \
                got[0].headers.get("connection") == "close"
            if right and expected[0] >= 400:
                right = got[0].headers["content-type"] == "application/problem+json" and \
                    got[0].json()["status"] == got[0].status
        if not right:
            wrong.append(f"{data[:160]!r} got {statuses} instead of {expected}: {why}")
    stored = {row[0] for row in sql(f"SELECT DISTINCT tag FROM {server.table}")}
    mode = "bytes" if bytewise else "whole"
    smuggled = {tag for tag in stored if tag.startswith("behind/") and tag.endswith(mode)} - kept
    wrong += [f"stored from behind a refused request: {tag}" for tag in sorted(smuggled)]
    wrong += [f"not stored: {tag}" for tag in sorted(kept - stored)]
    return wrong


def test_whole():
    """each framing sent at once"""
    setup()
    assert len(CASES) >= 100
    wrong = check(False)
    assert not wrong, "\n" + "\n".join(wrong)


def test_byte_by_byte():
    """each framing in single bytes"""
    setup()
    wrong = check(True)
    assert not wrong, "\n" + "\n".join(wrong)


def test_behind_the_same_lines():
    """what a request before it began with makes no difference: each framing behind one that it resembles"""
    setup()
    firsts = [(get(), 200), (post(LENGTH), 202), (post(b"Content-Length: 00%d" % len(BODY)), 202),
              (post(CHUNKED, body=CHUNKS), 202), (get(b"X: a"), 200),
              (get(b"Connection: keep-alive", version=b"HTTP/1.0"), 200)]
    wrong = []
    for number, (data, expected, why) in enumerate(CASES):
        tag, next_request = behind(number, False)
        expected = expected if isinstance(expected, tuple) else (expected,)
        for first, status in firsts:
            # those whose first line it has
            if first.split(b"\r\n")[0] != data.split(b"\r\n")[0]:
                continue
            statuses = [answer.status for answer in answers(first + first + data + next_request, False)]
            right = statuses[:2] == [status, status] and statuses[2] in expected and \
                statuses[3:] in ([204], []) and (len(statuses) == 3 or expected[0] < 400)
            if not right:
                wrong.append(f"{data[:160]!r} behind {first[:80]!r} got {statuses}: {why}")
    assert not wrong, "\n" + "\n".join(wrong)


def test_what_was_known_before():
    """HTTP/1.0, Host and the bytes of the fields count, though they were looked at in the request before"""
    setup()
    old = b"POST /save HTTP/1.0\r\nConnection: keep-alive\r\n"
    good = old + LENGTH + b"\r\n\r\n" + BODY
    filled = b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100 + b"\r\n"
    for first, second, statuses in (
            (good, good, [202, 202]),
            (good, old + CHUNKED + b"\r\n\r\n" + CHUNKS, [202, 400]),
            (get(), get(b"Host: x"), [200, 400]),
            (get(host=b"X: y", version=b"HTTP/1.0") + get(), None, [200]),
            (get(b"Connection: keep-alive", host=b"X: y", version=b"HTTP/1.0"),
             b"GET /livez HTTP/1.0\r\nX: y\r\nHost: x\r\nHost: y\r\n\r\n", [200, 400]),
            (post(LENGTH, b"X: a"), post(LENGTH, b"X: a"), [202, 202]),
            (chunks(trailer=b"X: y\r\n\r\n"), chunks(trailer=b"X: y\r\n\r\n"), [202, 202]),
            (post(LENGTH), post(LENGTH, LENGTH), [202, 400]),
            (post(LENGTH), post(LENGTH, CHUNKED, body=CHUNKS), [202, 400]),
            (post(CHUNKED, body=CHUNKS), post(CHUNKED, LENGTH, body=CHUNKS), [202, 400]),
            (post(CHUNKED, body=CHUNKS), post(b"Transfer-Encoding: gzip, chunked", body=CHUNKS), [202, 501]),
            (post(LENGTH, b"X: a"), post(b"Content-Length:\r\nX: a", body=b""), [202, 400]),
            (filled + b"\r\n", filled + b"Y: " + b"b" * (16384 - 5 - len(filled) + 21) + b"\r\n\r\n",
             [200, 200]),
            (filled + b"\r\n", filled + b"Y: " + b"b" * (16384 - 5 - len(filled) + 22) + b"\r\n\r\n",
             [200, 431])):
        got = [answer.status for answer in answers(first + (second or b"") + get(b"Connection: close"), False)]
        if statuses[-1] < 400 and second is not None:
            statuses = statuses + [200]
        assert got == statuses, (first, second, got)


def test_every_split():
    """two pieces, cut anywhere, are the same requests"""
    setup()
    one = post(LENGTH)
    other = post(CHUNKED, body=SIZE + b";a=\"b\"\r\n" + BODY + b"\r\n0\r\nX: y\r\n\r\n")
    bad = get(b"X : y")
    whole = one + other + bad + get()
    for cut in range(1, len(whole)):
        client = server.connect()
        client.send(whole[:cut])
        try:
            client.send(whole[cut:])
        except OSError:
            assert cut > len(one + other), cut
        statuses = []
        while (answer := client.answer()) is not None:
            statuses.append(answer.status)
        assert statuses == [202, 202, 400], (cut, statuses)
        client.close()


def test_refused_behind_others():
    """what is right before a refused request is answered, though it takes longer"""
    setup()
    for count in (1, 3, 300):
        client = server.connect()
        client.send((head(b"Host: x", LENGTH, target=b"/save?ack=committed") + BODY) * count +
                    get(b": y") + get())
        statuses = []
        while (answer := client.answer()) is not None:
            statuses.append(answer.status)
        assert statuses == [204] * count + [400], statuses


def test_nothing_behind_a_blocked_one():
    """a query stops the reading; what is wrong behind it is refused in its turn"""
    setup()
    assert server.save(message(1, "q", [1]), "?ack=committed").status == 204
    query = get(target=b"/api?tag=q&start=0&end=9&samples=1")
    for tail in (b"GET /livez HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n", b"\x16\x03\x01", b"\n"):
        client = server.connect()
        client.send(query * 3 + tail + get())
        statuses = []
        while (answer := client.answer()) is not None:
            statuses.append(answer.status)
        assert statuses == [200, 200, 200, 400], (tail, statuses)


if __name__ == "__main__":
    run(sys.modules[__name__])
