#!/usr/bin/env python3
"""Reads what cannot be run here: the Dockerfile, compose.yaml, the manifests, the names of metrics.

Each command prints what it made of it, and ends with 1 and every complaint if something is wrong.
"""

import fnmatch
import ipaddress
import itertools
import json
import pathlib
import re
import shlex
import sys
import urllib.error
import urllib.parse
import urllib.request

import yaml

DEPLOY = pathlib.Path(__file__).resolve().parent.parent
ROOT = DEPLOY.parent
SITE = "login.example.com"
wrong = []


def must(holds, complaint):
    if not holds:
        wrong.append(complaint)


def is_version(tag):
    return re.search(r"^\d+\.\d+", tag) is not None


# The Dockerfile


def dockerfile():
    text = (DEPLOY / "Dockerfile").read_text()
    lines = re.sub(r"\\\n", " ", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    steps = [line.split(None, 1) for line in lines.splitlines() if line.strip()]
    known = {"FROM", "RUN", "WORKDIR", "COPY", "USER", "ENV", "EXPOSE", "ENTRYPOINT", "CMD", "HEALTHCHECK"}
    stages, variables, last = [], {}, {}
    for name, rest in steps:
        must(name in known, f"{name} is no instruction that is expected here")
        if name == "FROM":
            image, *named = rest.split()
            stages.append(named[1] if named else image)
            must(image == "scratch" or is_version(image.partition(":")[2]), f"{image} is not pinned to a version")
            last = {}
        elif name == "COPY":
            copied(rest.split(), stages)
        elif name == "ENV":
            variables.update(pair.split("=", 1) for pair in shlex.split(rest))
        last[name] = rest
    must(len(stages) == 2 and stages[-1] == "scratch", f"two stages, the last from scratch: {stages}")
    must("RUN" not in last, "nothing can run in an image without a shell")
    must(re.fullmatch(r"[1-9]\d*:[1-9]\d*", last.get("USER", "")), "the user must be a number, and not root")
    must(json.loads(last["ENTRYPOINT"]) == ["/countersign"], "ENTRYPOINT")
    must(json.loads(last["CMD"]) == ["serve"], "CMD")
    must(last.get("HEALTHCHECK", "").endswith('CMD ["/countersign", "ready"]'), "HEALTHCHECK")
    owner = f"--chown={last['USER']}"
    must(owner in text, f"the data directory must belong to the user: {owner}")
    ignored()
    for name, value in variables.items():
        print(f"{name}={value}")


def copied(words, stages):
    options = dict(word[2:].split("=", 1) for word in words if word.startswith("--"))
    sources = [word for word in words if not word.startswith("--")][:-1]
    if "from" in options:
        must(options["from"] in stages, f"COPY --from={options['from']}: there is no such stage")
    else:
        for source in sources:
            must((ROOT / source).exists(), f"COPY {source}: there is no such file")


def ignored():
    """What the build reads must get past .dockerignore: the manifests, and every file that is compiled in."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    must(rules[0] == "*", ".dockerignore should name what is sent, not what is not")
    sent = [rule[1:] for rule in rules if rule.startswith("!")]
    inside = lambda path: any(fnmatch.fnmatch(path.relative_to(ROOT).parts[0], rule) for rule in sent)
    for name in sent:
        must((ROOT / name).exists(), f".dockerignore names {name}, which is not there")
    for name in ["Cargo.toml", "Cargo.lock"]:
        must(inside(ROOT / name), f".dockerignore keeps {name} out")
    members = re.search(r"^members = \[(.*)\]", (ROOT / "Cargo.toml").read_text(), re.M).group(1)
    for member in re.findall(r'"([^"]+)"', members):
        folder = member.split("/")[0]
        must(inside(ROOT / folder), f".dockerignore keeps {folder} out, which has members of the workspace")
    for source in itertools.chain(ROOT.glob("crates/*/src/**/*.rs"), ROOT.glob("crates/*/build.rs")):
        for name in re.findall(r'include_(?:str|bytes)!\(\s*"([^"]+)"', source.read_text()):
            path = (source.parent / name).resolve()
            must(path.exists() and inside(path), f"{source.relative_to(ROOT)} includes {name}, which is kept out")


# compose.yaml


def compose():
    text = (DEPLOY / "compose.yaml").read_text()
    text = re.sub(r"\$\{COUNTERSIGN_SITE:\?[^}]*\}", SITE, text)
    must("${" not in text, "a variable that is not set has no sentence that says what it is")
    whole = yaml.safe_load(text)
    services = whole["services"]
    for name, service in services.items():
        must(is_version(service["image"].partition(":")[2]), f"{name}: {service['image']} is not pinned to a version")
        must(service.get("read_only") is True, f"{name}: its file system can be written to")
        must(service.get("cap_drop") == ["ALL"], f"{name}: it keeps capabilities")
        must("no-new-privileges:true" in service.get("security_opt", []), f"{name}: it may gain privileges")
        must("healthcheck" in service, f"{name}: nobody looks after its health")
        must("ports" not in service or name == "proxy", f"{name}: only the proxy is reached from outside")
        for kind in ["networks", "secrets"]:
            for used in service.get(kind, []):
                must(used in whole[kind], f"{name}: there is no {used} among the {kind}")
        for volume in service.get("volumes", []):
            place = volume.split(":")[0]
            there = (DEPLOY / place).exists() if place.startswith(".") else place in whole["volumes"]
            must(there, f"{name}: there is no {place}")
        for other, how in service.get("depends_on", {}).items():
            must(other in services and how["condition"] == "service_healthy", f"{name}: it waits for {other}")
    nodes = {name: service for name, service in services.items() if service["image"].startswith("countersign:")}
    must(len(nodes) == 2, "two nodes")
    node, proxy = services["node-1"], services["proxy"]
    for name in node["environment"]:
        must("_OPS__" not in name, "the private port stays within its container")
    must("node-1" in nodes and nodes["node-1"] == nodes["node-2"], "the nodes are alike")
    asked = proxy["environment"]["COUNTERSIGN_NODES"].split()
    must(asked == [f"{name}:8628" for name in nodes], f"the proxy asks {asked}")
    trusted = json.loads(node["environment"]["COUNTERSIGN_SERVER__TRUSTED_PROXIES"])
    address = proxy["networks"]["front"]["ipv4_address"]
    must(trusted == [address], f"the nodes trust {trusted}, and the proxy is {address}")
    subnet = whole["networks"]["front"]["ipam"]["config"][0]
    address = ipaddress.ip_address(address)
    must(address in ipaddress.ip_network(subnet["subnet"]), f"{address} is not in {subnet['subnet']}")
    must(address not in ipaddress.ip_network(subnet["ip_range"]), f"{address} may be given to somebody else")
    must(whole["networks"]["back"] == {"internal": True}, "the database's network leads nowhere else")
    variables(node["environment"])


def variables(environment):
    """Names without two underscores are not the server's, and it would overlook one that is misspelt."""
    others = {"COUNTERSIGN_DATA_DIR", "COUNTERSIGN_UPSTREAM", "COUNTERSIGN_SECRET_KEY",
              "COUNTERSIGN_SECRET_KEY_FILE"}
    for name, value in environment.items():
        must("__" in name or name in others, f"{name} is no variable of Countersign")
        print(f"{name}={value}")


# The manifests


def manifests(rendered, folder):
    things = [thing for thing in yaml.safe_load_all(pathlib.Path(rendered).read_text()) if thing]
    by_kind = {thing["kind"]: thing for thing in things}
    kinds = {"ConfigMap", "Deployment", "Ingress", "NetworkPolicy", "PodDisruptionBudget", "Service"}
    must(set(by_kind) == kinds and len(things) == len(kinds), f"these are there: {sorted(by_kind)}")
    for thing in things:
        must(thing["metadata"].get("namespace") == "countersign", f"{thing['kind']} is in another namespace")
    pod = by_kind["Deployment"]["spec"]["template"]
    labels, spec = pod["metadata"]["labels"], pod["spec"]
    (container,) = spec["containers"]
    must(by_kind["Deployment"]["spec"]["replicas"] >= 2, "at least two pods")
    must(is_version(container["image"].rpartition(":")[2]), f"{container['image']} is not pinned to a version")

    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"]:
        asked = container[probe]["httpGet"]
        path = "/readyz" if probe == "readinessProbe" else "/livez"
        must((asked["port"], asked["path"]) == ("ops", path), f"{probe} asks {asked}")
    must(spec["terminationGracePeriodSeconds"] > 30 + container["lifecycle"]["preStop"]["sleep"]["seconds"],
         "what is under way has 30 seconds after preStop")

    # https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    outer, inner = spec["securityContext"], container["securityContext"]
    must(outer["runAsNonRoot"] is True and outer["runAsUser"] > 0, "it runs as root")
    must(outer["seccompProfile"]["type"] == "RuntimeDefault", "seccompProfile")
    must(inner["allowPrivilegeEscalation"] is False, "allowPrivilegeEscalation")
    must(inner["readOnlyRootFilesystem"] is True, "readOnlyRootFilesystem")
    must(inner["capabilities"] == {"drop": ["ALL"]}, "capabilities")
    must(spec["automountServiceAccountToken"] is False, "automountServiceAccountToken")
    must({"cpu", "memory"} <= set(container["resources"]["requests"]), "resources.requests")
    must("memory" in container["resources"]["limits"], "resources.limits")

    for kind, selector in [
        ("Deployment", by_kind["Deployment"]["spec"]["selector"]["matchLabels"]),
        ("Service", by_kind["Service"]["spec"]["selector"]),
        ("PodDisruptionBudget", by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]),
        ("NetworkPolicy", by_kind["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]),
    ]:
        must(selector.items() <= labels.items(), f"{kind} selects {selector}, the pods have {labels}")
    must(by_kind["PodDisruptionBudget"]["spec"]["minAvailable"] < by_kind["Deployment"]["spec"]["replicas"],
         "no machine could ever be drained")
    (served,) = by_kind["Service"]["spec"]["ports"]
    must(served["targetPort"] == "http", "the service leads to visitors' port, and to no other")
    for rule in by_kind["Ingress"]["spec"]["rules"]:
        for path in rule["http"]["paths"]:
            backend = path["backend"]["service"]
            found = (by_kind["Service"]["metadata"]["name"], served["name"])
            must((backend["name"], backend["port"]["name"]) == found, f"the ingress leads to {backend}")
    hosts = [rule["host"] for rule in by_kind["Ingress"]["spec"]["rules"]]
    allowed = [port["port"] for rule in by_kind["NetworkPolicy"]["spec"]["ingress"] for port in rule["ports"]]
    must(sorted(allowed) == sorted(ports.values()), f"the policy names {allowed}, the pods listen on {ports}")
    must(all(rule["from"] for rule in by_kind["NetworkPolicy"]["spec"]["ingress"]), "the policy lets everybody in")

    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    for mount in container["volumeMounts"]:
        must(mount["name"] in volumes, f"there is no volume {mount['name']}")
    config = by_kind["ConfigMap"]
    must(volumes["config"]["configMap"]["name"] == config["metadata"]["name"], "the pods mount another ConfigMap")
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "config"]
    must(container["workingDir"] == mount["mountPath"], "countersign.toml is not where it is looked for")
    toml = config["data"]["countersign.toml"]
    must(f'public_url = "https://{hosts[0]}"' in toml, "the ingress has another host than server.public_url")
    for section, port in [("server", ports["http"]), ("ops", ports["ops"])]:
        listens = re.search(rf'^\[{section}\][^[]*?^listen = "0\.0\.0\.0:(\d+)"', toml, re.M | re.S)
        must(listens and int(listens.group(1)) == port, f"{section}.listen is not port {port} of the pod")

    secret = yaml.safe_load((DEPLOY / "kubernetes/secret.example.yaml").read_text())
    listed = (DEPLOY / "kubernetes/kustomization.yaml").read_text()
    must("- secret" not in listed, "the example of a secret must not be applied")
    environment = {}
    for variable in container["env"]:
        ref = variable["valueFrom"]["secretKeyRef"]
        must(ref["name"] == secret["metadata"]["name"], f"{variable['name']} is of another secret")
        must(ref["key"] in secret["stringData"], f"the secret has no {ref['key']}")
        environment[variable["name"]] = secret["stringData"].get(ref["key"], "")
    pathlib.Path(folder, "countersign.toml").write_text(toml)
    variables(environment)


# The unit


def unit(credentials, binary, config):
    """What the unit's command is, with its environment, for other places."""
    text = (DEPLOY / "systemd/countersign.service").read_text()
    environment = re.search(r"^Environment=(.*)$", text, re.M).group(1)
    command = re.search(r"^ExecStart=(.*)$", text, re.M).group(1)
    must(shlex.quote(environment.replace("%", "")) == environment.replace("%", ""), f"{environment} has words")
    said = re.search(r"^LoadCredential=([^:]+):(.*)$", text, re.M).groups()
    script = f"{environment} exec {command}"
    for known, here in [
        (f"%d/{said[0]}", f"{credentials}/{said[0]}"),
        ("/usr/local/bin/countersign", binary),
        ("/etc/countersign/countersign.toml", config),
    ]:
        must(known in script, f"the command does not name {known}")
        script = script.replace(known, here)
    print(script)


# Metrics


def expressions():
    """Where each expression stands, and what it is, with the dashboard's variables filled in."""
    for group in yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield f"alert {rule['alert']}", rule["expr"]
    for panel in panels():
        for target in panel.get("targets", []):
            expr = target["expr"]
            for name, value in [
                ("$__rate_interval", "30s"), ("$__range", "1h"), ("$job", "countersign"), ("$instance", ".*"),
                ("$door", ".*"),
            ]:
                expr = expr.replace(name, value)
            must("$" not in expr, f"panel {panel['title']}: a variable without a value in {expr}")
            yield f"panel {panel['title']}", expr


def panels():
    return json.loads((DEPLOY / "grafana/countersign.json").read_text())["panels"]


def dashboard():
    whole = json.loads((DEPLOY / "grafana/countersign.json").read_text())
    names = {variable["name"] for variable in whole["templating"]["list"]}
    taken, ids = {}, set()
    for panel in panels():
        title, place = panel["title"], panel["gridPos"]
        must(panel["id"] not in ids, f"{title}: its id is taken")
        ids.add(panel["id"])
        must(place["x"] + place["w"] <= 24, f"{title}: it is wider than the page")
        for cell in itertools.product(range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])):
            must(taken.setdefault(cell, title) == title, f"{title} lies on {taken[cell]}")
        if panel["type"] == "row":
            continue
        must(panel["datasource"]["uid"] == "${datasource}", f"{title}: its data source is fixed")
        letters = [target["refId"] for target in panel["targets"]]
        must(letters and len(set(letters)) == len(letters), f"{title}: its queries are {letters}")
        for target in panel["targets"]:
            for used in re.findall(r"\$(\w+)", target["expr"]):
                must(used in names or used.startswith("__"), f"{title}: there is no variable {used}")
            for used in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                grouped = re.findall(r"by \(([^)]*)\)", target["expr"])
                must(used == "instance" or any(used in group for group in grouped), f"{title}: the legend names {used}")
    print(f"{len(ids)} panels")


