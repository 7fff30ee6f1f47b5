"""Writes identifiers-v1.json: the frozen answers of the first version of every identifier scheme.

    python tests/vectors/make_identifiers_v1.py

The right-hand sides below were written by hand from the rules of docs/protocol.md and from the
sources named beside them; the script stops where the code says otherwise. It only ever adds: an
answer that is in the file already and would change stops it too, because a changed answer is a
changed scheme and needs the next version's name.

Only reserved or published examples: example.com/.org and .example, mailboxes that spell out what
they are, +49 30 23125 xxx (Bundesnetzagentur), +44 1632 960xxx (Ofcom), +1 … 555-01xx (NANPA), IBANs
of the SWIFT registry's documentation, addresses of BIP-84, 86, 173, 350 and EIP-55, base58 of a
digest that nobody has a key to, MAC addresses of RFC 7042, UUIDs of RFC 9562, IMEIs of the test range
00.
"""

import json
from pathlib import Path
from typing import Any

from protocol.errors import MalformedError
from protocol.identifiers import normalise

FILE = Path(__file__).with_name("identifiers-v1.json")

ACCEPTED: dict[str, dict[str, list[str]]] = {
    "email": {
        "anna.muster@example.com": [
            "anna.muster@example.com",
            "Anna.Muster@EXAMPLE.com",
            "  anna.muster@example.com\n",
            "ａｎｎａ．ｍｕｓｔｅｒ＠ｅｘａｍｐｌｅ．ｃｏｍ",
            "\u202aanna.muster@example.com.\u202c",
        ],
        "anna+tag@example.org": ["Anna+Tag@example.org"],
        "strasse@xn--strae-oqa.example": [
            "Straße@straße.example",
            "STRASSE@STRAẞE.EXAMPLE",
            "strasse@xn--strae-oqa.example",
        ],
        "o'brien_{x}=y@example.org": ["O'Brien_{x}=y@example.org"],
        "用户@xn--fsqu00a.xn--0zwm56d": ["用户@例子.测试"],
        "jos\u00e9@example.org": ["Jose\u0301@example.org", "JOS\u00c9@example.org"],
        "schutznetzexample@gmail.com": [
            "schutznetz.example@gmail.com",
            "S.c.h.u.t.z.n.e.t.z.Example+tag@GoogleMail.com",
        ],
        "schutznetzexample@proton.me": ["Schutznetz-Example_+tag@proton.me"],
        "schutznetz.example@outlook.com": ["Schutznetz.Example+tag@outlook.com"],
        "schutznetz.example@fastmail.com": ["schutznetz.example+tag+more@fastmail.com"],
    },
    "phone": {
        "+493023125000": [
            "+49 30 23125 000",
            "+49 (0)30 23125-000",
            "tel:+49-30-23125000",
            "＋４９ ３０ ２３１２５ ０００",
            "\u202a+49 30 23125\u2011000\u202c",
            "DE|030 / 23125 000",
            "DE|0049 30 23125000",
            "GB|0049 30 23125000",
            "US|+49 30 23125000",
            "DE|٠٣٠ ٢٣١٢٥ ٠٠٠",
            "+49 30 23125000 ext. 12",
        ],
        "+441632960001": ["+44 1632 960001", "GB|(01632) 960001", "+44 (0) 1632 960 001"],
        "+12025550123": [
            "+1 202-555-0123",
            "US|(202) 555-0123",
            "US|202.555.0123",
            "CA|1 202 555 0123",
            "DE|001 202 555 0123",
            "tel:+1-202-555-0123;ext=9",
        ],
    },
    "device": {
        "uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6": [
            "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6",
            "{f81d4fae-7dec-11d0-a765-00a0c91e6bf6}",
            "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "idfa: F81D4FAE7DEC11D0A76500A0C91E6BF6",
        ],
        "uuid:919108f7-52d1-4320-9bac-f847db4148a8": [
            "gaid:919108f7-52d1-4320-9bac-f847db4148a8",
            "IDFV:919108F7-52D1-4320-9BAC-F847DB4148A8",
            "uuid:919108f7-52d1-4320-9bac-f847db4148a8",
        ],
        "imei:001015001234563": [
            "001015001234563",
            "00-101500-123456-3",
            "IMEI: 00 101500 123456 3",
        ],
        "imei:004401234567895": ["imei:004401234567895"],
        "mac:00:00:5e:00:53:01": [
            "00:00:5E:00:53:01",
            "00-00-5e-00-53-01",
            "0000.5e00.5301",
            "00005E005301",
            "mac:00:00:5e:00:53:01",
        ],
    },
    "payment": {
        "iban:DE89370400440532013000": [
            "DE89370400440532013000",
            "DE89 3704 0044 0532 0130 00",
            "IBAN: de89-3704-0044-0532-0130-00",
            "iban:DE89370400440532013000",
        ],
        "iban:GB82WEST12345698765432": ["IBAN GB82 WEST 1234 5698 7654 32"],
        "iban:NO9386011117947": ["NO93 8601 1117 947"],
        "iban:MT84MALT011000012345MTLCAST001S": ["mt84 malt 0110 0001 2345 mtlc ast0 01s"],
        "iban:BE68539007547034": ["ＢＥ６８ ５３９０ ０７５４ ７０３４"],
        "card:tok_Example-1a2B3c": ["card:tok_Example-1a2B3c", "Card: tok_Example-1a2B3c"],
        # BIP-173
        "btc:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4": [
            "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
            "bitcoin:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4?amount=0.1&label=x",
        ],
        "btc:bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3": [
            "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3"
        ],
        # BIP-350, taproot first
        "btc:bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0": [
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            "BC1P0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQZK5JJ0",
        ],
        "btc:bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y": [
            "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y"
        ],
        "btc:bc1sw50qgdz25j": ["BC1SW50QGDZ25J"],
        "btc:bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs": ["bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs"],
        # BIP-86 and BIP-84
        "btc:bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr": [
            "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr"
        ],
        "btc:bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu": [
            "btc:bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu"
        ],
        # base58check of the first 20 bytes of SHA-256("schutznetz example, nobody's key")
        "btc:1JVw8fwXEg7QBL4MBDQAfDj2nW81rAzzzo": [
            "1JVw8fwXEg7QBL4MBDQAfDj2nW81rAzzzo",
            "bitcoin:1JVw8fwXEg7QBL4MBDQAfDj2nW81rAzzzo",
        ],
        "btc:3KBx4DRxnaRnGVknJK4m5r5xw2QjNfQ2yS": ["3KBx4DRxnaRnGVknJK4m5r5xw2QjNfQ2yS"],
        # the same with its first two bytes zero: three leading ones
        "btc:1112AaU18g5DCmXRRmStcA7xdGodUSsFFW": ["1112AaU18g5DCmXRRmStcA7xdGodUSsFFW"],
        # EIP-55: mixed case, all upper, all lower
        "evm:0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed": [
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "eth:0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
            "ethereum:0x5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED",
        ],
        "evm:0xfb6916095ca1df60bb79ce92ce3ea74c37c5d359": [
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
        ],
        "evm:0xdbf03b407c01e7cd3cbea99509d93f8dddc8c6fb": [
            "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB"
        ],
        "evm:0xd1220a0cf47c7b9be7a2e6ba89f429762e7b9adb": [
            "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb"
        ],
        "evm:0x52908400098527886e0f7030069857d2e4169ee7": [
            "0x52908400098527886E0F7030069857D2E4169EE7"
        ],
        "evm:0xde709f2102306220921060314715629080e2fb77": [
            "0xde709f2102306220921060314715629080e2fb77"
        ],
    },
    "username": {
        "example.social/anna": [
            "example.social|anna",
            "example.social|@Anna",
            "Example.Social|ＡＮＮＡ",
            "www.example.social|anna",
            "example.social|@anna@example.social",
        ],
        "example.org/anna": ["example.org|anna"],
        "example.social/anna.muster_99": ["example.social|Anna.Muster_99"],
        "example.social/straße": ["example.social|Straße"],
        "example.social/fish": ["example.social|ﬁsh"],
        "example.social/αλέξης": ["example.social|Αλέξης"],
        "example.social/раypal": ["example.social|Раypal"],
        "example.social/anna#1234": ["example.social|anna#1234"],
        "example.social/a/b": ["example.social|a/b"],
        "xn--strae-oqa.example/anna": ["straße.example|Anna"],
        "example.social/山田": ["example.social|山田"],
        "example.social/jos\u00e9": ["example.social|Jose\u0301"],
    },
    "invite": {
        "telegram:AAAAAExampleCode": [
            "https://t.me/joinchat/AAAAAExampleCode",
            "https://t.me/+AAAAAExampleCode",
            "T.ME/+AAAAAExampleCode?utm_source=x",
            "https://telegram.me/joinchat/AAAAAExampleCode",
            "https://t.me/%2BAAAAAExampleCode",
            "telegram:AAAAAExampleCode",
        ],
        "telegram:@example_group": ["https://t.me/Example_Group", "http://t.me/s/example_group/"],
        "discord:Example1": [
            "https://discord.gg/Example1",
            "https://discord.com/invite/Example1?event=1",
            "discordapp.com/invite/Example1",
            "https://www.discord.gg/invite/Example1",
        ],
        "whatsapp:ExampleExampleExample1": [
            "https://chat.whatsapp.com/ExampleExampleExample1",
            "https://chat.whatsapp.com/invite/ExampleExampleExample1",
        ],
        "signal:CjQKIExampleExampleExample_-": [
            "https://signal.group/#CjQKIExampleExampleExample_-"
        ],
        "groups.example.org/g/Abc-123": [
            "https://groups.example.org/g/Abc-123",
            "HTTPS://WWW.Groups.Example.ORG:443/g/Abc-123/?ref=x#top",
            "groups.example.org/g/%41bc%2d123",
        ],
        "example.org:8443/join/xyz": ["https://example.org:8443/join/xyz"],
        "xn--strae-oqa.example/%C3%A4": ["https://straße.example/ä"],
    },
}
"""Kind, answer, spellings. Before ``|`` stands the region of a phone number or the scope of a name."""

