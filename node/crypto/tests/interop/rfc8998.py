"""The other side of the RFC 8998 interoperability tests: OpenSSL 4 through pyOpenSSL.

Usage: rfc8998.py serve|connect FOLDER SUITE [PORT] [--anonymous]

FOLDER holds roots.pem and identity.pem (chain and key). `serve` prints its port, then takes one
connection; `connect` goes to 127.0.0.1:PORT. Both end the way their last line says:
`ok SUITE COMMON-NAME` of the peer, or `refused REASON`. The client sends four bytes of length
and so many bytes, and the server sends the same bytes back.
"""

import pathlib
import socket
import struct
import sys

from OpenSSL import SSL
from cryptography.x509.oid import NameOID


def context(folder, suite, anonymous, server):
    made = SSL.Context(SSL.TLS_METHOD)
    made.set_min_proto_version(SSL.TLS1_3_VERSION)
    made.set_tls13_ciphersuites(suite.encode())
    made.load_verify_locations(str(folder / "roots.pem"))
    if server or not anonymous:
        made.use_certificate_chain_file(str(folder / "identity.pem"))
        made.use_privatekey_file(str(folder / "identity.pem"))
    need = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
    made.set_verify(SSL.VERIFY_NONE if server and anonymous else need)
    return made


def receive(connection, length):
    parts = bytearray()
    while len(parts) < length:
        parts += connection.recv(min(65536, length - len(parts)))
    return bytes(parts)


def common_name(certificate):
    return certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


def report(connection):
    peer = connection.get_peer_certificate(as_cryptography=True)
    name = "-" if peer is None else common_name(peer)
    print("ok", connection.get_cipher_name(), name, flush=True)


def serve(made):
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    plain, _ = listener.accept()
    plain.settimeout(None)
    connection = SSL.Connection(made, plain)
    connection.set_accept_state()
    connection.do_handshake()
    (length,) = struct.unpack(">I", receive(connection, 4))
    connection.sendall(receive(connection, length))
    report(connection)
    connection.shutdown()


def connect(made, port):
    plain = socket.create_connection(("127.0.0.1", port))
    plain.settimeout(None)
    connection = SSL.Connection(made, plain)
    connection.set_tlsext_host_name(b"localhost")
    connection.set_connect_state()
    connection.do_handshake()
    content = bytes(range(251)) * 4000
    connection.sendall(struct.pack(">I", len(content)))
    connection.sendall(content)
    if receive(connection, len(content)) != content:
        raise SystemExit("the bytes came back changed")
    report(connection)
    connection.shutdown()


def main(arguments):
    anonymous = "--anonymous" in arguments
    arguments = [it for it in arguments if it != "--anonymous"]
    role, folder, suite = arguments[0], pathlib.Path(arguments[1]), arguments[2]
    made = context(folder, suite, anonymous, role == "serve")
    try:
        if role == "serve":
            serve(made)
        else:
            connect(made, int(arguments[3]))
    except SSL.Error as error:
        print("refused", error, flush=True)


main(sys.argv[1:])
