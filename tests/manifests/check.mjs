// Runs every check on every overlay of manifests/, then proves that the checks can fail: each broken variant must be refused, by the check
// that is meant for it. `node check.mjs [--no-types] [DOTRELAY]`; with the binary, the configurations are checked by the relay itself.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { readYaml, render } from "./render.mjs";
import * as rules from "./rules.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const manifests = join(root, "manifests");
const withTypes = !process.argv.includes("--no-types");
const binary = process.argv.slice(2).find((argument) => argument && argument !== "--no-types");
const { compilerErrors, validatorErrors } = withTypes ? await import("./types.mjs") : {};

const count = { passed: 0, failed: 0, skipped: 0 };
function skip(number, what, reason) {
  count.skipped += number;
  console.log(`skipped ${number}: ${what}, for want of ${reason}`);
}
function report(name, complaints) {
  count[complaints.length ? "failed" : "passed"] += 1;
  console.log(`${complaints.length ? "FAILED" : "ok    "} ${name}`);
  for (const complaint of complaints) console.log(`         ${complaint}`);
}

const overlays = readdirSync(manifests).filter((name) => name !== "base");
const rendered = Object.fromEntries(overlays.map((name) => [name, render(join(manifests, name))]));

// Each variant: the overlay it breaks, how, and which check must say what.
const find = (resources, kind) => resources.find((resource) => resource.kind === kind);
const pod = (resources) => (find(resources, "Deployment") ?? find(resources, "DaemonSet")).spec.template.spec;
const container = (resources) => pod(resources).containers[0];
const variants = [
  ["a misspelt field", "daemonset", "compiler", /terminationGracePeriodSecond"/,
    (resources) => { pod(resources).terminationGracePeriodSecond = 15; }],
  ["a misspelt field deep inside", "loadbalancer", "compiler", /readOnlyRootFileSystem/,
    (resources) => { container(resources).securityContext.readOnlyRootFileSystem = true; }],
  ["a number written as text", "loadbalancer", "compiler", /Type 'string' is not assignable to type 'number'/,
    (resources) => { find(resources, "Deployment").spec.replicas = "2"; }],
  ["a number in a label", "loadbalancer", "compiler", /Type 'number' is not assignable to type 'string'/,
    (resources) => { find(resources, "Deployment").metadata.labels.generation = 2; }],
  ["an API version that is gone", "loadbalancer", "compiler", /policy\/v1beta1/,
    (resources) => { find(resources, "PodDisruptionBudget").apiVersion = "policy/v1beta1"; }],
  ["a wrong quantity", "daemonset", "validators", /memory/,
    (resources) => { container(resources).resources.limits.memory = "128 MB"; }],
  ["a wrong protocol", "loadbalancer", "validators", /protocol/,
    (resources) => { find(resources, "Service").spec.ports[0].protocol = "udp"; }],
  ["a missing required field", "loadbalancer", "validators", /template/,
    (resources) => { delete find(resources, "Deployment").spec.template; }],
  ["a workload that selects other pods", "daemonset", "selectors", /DaemonSet dotrelay selects no pod/,
    (resources) => { find(resources, "DaemonSet").spec.selector.matchLabels["app.kubernetes.io/name"] = "relay"; }],
  ["a Service that selects no pod", "loadbalancer", "selectors", /Service dotrelay selects no pod/,
    (resources) => { find(resources, "Service").spec.selector["app.kubernetes.io/component"] = "node"; }],
  ["a disruption budget for no pod", "loadbalancer", "selectors", /PodDisruptionBudget dotrelay selects no pod/,
    (resources) => { find(resources, "PodDisruptionBudget").spec.selector.matchLabels = { app: "dotrelay" }; }],
  ["an unknown volume", "daemonset", "volumes", /mounts unknown volume configuration/,
    (resources) => { container(resources).volumeMounts[0].name = "configuration"; }],
  ["a ConfigMap that does not exist", "daemonset", "volumes", /no ConfigMap relay/,
    (resources) => { pod(resources).volumes[0].configMap.name = "relay"; }],
  ["a configuration at another path", "loadbalancer", "volumes", /has no configuration/,
    (resources) => { container(resources).volumeMounts[0].mountPath = "/etc/relay"; }],
  ["a probe of an unknown port", "loadbalancer", "ports", /readinessProbe asks port health/,
    (resources) => { container(resources).readinessProbe.tcpSocket.port = "health"; }],
  ["a probe over UDP", "loadbalancer", "ports", /livenessProbe asks port dns,/,
    (resources) => { container(resources).livenessProbe.tcpSocket.port = "dns"; }],
  ["a Service to an unknown port", "loadbalancer", "ports", /leads to domain/,
    (resources) => { find(resources, "Service").spec.ports[0].targetPort = "domain"; }],
  ["a Service without TCP", "daemonset", "ports", /port 53 lacks TCP/,
    (resources) => { find(resources, "Service").spec.ports.pop(); }],
  ["a writable root", "daemonset", "hardening", /writable root/,
    (resources) => { container(resources).securityContext.readOnlyRootFilesystem = false; }],
  ["a capability", "loadbalancer", "hardening", /keeps capabilities/,
    (resources) => { container(resources).securityContext.capabilities.add = ["NET_ADMIN"]; }],
  ["a capability that the port does not need", "nodelocal", "hardening", /dotrelay keeps capabilities/,
    (resources) => { container(resources).securityContext.capabilities.add.push("NET_RAW"); }],
  ["a port that the probe does not know", "nodelocal", "ports", /readinessProbe asks port 12555/,
    (resources) => { container(resources).readinessProbe.tcpSocket.port = 12555; }],
  ["a first container that may do anything", "nodelocal", "hardening", /address keeps capabilities/,
    (resources) => { delete pod(resources).initContainers[0].securityContext.capabilities; }],
  ["an image without a tag", "loadbalancer", "hardening", /fixed tag/,
    (resources) => { container(resources).image = "registry.example.com:5000/dotrelay"; }],
  ["ports on the host network", "daemonset", "rollouts", /forbid a surge/,
    (resources) => { container(resources).ports = [{ containerPort: 12555 }]; }],
  ["too little time to drain", "loadbalancer", "rollouts", /no time to drain/,
    (resources) => { pod(resources).terminationGracePeriodSeconds = 9; }],
  ["a Service that a rollout empties", "daemonset", "endpoints", /needs publishNotReadyAddresses/,
    (resources) => { delete find(resources, "Service").spec.publishNotReadyAddresses; }],
  ["another user than the image's", "loadbalancer", "user", /runs as 53854:53853, the image as 53853:53853/,
    (resources) => { pod(resources).securityContext.runAsUser += 1; }],
  ["the user of many images", "daemonset", "user", /other images run as 65532, too/,
    (resources) => { pod(resources).securityContext.runAsUser = 65532; }],
  ["a resource in another namespace", "loadbalancer", "namespaces", /namespace default is not/,
    (resources) => { find(resources, "Service").metadata.namespace = "default"; }],
  ["a name used twice", "loadbalancer", "uniqueNames", /is there twice/,
    (resources) => { resources.push(find(resources, "Service")); }],
];
const broken = variants.map(([, overlay, , , breakIt]) => {
  const resources = structuredClone(rendered[overlay]);
  breakIt(resources);
  return resources;
});

