"""Reads and writes signed statements with the libraries of in-toto and DSSE.

verify ENVELOPE PUBLIC_KEY    exits with 0 when the signature holds and the statement is well-formed; prints it
sign PAYLOAD PRIVATE_KEY      prints an envelope
"""

import json
import sys

from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from google.protobuf import json_format
from in_toto_attestation.predicates.test_result.v0.test_result_pb2 import TestResult
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, SSlibKey


def read(path):
    with open(path, "rb") as file:
        return file.read()


def verify(envelope_path, key_path):
    raw = json.loads(read(envelope_path))
    key = SSlibKey.from_crypto(
        load_pem_public_key(read(key_path)), keyid=raw["signatures"][0]["keyid"]
    )
    envelope = Envelope.from_dict(raw)
    envelope.verify([key], 1)
    assert envelope.payload_type == "application/vnd.in-toto+json", envelope.payload_type
    message = json_format.Parse(envelope.payload, StatementMessage())
    Statement.copy_from_pb(message).validate()
    predicate = json.loads(envelope.payload)["predicate"]
    result = json_format.ParseDict(predicate, TestResult())
    for configuration in result.configuration:
        ResourceDescriptor.copy_from_pb(configuration).validate()
    sys.stdout.write(envelope.payload.decode())


def sign(payload_path, key_path):
    signer = CryptoSigner(load_pem_private_key(read(key_path), None))
    envelope = Envelope(read(payload_path), "application/vnd.in-toto+json", {})
    envelope.sign(signer)
    json.dump(envelope.to_dict(), sys.stdout)


if __name__ == "__main__":
    {"verify": verify, "sign": sign}[sys.argv[1]](*sys.argv[2:])
