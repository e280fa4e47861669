# SPDX-License-Identifier: Apache-2.0
"""AMQP 0-9-1 as bytes: methods, field tables, properties and frames, with nothing checked, so that tests can send nonsense."""
import struct

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
END = b"\xce"
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"

# name: (class id, method id, "type field ..."); s=shortstr S=longstr o=u8 h=u16 l=u32 L=u64 b=bit T=table
METHODS = {
    "connection.start": (10, 10, "o version_major o version_minor T server_properties S mechanisms S locales"),
    "connection.start-ok": (10, 11, "T client_properties s mechanism S response s locale"),
    "connection.secure": (10, 20, "S challenge"),
    "connection.secure-ok": (10, 21, "S response"),
    "connection.tune": (10, 30, "h channel_max l frame_max h heartbeat"),
    "connection.tune-ok": (10, 31, "h channel_max l frame_max h heartbeat"),
    "connection.open": (10, 40, "s virtual_host s capabilities b insist"),
    "connection.open-ok": (10, 41, "s known_hosts"),
    "connection.close": (10, 50, "h reply_code s reply_text h class_id h method_id"),
    "connection.close-ok": (10, 51, ""),
    "connection.blocked": (10, 60, "s reason"),
    "connection.unblocked": (10, 61, ""),
    "connection.update-secret": (10, 70, "S new_secret s reason"),
    "connection.update-secret-ok": (10, 71, ""),
    "channel.open": (20, 10, "s out_of_band"),
    "channel.open-ok": (20, 11, "S channel_id"),
    "channel.flow": (20, 20, "b active"),
    "channel.flow-ok": (20, 21, "b active"),
    "channel.close": (20, 40, "h reply_code s reply_text h class_id h method_id"),
    "channel.close-ok": (20, 41, ""),
    "access.request": (30, 10, "s realm b exclusive b passive b active b write b read"),
    "access.request-ok": (30, 11, "h ticket"),
    "exchange.declare": (
        40,
        10,
        "h ticket s exchange s type b passive b durable b auto_delete b internal b nowait T arguments",
    ),
    "exchange.declare-ok": (40, 11, ""),
    "exchange.delete": (40, 20, "h ticket s exchange b if_unused b nowait"),
    "exchange.delete-ok": (40, 21, ""),
    "exchange.bind": (40, 30, "h ticket s destination s source s routing_key b nowait T arguments"),
    "exchange.bind-ok": (40, 31, ""),
    "exchange.unbind": (40, 40, "h ticket s destination s source s routing_key b nowait T arguments"),
    "exchange.unbind-ok": (40, 51, ""),
    "queue.declare": (50, 10, "h ticket s queue b passive b durable b exclusive b auto_delete b nowait T arguments"),
    "queue.declare-ok": (50, 11, "s queue l message_count l consumer_count"),
    "queue.bind": (50, 20, "h ticket s queue s exchange s routing_key b nowait T arguments"),
    "queue.bind-ok": (50, 21, ""),
    "queue.purge": (50, 30, "h ticket s queue b nowait"),
    "queue.purge-ok": (50, 31, "l message_count"),
    "queue.delete": (50, 40, "h ticket s queue b if_unused b if_empty b nowait"),
    "queue.delete-ok": (50, 41, "l message_count"),
    "queue.unbind": (50, 50, "h ticket s queue s exchange s routing_key T arguments"),
    "queue.unbind-ok": (50, 51, ""),
    "basic.qos": (60, 10, "l prefetch_size h prefetch_count b global_"),
    "basic.qos-ok": (60, 11, ""),
    "basic.consume": (60, 20, "h ticket s queue s consumer_tag b no_local b no_ack b exclusive b nowait T arguments"),
    "basic.consume-ok": (60, 21, "s consumer_tag"),
    "basic.cancel": (60, 30, "s consumer_tag b nowait"),
    "basic.cancel-ok": (60, 31, "s consumer_tag"),
    "basic.publish": (60, 40, "h ticket s exchange s routing_key b mandatory b immediate"),
    "basic.return": (60, 50, "h reply_code s reply_text s exchange s routing_key"),
    "basic.deliver": (60, 60, "s consumer_tag L delivery_tag b redelivered s exchange s routing_key"),
    "basic.get": (60, 70, "h ticket s queue b no_ack"),
    "basic.get-ok": (60, 71, "L delivery_tag b redelivered s exchange s routing_key l message_count"),
    "basic.get-empty": (60, 72, "s cluster_id"),
    "basic.ack": (60, 80, "L delivery_tag b multiple"),
    "basic.reject": (60, 90, "L delivery_tag b requeue"),
    "basic.recover-async": (60, 100, "b requeue"),
    "basic.recover": (60, 110, "b requeue"),
    "basic.recover-ok": (60, 111, ""),
    "basic.nack": (60, 120, "L delivery_tag b multiple b requeue"),
    "confirm.select": (85, 10, "b nowait"),
    "confirm.select-ok": (85, 11, ""),
    "tx.select": (90, 10, ""),
    "tx.select-ok": (90, 11, ""),
    "tx.commit": (90, 20, ""),
    "tx.commit-ok": (90, 21, ""),
    "tx.rollback": (90, 30, ""),
    "tx.rollback-ok": (90, 31, ""),
}
FIELDS = {name: list(zip(spec.split()[0::2], spec.split()[1::2])) for name, (_, _, spec) in METHODS.items()}
IDS = {name: (cls, method) for name, (cls, method, _) in METHODS.items()}
NAMES = {ids: name for name, ids in IDS.items()}
CONTENT = {"basic.publish", "basic.return", "basic.deliver", "basic.get-ok"}

