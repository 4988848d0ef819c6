#!/usr/bin/env python3
"""Fills a server that speaks redis' protocol: load.py PORT (redis | simple).

The data is the same in every run. `simple` keeps to strings, with and without an expiry, which small servers know too, and
leaves some subscribers behind; the program waits until its standard input ends, so that their connections stay.
"""
import random
import socket
import sys

BATCH = 1000


def encode(*words):
    parts = [str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


def connect(port):
    return socket.create_connection(("127.0.0.1", port))


def send_all(port, commands):
    connection = connect(port)
    answers = connection.makefile("rb")
    batch = []

    def flush():
        connection.sendall(b"".join(batch))
        for _ in batch:
            line = answers.readline()
            if line[:1] == b"-":
                sys.exit("load.py: the server said " + line.decode().strip())
            if line[:1] == b"$" and int(line[1:]) >= 0:
                answers.read(int(line[1:]) + 2)
        batch.clear()

    for command in commands:
        batch.append(encode(*command))
        if len(batch) == BATCH:
            flush()
    flush()


def redis(rng):
    for i in range(200_000):
        yield "SET", f"user:{i}", f"value of user {i} " + "x" * rng.randrange(100)
    for i in range(20_000):
        yield "HSET", f"session:{i}", "name", f"n{i}", "token", "t" * rng.randrange(20, 120), "seen", i
    for i in range(2_000):
        yield "RPUSH", f"queue:{i % 50}", *[f"job {i} " + "y" * rng.randrange(80) for _ in range(30)]
    for i in range(100_000):
        yield "ZADD", f"scores:{i % 20}", rng.random(), f"member{i}"
    for i in range(100_000):
        yield "SADD", f"tags:{i % 20}", f"tag{i}"
    for i in range(20_000):
        yield "XADD", f"stream:{i % 5}", "*", "field", f"value{i}", "k", "z" * 50
    for i in range(50_000):
        yield "SETEX", f"tmp:{i}", 10_000 + i, f"t{i}"


def simple(rng):
    for i in range(400_000):
        if i % 4 == 0:
            yield "SET", f"tmp:{i}", f"v{i}", "PX", 100_000_000 + i
        else:
            yield "SET", f"user:{i}", f"value of user {i} " + "x" * rng.randrange(100)


def main():
    port, kind = int(sys.argv[1]), sys.argv[2]
    send_all(port, (redis if kind == "redis" else simple)(random.Random(1)))
    subscribers = []
    for i in range(200):
        subscribers.append(connect(port))
        subscribers[-1].sendall(encode("SUBSCRIBE", *[f"channel{i % 20 + k}" for k in range(5)]))
        subscribers[-1].recv(1)
    print("loaded", flush=True)
    sys.stdin.read()


main()
