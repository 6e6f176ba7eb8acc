"""What schemathesis must leave alone: the client and the person whose credentials it uses."""

import os

import schemathesis

SPARED = set(os.environ["SPARED"].split())


@schemathesis.hook
def before_call(context, case, kwargs):
    if (case.path_parameters or {}).get("id") in SPARED:
        case.path_parameters["id"] = "somebody-else"
