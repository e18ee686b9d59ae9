// Holds `provecfg schema` against the YAML language server that editors use: `npm run check`, with provecfg on the PATH.

const assert = require("node:assert");
const { execFileSync, spawn } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const {
  createProtocolConnection,
  StreamMessageReader,
  StreamMessageWriter,
  CompletionRequest,
  DidOpenTextDocumentNotification,
  ExitNotification,
  InitializeRequest,
  InitializedNotification,
  PublishDiagnosticsNotification,
  ShutdownRequest,
} = require("vscode-languageserver-protocol/node");

const modeline = "# yaml-language-server: $schema=study.schema.json\n";
const faulty = `${modeline}name: mine
models: [pspnet_r5]
losses: {auxiliary: [none, focl]}
schedule: {max_itrs: 2000}
early_stopping: {patience: 0}
`;
const good = `${modeline}name: mine
models: [pspnet_r50, mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py, {base: own.py, name: own}]
losses: {auxiliary: [none, [focal, lovasz], {type: boundary, per_class: true}]}
schedule: {max_iters: 2000}
early_stopping: null
`;

async function main() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "provecfg-schema-"));
  fs.writeFileSync(path.join(folder, "study.schema.json"), execFileSync(process.env.PROVECFG ?? "provecfg", ["schema"]));
  const program = require.resolve("yaml-language-server/bin/yaml-language-server");
  const server = spawn(process.execPath, [program, "--stdio"], { stdio: ["pipe", "pipe", "inherit"] });
  const connection = createProtocolConnection(
    new StreamMessageReader(server.stdout),
    new StreamMessageWriter(server.stdin),
  );
  const waiting = new Map();
  connection.onNotification(PublishDiagnosticsNotification.type, ({ uri, diagnostics }) => waiting.get(uri)?.(diagnostics));
  connection.onRequest("workspace/configuration", ({ items }) => items.map(() => ({})));
  connection.onRequest("client/registerCapability", () => null);
  connection.listen();
  const workspaceFolders = [{ uri: pathToFileURL(folder).href, name: "studies" }];
  const capabilities = { workspace: { configuration: true, workspaceFolders: true }, textDocument: {} };
  await connection.sendRequest(InitializeRequest.type, { processId: process.pid, rootUri: null, capabilities, workspaceFolders });
  connection.sendNotification(InitializedNotification.type, {});

  async function judged(name, text) {
    const file = path.join(folder, name);
    fs.writeFileSync(file, text);
    const uri = pathToFileURL(file).href;
    const diagnostics = new Promise((resolve) => waiting.set(uri, resolve));
    connection.sendNotification(DidOpenTextDocumentNotification.type, {
      textDocument: { uri, languageId: "yaml", version: 1, text },
    });
    return { uri, diagnostics: await diagnostics };
  }

  const wrong = await judged("faulty.yaml", faulty);
  const lines = [...new Set(wrong.diagnostics.map(({ range }) => range.start.line))].sort();
  assert.deepStrictEqual(lines, [2, 3, 4, 5], JSON.stringify(wrong.diagnostics));
  assert.deepStrictEqual((await judged("good.yaml", good)).diagnostics, []);

  const half = await judged("half.yaml", `${modeline}name: mine\nlosses:\n  auxiliary:\n    - \nmodels:\n  - \n`);
  const position = { line: 6, character: "  - ".length };
  const offered = await connection.sendRequest(CompletionRequest.type, { textDocument: { uri: half.uri }, position });
  const labels = (offered.items ?? offered).map(({ label }) => label);
  assert.ok(labels.includes("segformer_mit-b3"), JSON.stringify(labels));

  await connection.sendRequest(ShutdownRequest.type);
  connection.sendNotification(ExitNotification.type);
  fs.rmSync(folder, { recursive: true });
  console.log("The YAML language server: four faults of four, none in a good study, and models are completed");
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
