"""An editor's side of the protocol: a client that starts `provecfg lsp` and speaks to it over its pipes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from lsprotocol import types
from pygls.lsp.client import LanguageClient


class _Client(LanguageClient):
    """A client that knows how its server ended."""

    exit_code: int | None = None

    async def server_exit(self, server: asyncio.subprocess.Process) -> None:
        self.exit_code = server.returncode


class Editor:
    """A client with documents open."""

    def __init__(self) -> None:
        self.client = _Client("editor", "1")
        self.messages: list[str] = []
        self._published: dict[str, types.PublishDiagnosticsParams] = {}
        self._changed = asyncio.Condition()

        @self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        async def published(params: types.PublishDiagnosticsParams) -> None:
            async with self._changed:
                self._published[params.uri] = params
                self._changed.notify_all()

        @self.client.feature(types.WINDOW_SHOW_MESSAGE)
        def shown(params: types.ShowMessageParams) -> None:
            self.messages.append(params.message)

    async def open(self, path: Path, text: str) -> list[types.Diagnostic]:
        """Open a document with a text that need not be on disk; returns its first diagnostics."""
        language = "python" if path.suffix == ".py" else "yaml"
        item = types.TextDocumentItem(path.as_uri(), language, 1, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return await self.diagnostics(path, 1)

    async def change(self, path: Path, text: str, version: int) -> list[types.Diagnostic]:
        """Replace a document's text; returns its diagnostics."""
        self.type(path, text, version)
        return await self.diagnostics(path, version)

    def type(self, path: Path, text: str, version: int) -> None:
        """Replace a document's text, and wait for nothing."""
        document = types.VersionedTextDocumentIdentifier(version, path.as_uri())
        change = types.TextDocumentContentChangeWholeDocument(text)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))

    async def diagnostics(self, path: Path, version: int) -> list[types.Diagnostic]:
        """What is published of a version of a document."""

        def has_come() -> bool:
            params = self._published.get(path.as_uri())
            return params is not None and params.version == version

        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(has_come), timeout=60)
        return list(self._published[path.as_uri()].diagnostics)

    async def actions(self, path: Path, place: types.Range, *only: str) -> list[types.CodeAction]:
        """The code actions at a place."""
        context = types.CodeActionContext([], only=list(only) or None)
        params = types.CodeActionParams(types.TextDocumentIdentifier(path.as_uri()), place, context)
        answer = await self.client.text_document_code_action_async(params)
        return [action for action in answer or () if isinstance(action, types.CodeAction)]

    async def completions(self, path: Path, row: int, column: int) -> list[str]:
        """What can be written at a position, in the order shown."""
        document = types.TextDocumentIdentifier(path.as_uri())
        params = types.CompletionParams(document, types.Position(row, column))
        answer = await self.client.text_document_completion_async(params)
        assert isinstance(answer, types.CompletionList)
        return [item.label for item in sorted(answer.items, key=lambda item: item.sort_text or item.label)]

    async def hover(self, path: Path, row: int, column: int) -> str | None:
        """What is said of what stands at a position."""
        document = types.TextDocumentIdentifier(path.as_uri())
        answer = await self.client.text_document_hover_async(types.HoverParams(document, types.Position(row, column)))
        return answer.contents.value if answer and isinstance(answer.contents, types.MarkupContent) else None

    async def definition(self, path: Path, row: int, column: int) -> list[types.Location]:
        """Where what stands at a position comes from."""
        document = types.TextDocumentIdentifier(path.as_uri())
        params = types.DefinitionParams(document, types.Position(row, column))
        answer = await self.client.text_document_definition_async(params)
        return [place for place in answer or () if isinstance(place, types.Location)]


@asynccontextmanager
async def editor(folder: Path) -> AsyncIterator[Editor]:
    """An editor whose server runs until the block ends."""
    started = Editor()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    await started.client.start_io(sys.executable, "-m", "provecfg", "lsp", cwd=folder, env=environment)
    capabilities = types.ClientCapabilities(general=types.GeneralClientCapabilities(position_encodings=["utf-16"]))
    await started.client.initialize_async(types.InitializeParams(capabilities=capabilities, root_uri=folder.as_uri()))
    started.client.initialized(types.InitializedParams())
    yield started
    await started.client.shutdown_async(None)
    started.client.exit(None)
    await started.client.stop()
    assert started.client.exit_code == 0
