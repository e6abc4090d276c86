"""A site where people register and log in with a security key, by python-fido2's server."""

import http.server
import json

from fido2.server import Fido2Server
from fido2.webauthn import PublicKeyCredentialRpEntity, PublicKeyCredentialUserEntity

PAGE = """<!doctype html><title>Door</title>
<button id=register>Register</button> <button id=login>Log in</button> <output></output>
<script type=module>
const post = async (path, body) => {
  const answer = await fetch(path, {method: "POST", body: JSON.stringify(body)})
  if (!answer.ok) throw new Error(await answer.text())
  return answer.json()
}
const show = (text) => { document.querySelector("output").textContent = text }
const act = (name, ask) => {
  document.getElementById(name).onclick = async () => {
    try {
      const { publicKey } = await post(`/${name}/begin`)
      show(await post(`/${name}/complete`, await ask(publicKey)))
    } catch (error) {
      show(error.name)
    }
  }
}
const { parseCreationOptionsFromJSON, parseRequestOptionsFromJSON } = PublicKeyCredential
act("register", (json) =>
  navigator.credentials.create({publicKey: parseCreationOptionsFromJSON(json)}))
act("login", (json) =>
  navigator.credentials.get({publicKey: parseRequestOptionsFromJSON(json)}))
</script>
"""


class Site(http.server.ThreadingHTTPServer):
    """Serves the page on a free port of localhost."""

    def __init__(self, verification="preferred", attestation="none"):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self.server_port}"
        rp = PublicKeyCredentialRpEntity(id="localhost", name="Door")
        self.fido = Fido2Server(rp, attestation, verify_origin=lambda origin: origin == self.url)
        self.verification = verification
        self.known = []
        self.state = None
        self.logins = 0

    def answer(self, path, body):
        if path == "/register/begin":
            user = PublicKeyCredentialUserEntity(id=b"ada", name="ada", display_name="Ada")
            options, self.state = self.fido.register_begin(
                user, self.known, user_verification=self.verification
            )
            return dict(options)
        if path == "/register/complete":
            made = self.fido.register_complete(self.state, body)
            self.known.append(made.credential_data)
            return "registered"
        if path == "/login/begin":
            options, self.state = self.fido.authenticate_begin(self.known, self.verification)
            return dict(options)
        self.fido.authenticate_complete(self.state, self.known, body)
        self.logins += 1
        return "logged in"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.reply(PAGE, "text/html")

    def do_POST(self):
        text = self.rfile.read(int(self.headers["content-length"]))
        try:
            answer = self.server.answer(self.path, json.loads(text or "null"))
        except ValueError as error:
            self.reply(str(error), "text/plain", 400)
        else:
            self.reply(json.dumps(answer), "application/json")

    def reply(self, text, kind, status=200):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass
