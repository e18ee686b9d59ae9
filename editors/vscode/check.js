// Speaks to `provecfg lsp` through the client side that VS Code itself uses: `npm run check`, with provecfg on the PATH.

const assert = require("node:assert");
const { spawn } = require("node:child_process");
const os = require("node:os");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const {
  createProtocolConnection,
  StreamMessageReader,
  StreamMessageWriter,
  CodeActionRequest,
  DidOpenTextDocumentNotification,
  ExitNotification,
  HoverRequest,
  InitializeRequest,
  InitializedNotification,
  PublishDiagnosticsNotification,
  ShutdownRequest,
} = require("vscode-languageserver-protocol/node");

const text = 'default_scope = "mmseg"\nmodel = dict(type="EncoderDecoder", decode_head=dict(type="FCNHead", num_clases=4))\n';
const uri = pathToFileURL(path.join(os.tmpdir(), "unsaved_config.py")).href;

async function main() {
  const server = spawn(process.env.PROVECFG ?? "provecfg", ["lsp"], { stdio: ["pipe", "pipe", "inherit"] });
  const connection = createProtocolConnection(
    new StreamMessageReader(server.stdout),
    new StreamMessageWriter(server.stdin),
  );
  const published = new Promise((resolve) => connection.onNotification(PublishDiagnosticsNotification.type, resolve));
  connection.listen();
  await connection.sendRequest(InitializeRequest.type, { processId: process.pid, rootUri: null, capabilities: {} });
  connection.sendNotification(InitializedNotification.type, {});
  const textDocument = { uri, languageId: "python", version: 1, text };
  connection.sendNotification(DidOpenTextDocumentNotification.type, { textDocument });

  const { diagnostics } = await published;
  const finding = diagnostics.find(({ code }) => code === "REG002");
  assert.ok(finding, JSON.stringify(diagnostics));
  assert.deepStrictEqual(finding.range.start, { line: 1, character: text.split("\n")[1].indexOf("num_clases") });

  const actions = await connection.sendRequest(CodeActionRequest.type, {
    textDocument: { uri },
    range: finding.range,
    context: { diagnostics: [finding] },
  });
  assert.ok(actions.some(({ kind, isPreferred }) => kind === "quickfix" && isPreferred), JSON.stringify(actions));

  const hover = await connection.sendRequest(HoverRequest.type, { textDocument: { uri }, position: finding.range.start });
  assert.match(hover.contents.value, /unknown-argument/);

  await connection.sendRequest(ShutdownRequest.type);
  connection.sendNotification(ExitNotification.type);
  const code = await new Promise((resolve) => server.on("exit", resolve));
  assert.strictEqual(code, 0);
  console.log("VS Code's client: diagnostics, code action and hover came");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
