#!/usr/bin/env python3
"""Verifies an evidence package with code that shares nothing with the node's.

    python3 verify_evidence.py PACKAGE... [--key KEY]...     (KEY: 130 hexadecimal digits, 04 x y)

Standard library only. SM3 is GB/T 32905-2016, SM2 is GB/T 32918.2-2016 on the curve of
GB/T 32918.5-2017, trees and proofs are RFC 9162 section 2.1 over SM3, canonical bytes are
RFC 8785. The format is in node/docs/evidence-package.md. Exit 0: verified; 1: refused; 2: usage.

It does not evaluate the filter (whether an entry is `matched` or `related` is signed, and
`kouanctl ledger verify` also recomputes it), and it does not know whose key is whose.
"""
import json
import sys

P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A = P - 3
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
G = (0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
     0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0)
SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d034200")
M = 0xFFFFFFFF


class Refused(Exception):
    """What does not fit, in a sentence."""


def unhex(text):
    """Digits in lower case and nothing else."""
    raw = bytes.fromhex(text)
    if raw.hex() != text:
        raise Refused("digits are not in their one form")
    return raw


def exact(value, names):
    if set(value) != set(names.split()):
        raise Refused(f"there is more or less than {names}")


def rotate(x, n):
    n %= 32
    return (x << n | x >> (32 - n)) & M if n else x


def sm3(message):
    state = [0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600,
             0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E]
    message += b"\x80" + bytes((55 - len(message)) % 64) + (len(message) * 8).to_bytes(8, "big")
    for at in range(0, len(message), 64):
        w = [int.from_bytes(message[at + 4 * i:at + 4 * i + 4], "big") for i in range(16)]
        for j in range(16, 68):
            x = w[j - 16] ^ w[j - 9] ^ rotate(w[j - 3], 15)
            w.append(x ^ rotate(x, 15) ^ rotate(x, 23) ^ rotate(w[j - 13], 7) ^ w[j - 6])
        a, b, c, d, e, f, g, h = state
        for j in range(64):
            t = 0x79CC4519 if j < 16 else 0x7A879D8A
            s1 = rotate((rotate(a, 12) + e + rotate(t, j)) & M, 7)
            s2 = s1 ^ rotate(a, 12)
            ff = a ^ b ^ c if j < 16 else a & b | a & c | b & c
            gg = e ^ f ^ g if j < 16 else e & f | ~e & M & g
            t1 = (ff + d + s2 + (w[j] ^ w[j + 4])) & M
            t2 = (gg + h + s1 + w[j]) & M
            d, c, b, a = c, rotate(b, 9), a, t1
            h, g, f, e = g, rotate(f, 19), e, t2 ^ rotate(t2, 9) ^ rotate(t2, 17)
        state = [x ^ y for x, y in zip(state, (a, b, c, d, e, f, g, h))]
    return b"".join(x.to_bytes(4, "big") for x in state)


def add(p, q):
    """The sum of two points of the curve; None is its identity."""
    if p is None or q is None:
        return q or p
    if p[0] == q[0] and (p[1] + q[1]) % P == 0:
        return None
    if p == q:
        slope = (3 * p[0] * p[0] + A) * pow(2 * p[1], -1, P)
    else:
        slope = (q[1] - p[1]) * pow(q[0] - p[0], -1, P)
    x = (slope * slope - p[0] - q[0]) % P
    return x, (slope * (p[0] - x) - p[1]) % P


def multiply(k, p):
    total = None
    while k:
        total = add(total, p) if k & 1 else total
        p, k = add(p, p), k >> 1
    return total


def read_point(text):
    raw = unhex(text)
    x, y = int.from_bytes(raw[1:33], "big"), int.from_bytes(raw[33:], "big")
    on_curve = x < P and y < P and (y * y - x * x * x - A * x - B) % P == 0
    if len(raw) != 65 or raw[0] != 4 or not on_curve:
        raise Refused("a key is not a point of the curve")
    return raw, (x, y)


def key_id(text):
    return sm3(SPKI + read_point(text)[0]).hex()