def metrics(exported):
    """Every name and label that is used must be one that a server exports, every value one that it can say."""
    names, labels = set(), {"job", "instance", "le"}
    for line in pathlib.Path(exported).read_text().splitlines():
        sample = re.match(r"(\w+)(?:{(.*)})? ", line)
        if sample and not line.startswith("#"):
            names.add(sample.group(1))
            labels.update(re.findall(r'(\w+)="', sample.group(2) or ""))
    sources = "".join(path.read_text() for path in ROOT.glob("crates/*/src/**/*.rs"))
    used = set()
    for where, expr in expressions():
        found = set(re.findall(r"\bcountersign_\w+", re.sub(r'"[^"]*"', '""', expr)))
        must(found or "up{" in expr, f"{where}: no metric of ours in {expr}")
        used |= found
        for name in found:
            must(name in names, f"{where}: no server exports {name}")
        for label, value in re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"', expr):
            must(label in labels, f"{where}: nothing has the label {label}")
            if label in {"job", "instance"}:
                continue
            for one in value.split("|"):
                if re.fullmatch(r"[a-z_]+", one):
                    must(f'"{one}"' in sources, f"{where}: {label} is never {one}")
        for group in re.findall(r"\b(?:by|without)\s*\(([^)]*)\)", expr):
            for label in re.findall(r"\w+", group):
                must(label in labels, f"{where}: nothing has the label {label}")
    family = lambda names: {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}
    print(f"used: {len(family(used))}; exported and not used: {sorted(family(names) - family(used))}")


def queries(prometheus):
    """Asks a Prometheus that scrapes a server every expression. What the dashboard shows must not be empty."""
    asked = 0
    for where, expr in expressions():
        url = f"{prometheus}/api/v1/query?" + urllib.parse.urlencode({"query": expr})
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                result = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            must(False, f"{where}: {error.read().decode()}")
            continue
        # Alerts are silent, and nothing has failed.
        must(result or where.startswith("alert") or "status=" in expr, f"{where}: nothing comes of {expr}")
        asked += 1
    with urllib.request.urlopen(f"{prometheus}/api/v1/rules", timeout=10) as answer:
        rules = [rule for group in json.load(answer)["data"]["groups"] for rule in group["rules"]]
    for rule in rules:
        must(rule["health"] == "ok", f"alert {rule['name']}: {rule['health']} {rule.get('lastError')}")
    print(f"{asked} expressions were asked, {len(rules)} alerts are evaluated")


COMMANDS = [dockerfile, compose, manifests, unit, dashboard, metrics, queries]
command = {command.__name__: command for command in COMMANDS}[sys.argv[1]]
command(*sys.argv[2:])
for complaint in wrong:
    print(complaint, file=sys.stderr)
sys.exit(bool(wrong))