REFUSED: dict[str, list[str]] = {
    "email": [
        "", "anna", "@example.com", "anna@", "anna@localhost", "anna@1.2.3.4", "anna@[192.0.2.1]",
        '"anna muster"@example.com', "Anna <anna@example.com>", "anna@example.com, b@example.com",
        "a..b@example.com", ".a@example.com", "a.@example.com", "anna@exa_mple.com",
        "an\u200bna@example.com", "anna\u0000@example.com", "anna\ud800@example.com",
        "+tag@gmail.com", "a.+tag@live.de", "anna@-example.com", "mailto:anna@example.com",
        "x" * 65 + "@example.com", "a@b@example.com", "anna@ex ample.com",
    ],
    "phone": [
        "", "anna", "030 23125 000", "0049 30 23125000", "+49", "+49 1", "+1 555-0123",
        "+999 123 4567", "+49 30 23125000 and +49 30 23125001", "US|555-0123", "DE|1", "XX|030 23125000",
        "+49 00 30 23125000", "+4930231250000000000", "+49 30\u0000 23125000",
    ],
    "device": [
        "", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "12345678-1234-1234-1234-123456789abc", "000000000000000", "001015001234564",
        "004999010640000", "0010150012345678", "111111111111119", "00:00:00:00:00:00",
        "ff:ff:ff:ff:ff:ff", "02:00:00:00:00:00", "00:11:22:33:44:55", "01:00:5e:90:10:00",
        "00:00-5e:00-53:01", "192.0.2.1", "imei:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
        "uuid:001015001234563", "{f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "9774d56d682e549c",
    ],
    "payment": [
        "", "4111 1111 1111 1111", "card:4111111111111111", "card:tok_4111-1111-1111-1111",
        "5555555555554444", "378282246310005", "tok_Example-1a2B3c", "card:short", "card:has a space",
        "DE89370400440532013001", "DE00370400440532013000", "DE8937040044053",
        "1JVw8fwXEg7QBL4MBDQAfDj2nW81rAzzzp", "my1tRj2W3hYexSXxtnNYV8wMeViijGPhJv",
        "2NAkA7xMzQ2w8UHPKySgdho5E9Ncu834nhC", "1111111111111111111114oLvT2", "bc1pfeessrawgf",
        "11JVw8fwXEg7QBL4MBDQAfDj2nW81rAzzzo", "btc:0x52908400098527886E0F7030069857D2E4169EE7",
        # BIP-173 and BIP-350: test network, mixed case, wrong constant, lengths, padding
        "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx",
        "tb1p47TLpy2wsjzvh5vnppnphfl36h7hy2kwwl6ye2nsuw8lxsa3mkgsjm9m5m",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
        "BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh",
        "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4",
        "BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R",
        "bc1pw5dgrnzv",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav",
        "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf",
        "bc1gmk9yu",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1Be",
        "0x0000000000000000000000000000000000000000", "example.eth",
    ],
    "username": [
        "anna", "example.social|", "example.social|@", "example.social|anna muster",
        "social|anna", "example.social|anna@example.org", "example.social|an\u200dna",
        "example.social|anna@", "|anna", "example.social|an\u00adna", "example.social|☃",
    ],
    "invite": [
        "", "anna", "https://t.me/", "https://t.me/+4930231250001", "https://t.me/joinchat",
        "https://t.me/share/url?url=x", "https://discord.gg/", "https://discord.com/invite/",
        "https://chat.whatsapp.com/short", "https://signal.group/", "https://signal.group/#x",
        "https://example.org", "https://example.org/join?code=abc", "https://example.org/#abc",
        "https://example.org/g/../x", "https://example.org/a b", "https://example.org//a",
        "https://example.org:0/g/abc", "https://user@example.org/g/abc", "ftp://example.org/g/abc",
        "https://192.0.2.1/g/abc", "telegram:short", "https://example.org/g/%zz", "https:///g/abc",
    ],
}  # fmt: skip
"""Kind and texts that stand for nothing; each ends in a MalformedError."""


