// What types cannot say: that the resources of one overlay fit each other (selectors, volumes, ports, names) and that the pods keep what
// the project promises of them. Each rule takes the rendered resources and returns complaints, none when all is well.

import { readFileSync } from "node:fs";
import { containersOf } from "./render.mjs";

const CONFIG_FOLDER = "/etc/dotrelay";
const CONFIG_FILE = "dotrelay.toml";
const CONTAINERFILE = new URL("../../container/Containerfile", import.meta.url);
const OTHERS_USERS = [65532, 65534, 1000, 1001];   // distroless, nobody, the first users of machines and images

const nameOf = ({ kind, metadata }) => `${kind} ${metadata?.name}`;
const ofKind = (resources, kind) => resources.filter((resource) => resource.kind === kind);
const workloads = (resources) => resources.filter((resource) => resource.spec?.template?.spec);
// Containers that run the relay; others prepare the node.
const relaysOf = (workload) => containersOf(workload).filter(({ args = [] }) => args.includes("--config"));
// The port on which the overlay's configuration listens.
const portOf = (resources) => Number(/^addresses\s*=.*?:(\d+)"/m.exec(ofKind(resources, "ConfigMap")[0]?.data[CONFIG_FILE])?.[1]);
const labelsOf = (workload) => workload.spec.template.metadata?.labels ?? {};
const matches = (selector, labels) => Object.keys(selector ?? {}).length > 0 &&
  Object.entries(selector).every(([key, value]) => labels[key] === value);

// Every namespaced resource lives in the namespace that the overlay makes.
export function namespaces(resources) {
  const made = ofKind(resources, "Namespace").map(({ metadata }) => metadata.name);
  return resources.filter(({ kind }) => kind !== "Namespace")
    .filter(({ metadata }) => !made.includes(metadata.namespace))
    .map((resource) => `${nameOf(resource)}: namespace ${resource.metadata.namespace} is not among the resources`);
}

export function uniqueNames(resources) {
  const seen = new Set();
  return resources.flatMap((resource) => {
    const key = `${resource.apiVersion} ${nameOf(resource)}`;
    if (seen.has(key)) return [`${nameOf(resource)} is there twice`];
    seen.add(key);
    return [];
  });
}

// Whatever selects pods selects the pods of a workload here.
export function selectors(resources) {
  const pods = workloads(resources);
  const complaints = [];
  const expect = (selector, candidates, who) => {
    if (!candidates.some((workload) => matches(selector, labelsOf(workload)))) complaints.push(`${who} selects no pod`);
  };
  for (const workload of pods) {
    expect(workload.spec.selector?.matchLabels, [workload], nameOf(workload));
    for (const { topologyKey, labelSelector } of workload.spec.template.spec.topologySpreadConstraints ?? []) {
      expect(labelSelector?.matchLabels, [workload], `${nameOf(workload)}: spread over ${topologyKey}`);
    }
  }
  for (const service of ofKind(resources, "Service")) expect(service.spec.selector, pods, nameOf(service));
  for (const budget of ofKind(resources, "PodDisruptionBudget")) expect(budget.spec.selector?.matchLabels, pods, nameOf(budget));
  for (const policy of ofKind(resources, "NetworkPolicy")) expect(policy.spec.podSelector?.matchLabels, pods, nameOf(policy));
  return complaints;
}

// Mounts name volumes, volumes are mounted and exist, and the file that --config names is in one of them.
export function volumes(resources) {
  const configMaps = new Map(ofKind(resources, "ConfigMap").map((map) => [map.metadata.name, map]));
  return workloads(resources).flatMap((workload) => {
    const complaints = [];
    const declared = workload.spec.template.spec.volumes ?? [];
    const mounted = new Set();
    for (const container of containersOf(workload)) {
      let configured = false;
      for (const { name, mountPath } of container.volumeMounts ?? []) {
        mounted.add(name);
        const volume = declared.find((candidate) => candidate.name === name);
        if (!volume) complaints.push(`${nameOf(workload)}: mounts unknown volume ${name}`);
        else if (mountPath === CONFIG_FOLDER && configMaps.get(volume.configMap?.name)?.data?.[CONFIG_FILE]) configured = true;
      }
      const { args = [] } = container;
      if (relaysOf(workload).includes(container) && (args[args.indexOf("--config") + 1] !== `${CONFIG_FOLDER}/${CONFIG_FILE}` || !configured)) {
        complaints.push(`${nameOf(workload)}: ${container.name} has no configuration at the path of --config`);
      }
    }
    for (const { name, configMap } of declared) {
      if (!mounted.has(name)) complaints.push(`${nameOf(workload)}: volume ${name} is never mounted`);
      if (configMap && !configMaps.has(configMap.name)) complaints.push(`${nameOf(workload)}: no ConfigMap ${configMap.name}`);
    }
    return complaints;
  });
}

// Ports by name exist with the right protocol, ports by number are the relay's, and DNS is always UDP and TCP.
export function ports(resources) {
  const complaints = [];
  const pods = workloads(resources);
  const own = portOf(resources);
  const known = (candidates, port, protocol) => port === own || candidates.flatMap(containersOf)
    .flatMap((container) => container.ports ?? [])
    .some((entry) => entry.name === port && (entry.protocol ?? "TCP") === protocol && entry.containerPort === own);
  for (const workload of pods) {
    if (!relaysOf(workload).length) complaints.push(`${nameOf(workload)}: no container runs the relay`);
    for (const container of relaysOf(workload)) {
      for (const probe of ["readinessProbe", "livenessProbe"]) {
        const port = container[probe]?.tcpSocket?.port;
        if (!known([workload], port, "TCP")) complaints.push(`${nameOf(workload)}: ${probe} asks port ${port}, which does not exist`);
      }
    }
  }
  for (const service of ofKind(resources, "Service")) {
    const selected = pods.filter((workload) => matches(service.spec.selector, labelsOf(workload)));
    for (const { name, targetPort, protocol = "TCP" } of service.spec.ports) {
      if (!known(selected, targetPort, protocol)) complaints.push(`${nameOf(service)}: port ${name} leads to ${targetPort}, which does not exist`);
    }
    const offered = new Set(service.spec.ports.map(({ port, protocol = "TCP" }) => `${protocol} ${port}`));
    for (const { port } of service.spec.ports) {
      for (const protocol of ["UDP", "TCP"]) {
        if (!offered.has(`${protocol} ${port}`)) complaints.push(`${nameOf(service)}: port ${port} lacks ${protocol}`);
      }
    }
  }
  for (const policy of ofKind(resources, "NetworkPolicy")) {
    const selected = pods.filter((workload) => matches(policy.spec.podSelector?.matchLabels, labelsOf(workload)));
    for (const { port, protocol = "TCP" } of (policy.spec.ingress ?? []).flatMap((rule) => rule.ports ?? [])) {
      if (!known(selected, port, protocol)) complaints.push(`${nameOf(policy)}: lets in port ${port}, which does not exist`);
    }
  }
  return complaints;
}

// What a container may have beyond nothing: the relay a port below 1024, which Kubernetes grants to the user 0 only, and what gives a node
// its address the right to do so.
function neededCapabilities(workload, container, resources) {
  if (!relaysOf(workload).includes(container)) return ["NET_ADMIN"];
  return portOf(resources) < 1024 ? ["NET_BIND_SERVICE"] : [];
}

// Pods hold no right that they do not need, and are bounded.
export function hardening(resources) {
  return workloads(resources).flatMap((workload) => {
    const pod = workload.spec.template.spec;
    const demands = [["automountServiceAccountToken is not off", pod.automountServiceAccountToken === false]];
    for (const container of containersOf(workload)) {
      const { name, image, resources: bounds, securityContext: own = {} } = container;
      const context = { ...pod.securityContext, ...own };
      const needed = neededCapabilities(workload, container, resources);
      demands.push(
        [`${name} may run as root`, needed.length > 0 || (context.runAsNonRoot === true && context.runAsUser > 0)],
        [`${name} has a writable root`, context.readOnlyRootFilesystem === true],
        [`${name} may gain privileges`, context.allowPrivilegeEscalation === false && !context.privileged],
        [`${name} keeps capabilities`, context.capabilities?.drop?.includes("ALL") && String(context.capabilities.add ?? []) === String(needed)],
        [`${name} has no seccomp profile`, context.seccompProfile?.type === "RuntimeDefault"],
        [`${name} has no memory limit`, Boolean(bounds?.limits?.memory && bounds?.requests?.memory)],
        [`${name} runs an image without a fixed tag`, /:[^:/]+$/.test(image) && !image.endsWith(":latest")],
      );
    }
    return demands.filter(([, holds]) => !holds).map(([complaint]) => `${nameOf(workload)}: ${complaint}`);
  });
}

// Rollouts lose nothing: the new pod comes first, and the old one gets the time to drain.
export function rollouts(resources) {
  return workloads(resources).flatMap((workload) => {
    const complaints = [];
    const pod = workload.spec.template.spec;
    const update = (workload.spec.updateStrategy ?? workload.spec.strategy)?.rollingUpdate ?? {};
    if (!(update.maxSurge > 0 && update.maxUnavailable === 0)) complaints.push(`${nameOf(workload)}: a rollout leaves a gap`);
    const deadlines = ofKind(resources, "ConfigMap").map(({ data }) => seconds(/^deadline\s*=\s*"(\d+)(ms|s|m)"/m.exec(data[CONFIG_FILE])));
    const pause = Math.max(0, ...containersOf(workload).map((container) => container.lifecycle?.preStop?.sleep?.seconds ?? 0));
    if (!(pod.terminationGracePeriodSeconds > pause + Math.max(...deadlines))) {
      complaints.push(`${nameOf(workload)}: terminationGracePeriodSeconds leaves no time to drain`);
    }
    if (pod.hostNetwork) {
      // Ports on the host network are reserved on the node, so the surge pod would never be scheduled.
      if (containersOf(workload).some((container) => container.ports?.length)) {
        complaints.push(`${nameOf(workload)}: declared ports on the host network forbid a surge`);
      }
      if (!ofKind(resources, "ConfigMap").every(({ data }) => /^share_port\s*=\s*true/m.test(data[CONFIG_FILE]))) {
        complaints.push(`${nameOf(workload)}: a surge on the host network needs share_port`);
      }
    }
    return complaints;
  });
}

// The image's user is the relay's own, and the pods run as that, unless they need the user 0 for their port.
export function user(resources) {
  const declared = /^USER (\d+):(\d+)$/m.exec(readFileSync(CONTAINERFILE, "utf8")) ?? [];
  return workloads(resources).filter(() => portOf(resources) >= 1024).flatMap((workload) => {
    const { runAsUser, runAsGroup } = workload.spec.template.spec.securityContext ?? {};
    const complaints = [];
    if (String(runAsUser) !== declared[1] || String(runAsGroup) !== declared[2]) {
      complaints.push(`${nameOf(workload)}: runs as ${runAsUser}:${runAsGroup}, the image as ${declared[1]}:${declared[2]}`);
    }
    if (OTHERS_USERS.includes(runAsUser)) complaints.push(`${nameOf(workload)}: other images run as ${runAsUser}, too`);
    return complaints;
  });
}

// Pods on the host network share the node's address: a Service must not lose it when one of them becomes unready.
export function endpoints(resources) {
  const onNodes = workloads(resources).filter((workload) => workload.spec.template.spec.hostNetwork);
  return ofKind(resources, "Service")
    .filter(({ spec }) => onNodes.some((workload) => matches(spec.selector, labelsOf(workload))))
    .filter(({ spec }) => spec.publishNotReadyAddresses !== true)
    .map((service) => `${nameOf(service)}: a rollout on the host network needs publishNotReadyAddresses`);
}

function seconds(match) {
  return match ? Number(match[1]) * { ms: 0.001, s: 1, m: 60 }[match[2]] : Infinity;
}
