"""joserfc as a second opinion. A line of JSON on standard input is a question, a line on standard output its answer:

{"sign": {"alg": A, "kid": K, "header": {...}, "claims": {...}}}  -> {"token": T, "jwk": public key}; a key is made for each kid
{"sign": {"alg": A, "kid": K, "header": {...}, "text": "..."}}    -> likewise, over a text that need not be claims
{"verify": {"token": T, "jwks": {"keys": [...]}, "alg": A}}       -> {"valid": whether a key of the set signed the token, "why": the error}
"""

import json
import sys

from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError

KEYS = {
    "RS256": ("RSA", 2048),
    "PS256": ("RSA", 2048),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "EdDSA": ("OKP", "Ed25519"),
}
keys = {}


def sign(alg, kid, header, claims=None, text=None):
    if kid not in keys:
        kty, size = KEYS[alg]
        keys[kid] = jwk.generate_key(kty, size, {"kid": kid, "alg": alg, "use": "sig"})
    key = keys[kid]
    protected = {"alg": alg, "kid": kid, **header}
    if text is None:
        token = jwt.encode(protected, claims, key, algorithms=[alg])
    else:
        token = jws.serialize_compact(protected, text, key, algorithms=[alg])
    return {"token": token, "jwk": key.as_dict(private=False)}


def verify(token, jwks, alg):
    try:
        jws.deserialize_compact(token, jwk.KeySet.import_key_set(jwks), algorithms=[alg])
    except (JoseError, ValueError) as e:
        return {"valid": False, "why": f"{type(e).__name__}: {e}"}
    return {"valid": True}


for line in sys.stdin:
    question = json.loads(line)
    answer = sign(**question["sign"]) if "sign" in question else verify(**question["verify"])
    print(json.dumps(answer), flush=True)