def split(kind: str, text: str) -> dict[str, str]:
    """Returns the arguments of `normalise` that `text` stands for."""
    before, bar, raw = text.partition("|")
    if not bar:
        return {"kind": kind, "raw": text}
    return {"kind": kind, "raw": raw, "scope" if kind == "username" else "region": before}


def document() -> dict[str, Any]:
    """Returns the vectors; every answer was compared with the code's.

    Raises:
        SystemExit: an answer differs.
    """
    accepted, refused = [], []
    for kind, answers in ACCEPTED.items():
        for value, spellings in answers.items():
            for arguments in (split(kind, text) for text in spellings):
                found = normalise(**arguments)
                if found.value != value:
                    raise SystemExit(f"{arguments} gives {found.value!r}, not {value!r}")
                accepted.append(arguments | {"scheme": found.scheme, "value": value})
    for kind, texts in REFUSED.items():
        for arguments in (split(kind, text) for text in texts):
            try:
                found = normalise(**arguments)
            except MalformedError:
                refused.append(arguments | {"outcome": "MalformedError"})
            else:
                raise SystemExit(f"{arguments} gives {found.value!r} and was to be refused")
    return {
        "about": "Frozen answers of the v1 identifier schemes (make_identifiers_v1.py).",
        "accepted": accepted,
        "refused": refused,
    }


def render(vectors: dict[str, Any]) -> str:
    """Returns the file's text: ASCII, one vector a line, so that invisible characters show."""
    parts = [f' "about": {json.dumps(vectors["about"])}']
    for name in ("accepted", "refused"):
        lines = ",\n".join(f"  {json.dumps(entry)}" for entry in vectors[name])
        parts.append(f' "{name}": [\n{lines}\n ]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> None:
    """Writes the file, unless an answer in it would be lost or changed."""
    vectors = document()
    if FILE.exists():
        frozen = json.loads(FILE.read_text("ascii"))
        for name in ("accepted", "refused"):
            lost = [entry for entry in frozen[name] if entry not in vectors[name]]
            if lost:
                raise SystemExit(f"These frozen vectors would change: {lost}")
    FILE.write_text(render(vectors), "ascii")


if __name__ == "__main__":
    main()