# In flag order from bit 15.
PROPERTIES = [
    ("content_type", "s"),
    ("content_encoding", "s"),
    ("headers", "T"),
    ("delivery_mode", "o"),
    ("priority", "o"),
    ("correlation_id", "s"),
    ("reply_to", "s"),
    ("expiration", "s"),
    ("message_id", "s"),
    ("timestamp", "L"),
    ("type", "s"),
    ("user_id", "s"),
    ("app_id", "s"),
    ("cluster_id", "s"),
]
NUMBERS = {"o": ">B", "h": ">H", "l": ">I", "L": ">Q"}
# Field-table tags of fixed size, as RabbitMQ reads them (not as the specification's text has them).
FIXED = {
    "t": ">?",
    "b": ">b",
    "B": ">B",
    "s": ">h",
    "u": ">H",
    "I": ">i",
    "i": ">I",
    "l": ">q",
    "L": ">q",
    "f": ">f",
    "d": ">d",
    "T": ">Q",
}


class Tagged:
    """A field-table value with its wire type, e.g. Tagged("s", -5); `value` of tag "D" is (scale, number)."""

    def __init__(self, tag, value=None):
        self.tag, self.value = tag, value

    def __eq__(self, other):
        return isinstance(other, Tagged) and (self.tag, self.value) == (other.tag, other.value)

    def __repr__(self):
        return f"{self.tag}:{self.value!r}"


def octets(value):
    return value if isinstance(value, bytes) else value.encode()


def shortstr(value):
    raw = octets(value)
    return bytes([len(raw)]) + raw


def longstr(value):
    raw = octets(value)
    return struct.pack(">I", len(raw)) + raw


def tag_of(value):
    """The tag a plain Python value gets."""
    if isinstance(value, bool):
        return "t"
    if isinstance(value, int):
        return "I" if -(2**31) <= value < 2**31 else "l"
    return {str: "S", bytes: "S", float: "d", dict: "F", list: "A", type(None): "V"}[type(value)]


def encode_value(value):
    if not isinstance(value, Tagged):
        value = Tagged(tag_of(value), value)
    tag, v = value.tag, value.value
    if tag in FIXED:
        raw = struct.pack(FIXED[tag], v)
    elif tag in ("S", "x"):
        raw = longstr(v)
    elif tag == "F":
        raw = encode_table(v)
    elif tag == "A":
        raw = longstr(b"".join(encode_value(item) for item in v))
    elif tag == "D":
        raw = struct.pack(">BI", *v)
    elif tag == "V":
        raw = b""
    else:
        raw = v  # a tag nobody knows: bytes as given
    return octets(tag) + raw


def encode_table(table):
    if isinstance(table, bytes):
        return longstr(table)
    return longstr(b"".join(shortstr(key) + encode_value(value) for key, value in (table or {}).items()))


