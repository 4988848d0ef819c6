#!/usr/bin/env python3
"""Fills a NATS server: load_nats.py PORT

200 clients subscribe to 50 subjects each, and a stream in memory keeps 200,000 messages. Like load.py it says "loaded" and
waits until its standard input ends, so that the connections stay.
"""
import random
import socket
import sys
import threading
import time

CLIENTS, SUBJECTS, MESSAGES = 200, 50, 200_000


def connect(port):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.recv(4096)
    connection.sendall(b'CONNECT {"verbose":false,"pedantic":false,"lang":"py"}\r\nPING\r\n')

    def drain():
        try:
            while connection.recv(65536):
                pass
        except OSError:
            pass

    threading.Thread(target=drain, daemon=True).start()
    return connection


def main():
    port = int(sys.argv[1])
    clients = []
    for i in range(CLIENTS):
        clients.append(connect(port))
        clients[-1].sendall(b"".join(b"SUB orders.%d.%d %d\r\n" % (i, j, j + 1) for j in range(SUBJECTS)))
    publisher = connect(port)
    stream = b'{"name":"EVENTS","subjects":["events.>"],"storage":"memory"}'
    publisher.sendall(b"PUB $JS.API.STREAM.CREATE.EVENTS _INBOX.1 %d\r\n%s\r\n" % (len(stream), stream))
    time.sleep(1)
    random.seed(1)
    for i in range(MESSAGES):
        message = b"x" * random.randrange(50, 400)
        publisher.sendall(b"PUB events.%d %d\r\n%s\r\n" % (i % 5000, len(message), message))
        if i % 10 == 0:
            publisher.sendall(b"PUB orders.%d.%d 5\r\nhello\r\n" % (i % CLIENTS, i % SUBJECTS))
    time.sleep(2)
    print("loaded", flush=True)
    sys.stdin.read()


main()
