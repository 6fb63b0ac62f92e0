// Turns an overlay of manifests/ into the list of Kubernetes resources that `kubectl apply -k` would send. It knows just the fields of
// kustomization.yaml that ours use (resources, namespace, images, configMapGenerator with files) and refuses any other, so it cannot
// silently check something else than what is applied.

import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve, sep } from "node:path";

// Not `import`: that would not find Debian's package, which serves where npm's cannot be had.
const { parseAllDocuments } = createRequire(import.meta.url)("yaml");

const KNOWN_FIELDS = ["apiVersion", "kind", "resources", "namespace", "images", "configMapGenerator"];
const CLUSTER_SCOPED = ["Namespace", "ClusterRole", "ClusterRoleBinding", "PriorityClass"];

// All documents of a YAML file. Anything doubtful in it (a repeated key, a tab, an unknown tag) is an error.
export function readYaml(path) {
  return parseAllDocuments(readFileSync(path, "utf8")).map((document) => {
    const problem = document.errors[0] ?? document.warnings[0];
    if (problem) throw new Error(`${path}: ${problem.message}`);
    return document.toJS();
  });
}

// The resources of the kustomization in `folder`, with what `folder` and the folders it names do to them.
export function render(folder) {
  const path = join(folder, "kustomization.yaml");
  const [kustomization] = readYaml(path);
  for (const field of Object.keys(kustomization)) {
    if (!KNOWN_FIELDS.includes(field)) throw new Error(`${path}: the checks do not know '${field}'; teach render.mjs first`);
  }

  const resources = (kustomization.resources ?? []).flatMap((name) => {
    const resource = join(folder, name);
    return statSync(resource).isDirectory() ? render(resource) : readYaml(resource);
  });
  for (const generator of kustomization.configMapGenerator ?? []) resources.push(generateConfigMap(folder, generator, path));

  for (const resource of resources) {
    if (kustomization.namespace) setNamespace(resource, kustomization.namespace);
    for (const image of kustomization.images ?? []) setImage(resource, image);
  }
  nameGeneratedConfigMaps(resources);
  return resources;
}

// The containers of a resource that has a pod template, else none.
export function containersOf(resource) {
  const pod = resource.spec?.template?.spec;
  return pod ? [...(pod.initContainers ?? []), ...(pod.containers ?? [])] : [];
}

function generateConfigMap(folder, { name, files, ...rest }, path) {
  if (Object.keys(rest).length) throw new Error(`${path}: the checks do not know configMapGenerator.${Object.keys(rest)[0]}`);
  const data = {};
  for (const file of files) {
    const source = resolve(folder, file);
    // kustomize reads nothing outside the kustomization's folder.
    if (dirname(source) !== resolve(folder) && !source.startsWith(resolve(folder) + sep)) {
      throw new Error(`${path}: ${file} is outside the folder`);
    }
    data[basename(file)] = readFileSync(source, "utf8");
  }
  const hash = createHash("sha256").update(JSON.stringify(data)).digest("hex").slice(0, 10);
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name: `${name}-${hash}`, annotations: { "generated-from": name } }, data };
}

function setNamespace(resource, namespace) {
  if (resource.kind === "Namespace") resource.metadata.name = namespace;
  else if (!CLUSTER_SCOPED.includes(resource.kind)) resource.metadata.namespace = namespace;
}

function setImage(resource, { name, newName, newTag }) {
  for (const container of containersOf(resource)) {
    const [current, tag] = container.image.split(":");
    if (current === name) container.image = `${newName ?? name}:${newTag ?? tag ?? "latest"}`;
  }
}

// References to a generated ConfigMap are written with its plain name and follow it to the one with the hash.
function nameGeneratedConfigMaps(resources) {
  for (const { kind, metadata } of resources) {
    const plain = kind === "ConfigMap" && metadata.annotations?.["generated-from"];
    if (!plain) continue;
    for (const volume of resources.flatMap((resource) => resource.spec?.template?.spec?.volumes ?? [])) {
      if (volume.configMap?.name === plain) volume.configMap.name = metadata.name;
    }
  }
}