class Reader:
    """A cursor over received bytes; `typed` keeps the tags of table values."""

    def __init__(self, raw, typed=False):
        self.raw, self.at, self.typed = raw, 0, typed

    def take(self, n):
        assert self.at + n <= len(self.raw), "the broker sent a truncated field"
        self.at += n
        return self.raw[self.at - n : self.at]

    def number(self, fmt):
        return struct.unpack(fmt, self.take(struct.calcsize(fmt)))[0]

    def text(self, size_format):
        raw = self.take(self.number(size_format))
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return raw

    def table(self):
        inner = Reader(self.take(self.number(">I")), self.typed)
        table = {}
        while inner.at < len(inner.raw):
            key = inner.text(">B")
            table[key] = inner.value()
        return table

    def array(self):
        inner = Reader(self.take(self.number(">I")), self.typed)
        items = []
        while inner.at < len(inner.raw):
            items.append(inner.value())
        return items

    def value(self):
        tag = self.take(1).decode()
        if tag in FIXED:
            value = self.number(FIXED[tag])
        elif tag == "x":
            value = self.take(self.number(">I"))
        elif tag == "D":
            value = struct.unpack(">BI", self.take(5))
        else:
            value = {"S": lambda: self.text(">I"), "F": self.table, "A": self.array, "V": lambda: None}[tag]()
        return Tagged(tag, value) if self.typed else value

    def field(self, kind):
        if kind in NUMBERS:
            return self.number(NUMBERS[kind])
        return {"s": lambda: self.text(">B"), "S": lambda: self.text(">I"), "T": self.table}[kind]()


def encode_field(kind, value):
    if kind in NUMBERS:
        return struct.pack(NUMBERS[kind], value or 0)
    return {"s": shortstr, "S": longstr, "T": encode_table}[kind](
        value if value is not None else "" if kind != "T" else {}
    )


def encode_args(name, args):
    """The arguments of a method; those not given are zero or empty."""
    unknown = set(args) - {field for _, field in FIELDS[name]}
    assert not unknown, f"{name} has no {unknown}"
    out, bits, nbits = b"", 0, 0
    for kind, field in FIELDS[name]:
        if kind == "b":
            bits |= bool(args.get(field)) << nbits
            nbits += 1
            continue
        if nbits:
            out, bits, nbits = out + bytes([bits]), 0, 0
        out += encode_field(kind, args.get(field))
    return out + (bytes([bits]) if nbits else b"")


def decode_args(name, raw, typed=False):
    reader, args, nbits = Reader(raw, typed), {}, 0
    for kind, field in FIELDS[name]:
        if kind != "b":
            args[field], nbits = reader.field(kind), 0
            continue
        if nbits == 0:
            octet = reader.number(">B")
        args[field] = bool(octet >> nbits & 1)
        nbits += 1
    assert reader.at == len(raw), f"{name}: {len(raw) - reader.at} octets too many"
    return args


def encode_properties(props):
    flags, out = 0, b""
    for i, (field, kind) in enumerate(PROPERTIES):
        if props.get(field) is not None:
            flags |= 1 << 15 - i
            out += encode_field(kind, props[field])
    assert not set(props) - {field for field, _ in PROPERTIES}, props
    return struct.pack(">H", flags) + out


def decode_properties(raw, typed=False):
    reader = Reader(raw, typed)
    flags = reader.number(">H")
    props = {field: reader.field(kind) for i, (field, kind) in enumerate(PROPERTIES) if flags >> 15 - i & 1}
    assert reader.at == len(raw), "octets left behind the properties"
    return props


def frame(kind, channel, payload):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + END


def method_frame(channel, name, **args):
    return frame(METHOD, channel, struct.pack(">HH", *IDS[name]) + encode_args(name, args))


def header_frame(channel, size, props=None, class_id=60):
    raw = props if isinstance(props, bytes) else encode_properties(props or {})
    return frame(HEADER, channel, struct.pack(">HHQ", class_id, 0, size) + raw)


def content_frames(channel, body, props=None, frame_max=131072):
    """Header frame and as many body frames as `frame_max` asks for."""
    step = (frame_max or 2**31) - 8
    pieces = [header_frame(channel, len(body), props)]
    pieces += [frame(BODY, channel, body[i : i + step]) for i in range(0, len(body), step)]
    return b"".join(pieces)
