"""Containers against the bare PyNaCl call in the same run: `python -m tests.bench.bench_crypto [--json FILE]`.

*Object* is what the product computes with: encryption to a `Cipher` and back. *Wire* adds the network's JSON and
base64url forms, which cost what they cost: twice base64 is 1.8 times the bytes.
"""

from __future__ import annotations

import argparse
import os
import sys

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
    crypto_sign,
    crypto_sign_open,
)

from enmeshed_connector import crypto
from tests.bench.harness import Report, Timing, measure_together, ratio, run_suite

SIZES = (100, 1024, 64 * 1024, 1024 * 1024)
AIM_RATIO, AIM_RATIO_SIZE = 1.15, 64 * 1024
AIM_EXTRA_MICROSECONDS, AIM_EXTRA_SIZE = 30.0, 100


def main(arguments: argparse.Namespace) -> Report:
    """Returns the figures."""
    report = Report("Containers against bare PyNaCl calls", "python -m tests.bench.bench_crypto")
    for size in SIZES:
        _add_ciphers(report, size, arguments.repeats)
    _add_signatures(report, arguments.repeats)
    return report


def _add_ciphers(report: Report, size: int, repeats: int) -> None:
    key, plaintext, nonce = crypto.SecretKey.generate(), os.urandom(size), os.urandom(24)
    raw, cipher = key.reveal(), crypto.encrypt(key, plaintext, nonce=nonce)
    ciphertext, wire = cipher.ciphertext, cipher.to_base64()
    timings = measure_together(
        {
            "bare encrypt": lambda: crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, None, nonce, raw),
            "object encrypt": lambda: crypto.encrypt(key, plaintext, nonce=nonce),
            "wire encrypt": lambda: crypto.encrypt(key, plaintext, nonce=nonce).to_base64(),
            "bare decrypt": lambda: crypto_aead_xchacha20poly1305_ietf_decrypt(ciphertext, None, nonce, raw),
            "object decrypt": lambda: crypto.decrypt(key, cipher),
            "wire decrypt": lambda: crypto.decrypt(key, crypto.Cipher.from_base64(wire)),
        },
        repeats=repeats,
    )
    for direction in ("encrypt", "decrypt"):
        for kind in ("object", "wire"):
            name = f"{kind} {direction}, {size:,} bytes"
            _add(report, name, size, timings[f"{kind} {direction}"], timings[f"bare {direction}"])


def _add_signatures(report: Report, repeats: int) -> None:
    pair, message = crypto.SignatureKeypair.generate(), os.urandom(256)
    raw, public = pair.private_key.reveal(), pair.public_key.data
    label = crypto.SignatureLabel.RELATIONSHIP
    signature = pair.private_key.sign(message, label)
    signed = signature.data + message
    timings = measure_together(
        {
            "bare sign": lambda: crypto_sign(message, raw),
            "sign": lambda: pair.private_key.sign(message, label),
            "bare verify": lambda: crypto_sign_open(signed, public),
            "verify": lambda: pair.public_key.verify(message, signature),
        },
        repeats=repeats,
    )
    for name in ("sign", "verify"):
        _add(report, f"{name}, 256 bytes", 256, timings[name], timings[f"bare {name}"])


def _add(report: Report, name: str, size: int, timed: Timing, base: Timing) -> None:
    extra = (timed.median_seconds - base.median_seconds) * 1e6
    aim, is_met = None, None
    if name.startswith("object") and size == AIM_RATIO_SIZE:
        aim, is_met = f"at most {AIM_RATIO} times", ratio(timed, base) <= AIM_RATIO
    elif size == AIM_EXTRA_SIZE:
        aim, is_met = f"at most {AIM_EXTRA_MICROSECONDS:.0f} µs more", extra <= AIM_EXTRA_MICROSECONDS
    report.add(
        name,
        aim=aim,
        is_met=is_met,
        bare_microseconds=base.median_seconds * 1e6,
        microseconds=timed.median_seconds * 1e6,
        extra_microseconds=extra,
        times=ratio(timed, base),
        megabytes_per_second=size / timed.median_seconds / 1e6,
    )


if __name__ == "__main__":
    sys.exit(run_suite("Containers against bare PyNaCl calls.", main))
