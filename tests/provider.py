"""A small provider of OpenID Connect, for tests: Authlib's authorization server with a login form, signed tokens and published keys, in a process of its own.

    python tests/provider.py PORT FOLDER REDIRECT

FOLDER/people.json: name -> password and groups. FOLDER/faults.json: what is wrong with its next tokens, read for each."""

import json
import os
import secrets
import sys
import time
from html import escape
from pathlib import Path

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core.grants import OpenIDCode
from flask import Flask, Response, request
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from joserfc.jws import JWSRegistry

CLIENT, SECRET = "ragwb", "the secret of the client"


class Client:
    "The one server that people sign in to."

    def __init__(self, redirect: str):
        self.client_id, self.redirect, self.id_token_signed_response_alg = CLIENT, redirect, "RS256"

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return self.redirect

    def get_allowed_scope(self, scope: str) -> str:
        return " ".join(word for word in (scope or "").split() if word in ("openid", "profile", "email"))

    def check_redirect_uri(self, uri: str) -> bool:
        return uri == self.redirect

    def check_client_secret(self, secret: str) -> bool:
        return secrets.compare_digest(secret, SECRET)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_response_type(self, kind: str) -> bool:
        return kind == "code"

    def check_grant_type(self, kind: str) -> bool:
        return kind == "authorization_code"


class Code:
    "An authorization code, and what it was given for."

    def __init__(self, code: str, asked, person: str):
        payload = asked.payload
        self.code, self.person, self.scope, self.redirect, self.nonce = code, person, payload.scope, payload.redirect_uri, payload.data.get("nonce")
        self.code_challenge, self.code_challenge_method = payload.data.get("code_challenge"), payload.data.get("code_challenge_method")

    def get_redirect_uri(self) -> str:
        return self.redirect

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str:
        return self.nonce

    def get_auth_time(self) -> int:
        return int(time.time())

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> list[str]:
        return ["pwd"]


class Provider:
    "The provider: its people, codes and keys."

    def __init__(self, issuer: str, folder: Path, redirect: str):
        self.issuer, self.folder, self.client, self.codes, self.serial = issuer, folder, Client(redirect), {}, 0
        self.rotate()
        self.app = Flask("provider")
        server = AuthorizationServer(self.app, query_client=lambda id: self.client if id == CLIENT else None, save_token=lambda token, asked: None)
        provider = self

        class CodeGrant(AuthorizationCodeGrant):
            TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic"]

            def save_authorization_code(self, code, asked):
                provider.codes[code] = Code(code, asked, asked.user)

            def query_authorization_code(self, code, client):
                return provider.codes.get(code)

            def delete_authorization_code(self, code):
                provider.codes.pop(code.code)

            def authenticate_user(self, code):
                return code.person

        class Tokens(OpenIDCode):
            def exists_nonce(self, nonce, asked):
                return any(code.nonce == nonce for code in provider.codes.values())

            def encode_id_token(self, token, asked):
                return provider.id_token(asked.user, asked.authorization_code.get_nonce())

        server.register_grant(CodeGrant, [Tokens(require_nonce=True), CodeChallenge(required=True)])
        self.routes(server)

    def rotate(self) -> None:
        "Signs with a new key, and publishes it alone."
        self.serial += 1
        self.key = RSAKey.generate_key(2048, {"kid": f"key-{self.serial}"}, private=True)

    def people(self) -> dict:
        return json.loads((self.folder / "people.json").read_text())

    def id_token(self, person: str, nonce: str) -> str:
        "The ID token of a person, with what faults.json has wrong with it."
        faults = json.loads((self.folder / "faults.json").read_text())
        now, about = int(time.time()), self.people()[person]
        claims = {"iss": self.issuer, "aud": CLIENT, "sub": f"id-of-{person}", "iat": now, "exp": now + 300, "nonce": nonce,
                  "email": f"{person}@example.com", "groups": about["groups"]}  # fmt: skip
        claims = {name: value for name, value in (claims | faults.get("claims", {})).items() if value is not None}
        algorithm = faults.get("alg", "RS256")
        key = OctKey.import_key(json.dumps(self.key.as_dict(private=False))) if algorithm.startswith("HS") else None if algorithm == "none" else self.key
        if faults.get("stranger"):
            key = RSAKey.generate_key(2048, {"kid": self.key.kid}, private=True)
        return jwt.encode({"alg": algorithm, "kid": self.key.kid}, claims, key, registry=JWSRegistry(algorithms=[algorithm]))

    def routes(self, server: AuthorizationServer) -> None:
        @self.app.get("/.well-known/openid-configuration")
        def description():
            told = {"issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize", "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/keys",
                    "response_types_supported": ["code"], "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"]}  # fmt: skip
            return told | json.loads((self.folder / "faults.json").read_text()).get("description", {})

        @self.app.get("/keys")
        def keys():
            return {"keys": [self.key.as_dict(private=False)]}

        @self.app.route("/authorize", methods=["GET", "POST"])
        def authorize():
            grant = server.get_consent_grant(end_user=None) if request.method == "GET" else None
            name, known = request.form.get("name", ""), self.people()
            if name in known and secrets.compare_digest(request.form.get("password", ""), known[name]["password"]):
                return server.create_authorization_response(grant_user=name, grant=server.get_consent_grant(end_user=name))
            wrong = "<p role=alert>Wrong name or password.</p>" if grant is None else ""
            action = escape(f"/authorize?{request.query_string.decode()}")
            return Response(f"<!doctype html><title>Provider</title>{wrong}<form method=post action='{action}'><label>Name <input name=name></label>"
                            "<label>Password <input name=password type=password></label><button>Log in</button></form>")  # fmt: skip

        @self.app.post("/token")
        def token():
            return server.create_token_response()

        @self.app.post("/rotate")
        def rotate():
            self.rotate()
            return {}


if __name__ == "__main__":
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # on this machine only
    port, folder, redirect = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    Provider(f"http://localhost:{port}", folder, redirect).app.run("localhost", port, threaded=True)
