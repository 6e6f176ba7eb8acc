"""Holds a running server against its own OpenAPI document, by schemathesis."""

import base64
import http.cookiejar
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).parent
BINARY = os.environ["COUNTERSIGN_BIN"]
SCHEMATHESIS = os.environ["SCHEMATHESIS"]
EXAMPLES = os.environ.get("EXAMPLES", "15")
PASSWORD = "correct horse battery staple"
METHODS = {"get", "put", "post", "patch", "delete"}
# What is done only with something that nobody can make up: the token of a form, a ticket, a client's token of
# its own, the id of a device or of a notice that was given up, somebody who is locked out. The other tests do these.
REFUSED = {
    ("GET", "/account/connect/{id}"),
    ("GET", "/admin/clients/{id}"),
    ("GET", "/admin/users/{id}"),
    ("GET", "/assets/{name}"),
    ("GET", "/authorize"),
    ("GET", "/login/upstream/{id}"),
    ("GET", "/login/upstream/{id}/icon"),
    ("GET", "/revoke/{token}"),
    ("GET", "/ws"),
    ("GET", "/oauth2/v1/register/{id}"),
    ("PUT", "/oauth2/v1/register/{id}"),
    ("DELETE", "/oauth2/v1/register/{id}"),
    ("DELETE", "/admin/api/v1/devices/{id}"),
    ("DELETE", "/admin/api/v1/users/{id}"),
    ("DELETE", "/v1/devices/{id}"),
    ("POST", "/v1/auth/cli-verify"),
    ("POST", "/v1/auth/device/token"),
    ("POST", "/admin/api/v1/users/{id}/enable"),
    ("POST", "/admin/api/v1/devices/{id}/assign"),
    ("POST", "/admin/api/v1/notices/{id}/replay"),
}


def is_form(operation):
    """A form of a page, with a token that only the page has."""
    method, path = operation
    return method == "POST" and not path.startswith(("/oauth2/", "/v1/", "/admin/api/"))
# What clients register themselves with.
FIRST = "the-first-token-of-the-operator"


class Server:
    def __init__(self, folder):
        self.options = ["--data-dir", f"{folder}/data"]
        settings = [
            "rate_limit.enabled=false",
            "log.format=json",
            f"registration.initial_access_token={FIRST}",
        ]
        command = [BINARY, *self.options, "serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"]
        for setting in settings:
            command += ["--set", setting]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8", env=environment())
        self.said = []
        ready = next((line for line in self.heard() if line["message"] == "listening"), None)
        if ready is None:
            sys.exit(f"the server did not start: {self.said}")
        self.url = "http://localhost:" + ready["address"].rsplit(":", 1)[1]
        self.listener = threading.Thread(target=lambda: list(self.heard()), daemon=True)
        self.listener.start()

    def heard(self):
        for line in self.process.stderr:
            self.said.append(json.loads(line))
            yield self.said[-1]

    def run(self, *arguments, typed=None):
        done = subprocess.run(
            [BINARY, *self.options, *arguments], input=typed, env=environment(),
            stdout=subprocess.PIPE, text=True, check=True,
        )
        return done.stdout

    def secret_of(self, *arguments):
        return json.loads(self.run("client", "add", *arguments, "--secret", "--json"))["client_secret"]

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        self.listener.join(60)


def environment():
    return {name: value for name, value in os.environ.items() if not name.startswith("COUNTERSIGN_")}


def basic(name, secret):
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


def ask(server, path, fields, authorization=None):
    request = urllib.request.Request(server.url + path, urllib.parse.urlencode(fields).encode())
    if authorization:
        request.add_header("Authorization", authorization)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


class Browser:
    """Somebody at the pages: forms are sent with all that stands in them."""

    def __init__(self, server):
        self.server = server
        self.jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))

    def open(self, path, fields=None):
        data = urllib.parse.urlencode(fields).encode() if fields is not None else None
        with self.opener.open(self.server.url + path, data) as answer:
            return answer.read().decode()

    def submit(self, path, page, field, **fields):
        forms = re.findall(r"<form[^>]*>.*?</form>", page, re.S)
        form = next(form for form in forms if f'name="{field}"' in form)
        hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form)
        return self.open(path, {**dict(hidden), **fields})


def person_token(server, browser):
    asked = ask(
        server,
        "/oauth2/v1/device_authorization",
        {"client_id": "television", "scope": "openid profile email devices introspect"},
    )
    browser.submit("/login", browser.open("/login"), "password", username="ada", password=PASSWORD)
    page = browser.submit("/device", browser.open("/device"), "user_code", user_code=asked["user_code"])
    browser.submit("/device", page, "ticket", decision="approve", own_device="yes")
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    fields = {"grant_type": grant, "device_code": asked["device_code"], "client_id": "television"}
    return ask(server, "/oauth2/v1/token", fields)["access_token"]


