// Starts `provecfg lsp` and hands it configs and studies; all that is known is known there.

const { window, workspace, commands } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

function command() {
  const folder = workspace.workspaceFolders?.[0]?.uri.fsPath ?? "";
  const words = workspace.getConfiguration("provecfg").get("command");
  return words.map((word) => word.replaceAll("${workspaceFolder}", folder));
}

async function start() {
  const [program, ...args] = command();
  client = new LanguageClient(
    "provecfg",
    { command: program, args },
    {
      documentSelector: [
        { scheme: "file", language: "python" },
        { scheme: "file", language: "yaml" },
      ],
    },
  );
  try {
    await client.start();
  } catch (error) {
    window.showErrorMessage(
      `provecfg: ${program} does not start (${error.message}). pip install 'provecfg[lsp]', or set provecfg.command.`,
    );
  }
}

async function stop() {
  await client?.stop();
  client = undefined;
}

async function activate(context) {
  const restart = commands.registerCommand("provecfg.restart", async () => {
    await stop();
    await start();
  });
  context.subscriptions.push(restart);
  await start();
}

module.exports = { activate, deactivate: stop };