def read_signature(text):
    """The two numbers in strict DER: one encoding for each pair."""
    der = unhex(text)
    numbers, rest = [], der[2:]
    for _ in range(2):
        length = rest[1] if len(rest) > 1 and rest[0] == 2 else 0
        numbers.append(int.from_bytes(rest[2:2 + length], "big"))
        rest = rest[2 + length:]
    body = b""
    for number in numbers:
        value = number.to_bytes(number.bit_length() // 8 + 1, "big")
        body += bytes([2, len(value)]) + value
    if rest or der != bytes([0x30, len(body)]) + body or not all(0 < n < N for n in numbers):
        raise Refused("a signature is not in its one form")
    return numbers


def check_signature(what, key, label, message, signature):
    raw, point = read_point(key)
    r, s = read_signature(signature)
    identity = b"1234567812345678"
    numbers = b"".join(x.to_bytes(32, "big") for x in (A, B, *G))
    z = sm3((len(identity) * 8).to_bytes(2, "big") + identity + numbers + raw[1:])
    e = int.from_bytes(sm3(z + b"kouan/v1/" + label + b"\n" + message), "big")
    t = (r + s) % N
    reached = add(multiply(s, G), multiply(t, point)) if t else None
    if reached is None or (e + reached[0]) % N != r:
        raise Refused(f"the signature over the {what} does not fit")


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def leaf(data):
    return sm3(b"\x00" + data)


def node(left, right):
    return sm3(b"\x01" + left + right)


def root_of(leaves):
    while len(leaves) > 1:
        above = [node(*leaves[i:i + 2]) for i in range(0, len(leaves) - 1, 2)]
        leaves = above + leaves[len(leaves) - len(leaves) % 2:]
    return leaves[0] if leaves else sm3(b"")


def climb(position, last, path, olds):
    """RFC 9162, 2.1.3.2 and 2.1.4.2: `olds` are the digests so far; the first takes left ones."""
    for sibling in path:
        if last == 0:
            raise Refused("a proof is too long")
        if position % 2 or position == last:
            olds = [node(sibling, reached) for reached in olds]
            while position % 2 == 0 and position:
                position, last = position >> 1, last >> 1
        else:
            olds[-1] = node(olds[-1], sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise Refused("a proof is too short")
    return olds


def check_inclusion(item, checkpoint):
    proof = item["inclusion"]
    exact(item, "index why entry inclusion")
    exact(proof, "index size path")
    if type(item["index"]) is not int or type(proof["index"]) is not int:
        raise Refused("an index is no number")
    if (proof["index"], proof["size"]) != (item["index"], checkpoint["size"]):
        raise Refused(f"the proof of entry {item['index']} is another entry's")
    if not item["index"] < checkpoint["size"]:
        raise Refused(f"entry {item['index']} is behind the checkpoint")
    path = [unhex(it) for it in proof["path"]]
    reached = climb(item["index"], checkpoint["size"] - 1, path, [leaf(item["entry"].encode())])
    if reached[-1].hex() != checkpoint["root"]:
        raise Refused(f"entry {item['index']} is not in the ledger")


def check_consistency(old, new, proof):
    sizes = proof["old_size"], proof["new_size"]
    if sizes != (old["size"], new["size"]) or not 0 <= sizes[0] < sizes[1]:
        raise Refused("the proof between the checkpoints is of other sizes")
    path = [unhex(it) for it in proof["path"]]
    position, last = sizes[0] - 1, sizes[1] - 1
    if sizes[0] == 0:
        if path or old["root"] != sm3(b"").hex():
            raise Refused("the first checkpoint is not over nothing")
        return
    while position % 2:
        position, last = position >> 1, last >> 1
    first = unhex(old["root"])
    if sizes[0] & (sizes[0] - 1):
        first, path = path[0], path[1:]
    older, newer = climb(position, last, path, [first, first])
    if (older.hex(), newer.hex()) != (old["root"], new["root"]):
        raise Refused("the first checkpoint is not the beginning of the second")


def of_key(keys, identifier, participant, at_node):
    for known in keys:
        if (known["participant"], known["node"]) == (participant, at_node):
            if key_id(known["key"]) == identifier:
                return known["key"]
    return None


def check_checkpoints(package, keys, own):
    before = None
    for stored in package["checkpoints"]:
        signed, body = stored["checkpoint"], stored["checkpoint"]["body"]
        key = of_key(keys, signed["key"], own["participant"], None)
        if key is None or body["ledger"] != own:
            raise Refused("a checkpoint is not the participant's")
        check_signature("checkpoint", key, b"checkpoint", canonical(body), signed["signature"])
        if (before is None) != (stored["consistency"] is None):
            raise Refused("a proof between checkpoints is missing, or of nothing")
        if before is not None:
            check_consistency(before, body, stored["consistency"])
        for it in stored["cosignatures"]:
            key = of_key(keys, it["key"], it["witness"], it["node"])
            if key is None:
                raise Refused(f"the key of the witness {it['witness']} is missing")
            what = f"checkpoint by {it['witness']}"
            check_signature(what, key, b"cosignature", canonical(body), it["signature"])
        before = body
    return before


def check_entries(package, keys, checkpoint):
    manifest, leaves, counts, before = package["manifest"]["body"], [], {}, -1
    for item in package["entries"]:
        if item["index"] <= before:
            raise Refused("the entries are not in ascending order")
        before = item["index"]
        check_inclusion(item, checkpoint)
        counts[item["why"]] = counts.get(item["why"], 0) + 1
        mark = {"matched": b"\x01", "related": b"\x02"}[item["why"]]
        leaves.append(leaf(item["index"].to_bytes(8, "big") + mark + item["entry"].encode()))
        event = json.loads(item["entry"])["event"]
        if event["kind"] == "receipt":
            receipt = event["receipt"]
            key = of_key(keys, receipt["key"], receipt["body"]["participant"], None)
            if key is not None:
                body = canonical(receipt["body"])
                check_signature("receipt", key, b"receipt", body, receipt["signature"])
    said = {"matched": manifest["matched"], "related": manifest["related"]}
    if {"matched": 0, "related": 0, **counts} != said:
        raise Refused("entries are missing or added: the numbers are not those that were signed")
    if root_of(leaves).hex() != manifest["entries"]:
        raise Refused("the list of entries is not the one that was signed")


def verify(package, trusted):
    exact(package, "format manifest checkpoints entries report")
    exact(package["manifest"], "body key signature")
    if package["format"] != "kouan-evidence-package/1":
        raise Refused("it is another format")
    signed, manifest = package["manifest"], package["manifest"]["body"]
    owner = manifest["ledger"]["participant"]
    trusts = lambda it: it["node"] or it["participant"] != owner or it["key"] in trusted
    keys = [it for it in manifest["keys"] if not trusted or trusts(it)]
    key = of_key(keys, signed["key"], owner, None)
    if key is None:
        raise Refused("it is not signed with a key of the participant that is trusted")
    check_signature("manifest", key, b"evidence", canonical(manifest), signed["signature"])
    if sm3(canonical(package["checkpoints"])).hex() != manifest["checkpoints"]:
        raise Refused("the checkpoints are not those that were signed")
    checkpoint = check_checkpoints(package, keys, manifest["ledger"])
    check_entries(package, keys, checkpoint)
    if sm3(package["report"].encode()).hex() != manifest["report"]:
        raise Refused("the report is not the one that was signed")


def only_once(pairs):
    if len(dict(pairs)) != len(pairs):
        raise Refused("a name stands twice")
    return dict(pairs)


def no_fraction(text):
    raise Refused(f"{text} is no whole number")


def judge(path, trusted):
    """One line about one file, and whether it verifies."""
    try:
        with open(path, encoding="utf-8") as file:
            package = json.load(file, object_pairs_hook=only_once, parse_float=no_fraction,
                                parse_constant=no_fraction)
        verify(package, trusted)
    except Refused as refused:
        return f"{path}: REFUSED: {refused}", False
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError) as broken:
        return f"{path}: REFUSED: no evidence package ({type(broken).__name__}: {broken})", False
    manifest = package["manifest"]["body"]
    return (f"{path}: {'VERIFIED' if trusted else 'CONSISTENT'}: "
            f"{manifest['ledger']['participant']}, {manifest['matched']} matched, "
            f"{manifest['related']} related"), True


def main(arguments):
    paths, trusted = [], []
    while arguments:
        word = arguments.pop(0)
        if word == "--key" and arguments:
            trusted.append(arguments.pop(0))
        else:
            paths.append(word)
    if not paths or any(path.startswith("-") for path in paths):
        print(__doc__, file=sys.stderr)
        return 2
    verdicts = [judge(path, trusted) for path in paths]
    for line, _ in verdicts:
        print(line)
    return 0 if all(good for _, good in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
