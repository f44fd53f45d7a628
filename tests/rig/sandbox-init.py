"""Process 1 of a sandbox: reaps what is orphaned and writes what is sent to /dev/log.

Needs nothing but python3-minimal; its source comes by standard input.
"""

import os
import signal
import socket
import time

# Ignoring the signal makes the kernel reap every child itself.
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.umask(0o022)

log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind("/dev/log")
os.chmod("/dev/log", 0o666)
log.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
out = os.open("/var/log/auth.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
os.write(1, b"ready\n")
# Whoever started the sandbox may go on without reading.
os.close(1)

while True:
    message = log.recv(65536).rstrip(b"\n\0")
    # <PRI>Mmm dd hh:mm:ss tag[pid]: text. The stamp is the sender's; ours has milliseconds.
    if message.startswith(b"<"):
        message = message[message.find(b">") + 1:]
    text = message[16:] if message[15:16] == b" " else message
    now = time.time()
    stamp = time.strftime("%H:%M:%S", time.gmtime(now)) + ".%03d " % (now % 1 * 1000)
    os.write(out, stamp.encode() + text.replace(b"\n", b"\\n") + b"\n")
