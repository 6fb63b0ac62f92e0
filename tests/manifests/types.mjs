// The two type checks. The TypeScript compiler with kubernetes-types finds unknown fields, wrong types and APIs that are gone; the
// validators of kubernetes-models find wrong quantities, enumerations and missing fields. Both take rendered resources.

import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);

// Both packages keep one module for each API version: types drops ".k8s.io" and calls the core group "core".
function modules(apiVersion) {
  const [version, group = ""] = apiVersion.split("/").reverse();
  return {
    types: `kubernetes-types/${group === "" ? "core" : group.replace(/\.k8s\.io$/, "")}/${version}`,
    models: `kubernetes-models/${group === "" ? version : `${group}/${version}`}`,
  };
}

// For each list of resources: the compiler's complaints. One program for all lists, because starting the compiler is what takes time.
export function compilerErrors(lists) {
  const sources = new Map(lists.map((resources, index) => [join(here, `list-${index}.ts`), typescriptFor(resources)]));
  const options = { noEmit: true, strict: true, skipLibCheck: true, types: [], module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Node10, target: ts.ScriptTarget.ES2022 };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (path) => sources.has(path) || fileExists(path);
  host.getSourceFile = (path, ...rest) => sources.has(path)
    ? ts.createSourceFile(path, sources.get(path), ts.ScriptTarget.ES2022)
    : getSourceFile(path, ...rest);
  const program = ts.createProgram([...sources.keys()], options, host);
  return [...sources.keys()].map((path) =>
    ts.getPreEmitDiagnostics(program, program.getSourceFile(path))
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, " ")));
}

// One constant for each resource, with the type that its apiVersion and kind name.
function typescriptFor(resources) {
  return resources.map((resource, index) => {
    const type = `${resource.kind}${index}`;
    return `import type { ${resource.kind} as ${type} } from ${JSON.stringify(modules(resource.apiVersion).types)};\n` +
      `export const resource${index}: ${type} = ${JSON.stringify(resource, null, 1)};`;
  }).join("\n");
}

// The validators' complaints about a list of resources.
export function validatorErrors(resources) {
  return resources.flatMap((resource) => {
    const name = `${resource.kind} ${resource.metadata?.name}`;
    let model;
    try {
      model = require(modules(resource.apiVersion).models)[resource.kind];
    } catch {
      model = undefined;
    }
    if (!model) return [`${name}: ${resource.apiVersion} has no such kind`];
    try {
      new model(resource).validate();
      return [];
    } catch (error) {
      return [`${name}: ${error.message}`];
    }
  });
}
