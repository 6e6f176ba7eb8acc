"""What schemathesis must leave alone, and what it cannot make up: the client and the person whose credentials
it uses, and things that are there."""

import itertools
import os

import schemathesis

SPARED = set(os.environ["SPARED"].split())
NUMBERS = itertools.count()
# Bodies that are accepted: their fields must fit each other, which no schema says.
BODIES = {
    "/admin/api/v1/clients": lambda: {"client_id": f"lamp-{next(NUMBERS)}", "settings": {"name": "Lamp"}},
    "/admin/api/v1/clients/{id}": lambda: {"name": "Lantern"},
    "/admin/api/v1/clients/{id}/rotate-secret": lambda: {},
    "/admin/api/v1/users": lambda: {"name": f"person-{next(NUMBERS)}"},
    "/admin/api/v1/users/{id}": lambda: {"full_name": "Grace"},
    "/admin/api/v1/users/{id}/password": lambda: {},
    "/admin/api/v1/devices/revoke": lambda: {"from": "192.0.2.1"},
    "/oauth2/v1/revoke": lambda: {"token": "somebody's"},
    "/oauth2/v1/introspect": lambda: {"token": "somebody's"},
    "/oauth2/v1/device_authorization": lambda: {"scope": "openid"},
    "/oauth2/v1/register": lambda: {"client_name": "Lamp", "redirect_uris": ["https://lamp.example/back"]},
    "/oauth2/v1/par": lambda: {
        "response_type": "code",
        "redirect_uri": "https://robot.example/back",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
        "scope": "openid",
    },
}
# Somebody and something that may be changed, and stay.
THERE = {"/admin/api/v1/users/{id}": "grace", "/admin/api/v1/clients/{id}": "lantern"}


@schemathesis.hook
def before_call(context, case, kwargs):
    place = case.operation.path
    if case.meta is None or case.meta.generation.mode.is_positive:
        if case.method in ("POST", "PATCH") and place in BODIES and next(NUMBERS) % 3 == 0:
            case.body = BODIES[place]()
            # A proof that was made up.
            (case.headers or {}).pop("DPoP", None)
        for there, id in THERE.items():
            if place.startswith(there) and case.method in ("POST", "PATCH") and next(NUMBERS) % 3 == 0:
                case.path_parameters["id"] = id
    if case.method != "GET" and (case.path_parameters or {}).get("id") in SPARED:
        case.path_parameters["id"] = "somebody-else"