const compiled = withTypes ? compilerErrors([...Object.values(rendered), ...broken]) : [];

overlays.forEach((overlay, index) => {
  const resources = rendered[overlay];
  if (withTypes) {
    report(`${overlay}: field names and types`, compiled[index]);
    report(`${overlay}: quantities, enumerations, required fields`, validatorErrors(resources));
  } else {
    skip(2, `${overlay}: types`, "the npm packages");
  }
  for (const [name, rule] of Object.entries(rules)) report(`${overlay}: ${name}`, rule(resources));
});

variants.forEach(([name, , check, expected], index) => {
  if (!withTypes && !(check in rules)) return skip(1, `refused: ${name}`, "the npm packages");
  const complaints = {
    compiler: () => compiled[overlays.length + index],
    validators: () => validatorErrors(broken[index]),
  }[check]?.() ?? rules[check](broken[index]);
  const refused = complaints.some((complaint) => expected.test(complaint));
  report(`refused: ${name}`, refused ? [] : [`no complaint of ${check} matches ${expected}`, ...complaints]);
});

const scratch = mkdtempSync(join(tmpdir(), "dotrelay-manifests-"));
try {
  // A file that YAML itself allows a careless reader to accept.
  writeFileSync(join(scratch, "twice.yaml"), "kind: Service\nkind: Deployment\n");
  writeFileSync(join(scratch, "kustomization.yaml"), "kind: Kustomization\npatches: []\n");
  report("refused: a key written twice", throws(() => readYaml(join(scratch, "twice.yaml")), /unique/));
  report("refused: a kustomization field that the checks would ignore", throws(() => render(scratch), /do not know 'patches'/));

  const configurations = new Map([
    ["conf/dotrelay.toml", join(root, "conf/dotrelay.toml")],
    ["container/dotrelay.toml", join(root, "container/dotrelay.toml")],
  ]);
  for (const overlay of overlays) {
    const path = join(scratch, `${overlay}.toml`);
    writeFileSync(path, find(rendered[overlay], "ConfigMap").data["dotrelay.toml"]);
    configurations.set(`the ConfigMap of ${overlay}`, path);
  }
  const mistaken = join(scratch, "mistaken.toml");
  writeFileSync(mistaken, find(rendered.daemonset, "ConfigMap").data["dotrelay.toml"].replace(/^workers/m, "worker"));
  if (binary) {
    for (const [name, path] of configurations) report(`dotrelay check accepts ${name}`, relayCheck(path));
    report("refused: a misspelt key in a ConfigMap",
      relayCheck(mistaken).some((complaint) => complaint.includes("worker")) ? [] : ["dotrelay check accepts it"]);
  } else {
    skip(configurations.size + 1, "the TOML files", "a built dotrelay");
  }
} finally {
  rmSync(scratch, { recursive: true });
}

console.log(`${count.passed} passed, ${count.failed} failed${count.skipped ? `, ${count.skipped} skipped` : ""}`);
process.exitCode = count.failed ? 1 : 0;

// The relay's one-line complaint about a configuration, as a list.
function relayCheck(path) {
  try {
    execFileSync(binary, ["check", "--config", path], { stdio: "pipe", encoding: "utf8", timeout: 10000 });
    return [];
  } catch (error) {
    return [error.stderr?.trim() || error.message];
  }
}

function throws(action, expected) {
  try {
    action();
  } catch (error) {
    return expected.test(error.message) ? [] : [error.message];
  }
  return ["it was accepted"];
}