def of_mine(server, token):
    request = urllib.request.Request(server.url + "/v1/devices", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request) as answer:
        return [device["id"] for device in json.load(answer)]


def hold(server, name, chosen, header, spared):
    """The operations that were tried, and whether all was well."""
    command = [
        SCHEMATHESIS, "--config-file", str(HERE / "schemathesis.toml"), "run", f"{server.url}/openapi.json",
        "--max-examples", EXAMPLES, "--continue-on-failure", "--no-color", "--seed", os.environ.get("SEED", "1"),
    ]
    command += [*chosen, "--header", header]
    surroundings = {**environment(), "SCHEMATHESIS_HOOKS": "hooks", "SPARED": " ".join(spared)}
    done = subprocess.run(command, cwd=HERE, env=surroundings, stdout=subprocess.PIPE, text=True, check=False)
    tested = re.search(r"Tested: (\d+)", done.stdout)
    cases = re.search(r"(\d+) generated", done.stdout)
    if done.returncode != 0 or not tested or not cases:
        print(done.stdout)
    print(f"{name}: {cases and cases[1]} requests of {tested and tested[1]} operations")
    return int(tested[1]) if tested else 0, done.returncode == 0 and bool(tested)


def operations(server):
    with urllib.request.urlopen(f"{server.url}/openapi.json") as answer:
        paths = json.load(answer)["paths"]
    return {(method.upper(), path) for path, item in paths.items() for method in item if method in METHODS}


def reached(server):
    """What was asked at all, and what was done, by the server's own log."""
    lines = [line for line in server.said if line.get("message") == "answered"]
    what = [(line["span"]["method"], line["span"]["route"], line["status"]) for line in lines]
    return {(method, route) for method, route, _ in what}, {one[:2] for one in what if one[2] < 400}


def main():
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder)
        try:
            server.run("user", "add", "ada", "--admin", "--email", "ada@example.com", "--password-stdin", typed=f"{PASSWORD}\n")
            server.run("client", "add", "--id", "television", "--name", "Television", "--scope", "openid",
                       "--scope", "profile", "--scope", "email", "--scope", "devices", "--scope", "introspect")
            server.run("user", "add", "grace")
            server.secret_of("--id", "lantern", "--name", "Lantern")
            robot = basic("robot", server.secret_of("--id", "robot", "--name", "Robot", "--scope", "openid",
                                                    "--grant", "authorization_code", "--grant", "device_code",
                                                    "--grant", "client_credentials", "--grant", "refresh_token",
                                                    "--redirect-uri", "https://robot.example/back"))
            desk = basic("desk", server.secret_of("--id", "desk", "--name", "Desk", "--scope", "admin",
                                                  "--grant", "client_credentials"))
            browser = Browser(server)
            token = person_token(server, browser)
            person = f"Authorization: Bearer {token}"
            cookie = "; ".join(f"{one.name}={one.value}" for one in browser.jar)
            admin = ask(server, "/oauth2/v1/token", {"grant_type": "client_credentials", "scope": "admin"}, desk)
            spared = ["ada", "desk", *of_mine(server, token)]
            ada = json.loads(server.run("user", "list", "--json"))
            spared += [user["id"] for user in ada]
            registering = "^(register|read|change|remove)(Client|Registration)$"
            rounds = [
                ("OAuth, a client", ["--include-tag", "OAuth"], f"Authorization: {robot}"),
                ("OAuth, a person", ["--include-operation-id-regex", "^(userinfo|introspect)"], person),
                ("OAuth, registration", ["--include-operation-id-regex", registering], f"Authorization: Bearer {FIRST}"),
                ("CLI", ["--include-tag", "CLI"], person),
                ("Pages", ["--include-tag", "Pages"], f"Cookie: {cookie}"),
                ("Sockets", ["--include-tag", "Sockets"], person),
                ("Administration", ["--include-tag", "Administration"], f"Authorization: Bearer {admin['access_token']}"),
            ]
            held = [hold(server, *chosen, spared) for chosen in rounds]
            told = operations(server)
        finally:
            server.stop()
    faults = [line for line in server.said if line["level"] == "ERROR"]
    asked, done = reached(server)
    faults += [f"{method} {path} was never asked" for method, path in sorted(told - asked)]
    undone = [one for one in sorted(told - done - REFUSED) if not is_form(one)]
    faults += [f"{method} {path} was never done" for method, path in undone]
    for line in faults:
        print(line)
    wrong = sum(1 for _, well in held if not well) + len(faults)
    tested = sum(count for count, _ in held)
    print(f"test result: {'FAILED' if wrong else 'ok'}. {tested} passed; {wrong} failed; 0 ignored;")
    sys.exit(1 if wrong else 0)


main()
