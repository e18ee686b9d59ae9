"""The language server: what is open in an editor is judged as it is typed, by what `provecfg validate` judges with."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.workspace import TextDocument

from provecfg import __version__
from provecfg.editor.classes import Suggestion, class_at, parameter_text, signature, suggestions
from provecfg.editor.cursor import cursor_at, without_variable
from provecfg.editor.positions import FILE_START, is_in, line_range, path_of, range_elsewhere, range_in, touch, uri_of
from provecfg.editor.studies import field_description, study_suggestions
from provecfg.errors import ProvecfgError
from provecfg.findings import Finding, Severity
from provecfg.findings.edits import FixResult
from provecfg.findings.finding import Applicability, Fix
from provecfg.findings.fixes import apply_fixes
from provecfg.findings.pipeline import Judgement, screened
from provecfg.findings.settings import Settings
from provecfg.mmconfig import ConfigView, read_config
from provecfg.mmconfig.problems import SYNTAX_ERROR
from provecfg.targets import is_config, is_study
from provecfg.validate import judge_for_fixes, judgement_of

QUIET_S: Final = 0.1
"""Seconds without a key pressed until a text is judged again."""

MOST_UNFINISHED: Final = 3
"""Variables that may be left unfinished at a time for the rest of a config to be read."""

FIX_ALL: Final = "source.fixAll.provecfg"
"""The kind of the code action that makes every safe fix."""

_SEVERITIES: Final = {
    Severity.ERROR: types.DiagnosticSeverity.Error,
    Severity.WARNING: types.DiagnosticSeverity.Warning,
    Severity.NOTE: types.DiagnosticSeverity.Information,
}

SettingsReader = Callable[[], Callable[[Path], Settings]]
"""Gives a reader of each folder's settings, new for each judgement: the settings may have been edited since."""


@dataclass(slots=True)
class _Open:
    """What is known of a document that is open."""

    findings: list[Finding] = field(default_factory=list)
    view: ConfigView | None = None
    version: int | None = None
    """Of the text that the findings are of."""


class ProvecfgServer(LanguageServer):
    """A language server for configs and studies.

    Args:
        settings_reader: See `SettingsReader`.
        study_schema: Makes the JSON Schema of studies, asked for when one is completed.
        page_of: The documentation of a code, as Markdown.
    """

    def __init__(
        self,
        settings_reader: SettingsReader,
        study_schema: Callable[[], dict[str, Any]],
        page_of: Callable[[str], str],
    ) -> None:
        super().__init__("provecfg", __version__)
        self.settings_reader = settings_reader
        self.study_schema = functools.cache(study_schema)
        self.page_of = page_of
        self.open: dict[str, _Open] = {}

    def document(self, uri: str) -> TextDocument:
        """An open document, or one on disk."""
        return self.workspace.get_text_document(uri)

    def unsaved(self) -> dict[Path, str]:
        """The text of every open document, by its file."""
        return {path_of(uri): self.document(uri).source for uri in self.open}

    def judge(self, uri: str) -> None:
        """Judge an open document, and publish what is found in it."""
        path = path_of(uri)
        document = self.document(uri)
        is_open = self.open.setdefault(uri, _Open())
        is_open.version = document.version
        try:
            is_open.findings = self._findings(path, document.source)
        except ProvecfgError as error:
            # the settings, say: nothing of this file is wrong
            self.window_show_message(types.ShowMessageParams(types.MessageType.Warning, str(error)))
            is_open.findings = []
        if path.suffix == ".py" and is_config(path, document.source):
            is_open.view = self._view(path, document.source) or is_open.view
        self.text_document_publish_diagnostics(
            types.PublishDiagnosticsParams(
                uri, [self.diagnostic(document, finding) for finding in is_open.findings], document.version
            )
        )

    def _findings(self, path: Path, text: str) -> list[Finding]:
        if not (is_study(path, text) or is_config(path, text)):
            return []
        judgement: Judgement = judgement_of(path, unsaved=self.unsaved())
        shown = screened([judgement], self.settings_reader(), says_unused=True)
        return [finding for finding in shown if finding.caused_by is None]

    def _view(self, path: Path, text: str) -> ConfigView | None:
        """The config as its text reads; of one that does not parse just now, as all but the unfinished variable do."""
        for _ in range(MOST_UNFINISHED):
            view = read_config(path, unsaved={**self.unsaved(), path: text})
            syntax = [
                problem for problem in view.problems if problem.problem is SYNTAX_ERROR and problem.filename == path
            ]
            if not syntax or syntax[0].span is None:
                return view
            text = without_variable(text, syntax[0].span.row - 1)
        return None

    def fixed(self, uri: str) -> FixResult:
        """The document with every safe fix made that holds, in memory."""
        path = path_of(uri)
        judge = judge_for_fixes(self.settings_reader())
        return apply_fixes([path], judge, unsaved=self.unsaved())

    def diagnostic(self, document: TextDocument, finding: Finding) -> types.Diagnostic:
        """A finding as the protocol has it; one in a base is shown where the base is named."""
        is_here = finding.filename == path_of(document.uri)
        message = finding.message if finding.hint is None else f"{finding.message}\n{finding.hint}"
        related = None
        if not is_here:
            place = types.Location(uri_of(finding.filename), range_elsewhere(finding.span))
            related = [types.DiagnosticRelatedInformation(place, finding.message)]
        return types.Diagnostic(
            range=range_in(document, finding.span) if is_here else _base_range(document),
            message=message,
            severity=_SEVERITIES[finding.severity],
            code=finding.code,
            source="provecfg",
            related_information=related,
        )


def _base_range(document: TextDocument) -> types.Range:
    """The line that names the bases."""
    rows = [row for row, line in enumerate(document.lines) if re.match(r"\W*_base_\W*[=:]|with read_base\(\)", line)]
    row = rows[0] if rows else 0
    return line_range(document, row)


def language_server(
    settings_reader: SettingsReader, study_schema: Callable[[], dict[str, Any]], page_of: Callable[[str], str]
) -> ProvecfgServer:
    """A server with all that it answers; `start_io()` runs it. See `ProvecfgServer` for the arguments."""
    server = ProvecfgServer(settings_reader, study_schema, page_of)

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def did_open(ls: ProvecfgServer, params: types.DidOpenTextDocumentParams) -> None:
        ls.open[params.text_document.uri] = _Open()
        ls.judge(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    async def did_change(ls: ProvecfgServer, params: types.DidChangeTextDocumentParams) -> None:
        uri, version = params.text_document.uri, params.text_document.version
        await asyncio.sleep(QUIET_S)
        if uri in ls.open and ls.document(uri).version == version:
            ls.judge(uri)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def did_save(ls: ProvecfgServer, params: types.DidSaveTextDocumentParams) -> None:
        # another open document may inherit from this one
        for uri in list(ls.open):
            ls.judge(uri)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def did_close(ls: ProvecfgServer, params: types.DidCloseTextDocumentParams) -> None:
        ls.open.pop(params.text_document.uri, None)
        ls.text_document_publish_diagnostics(types.PublishDiagnosticsParams(params.text_document.uri, []))

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    def hover(ls: ProvecfgServer, params: types.HoverParams) -> types.Hover | None:
        text = _explanation(ls, params.text_document.uri, params.position)
        return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, text)) if text else None

    @server.feature(
        types.TEXT_DOCUMENT_CODE_ACTION,
        types.CodeActionOptions([types.CodeActionKind.QuickFix, FIX_ALL]),
    )
    def code_action(ls: ProvecfgServer, params: types.CodeActionParams) -> list[types.CodeAction]:
        return _actions(ls, params)

    @server.feature(types.TEXT_DOCUMENT_DEFINITION)
    def definition(ls: ProvecfgServer, params: types.DefinitionParams) -> list[types.Location]:
        return _definition(ls, params.text_document.uri, params.position)

    @server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=["'", '"', ",", "("]))
    def completion(ls: ProvecfgServer, params: types.CompletionParams) -> types.CompletionList:
        return types.CompletionList(False, _completions(ls, params.text_document.uri, params.position))

    return server


def _explanation(ls: ProvecfgServer, uri: str, position: types.Position) -> str | None:
    """What is found under the cursor, else what the class or argument, or the study's field, there is."""
    document = ls.document(uri)
    state = ls.open.get(uri, _Open())
    pages = [
        ls.page_of(finding.code)
        for finding in state.findings
        if finding.filename == path_of(uri) and is_in(position, range_in(document, finding.span))
    ]
    if pages:
        return "\n\n---\n\n".join(dict.fromkeys(pages))
    path = path_of(uri)
    if is_study(path, document.source):
        return field_description(document.source, position.line, ls.study_schema())
    if path.suffix != ".py" or not is_config(path, document.source):
        return None
    offset = document.offset_at_position(position)
    ahead = re.match(r"\w*", document.source[offset:])
    cursor = cursor_at(document.source, offset + (ahead.end() if ahead else 0))
    info = class_at(cursor, state.view) if cursor.key != "type" or not cursor.in_text else None
    if cursor.key == "type" and cursor.in_text:
        whole = cursor_at(document.source, cursor.start - 1)
        info = class_at(whole, state.view)
    if info is None:
        return None
    word = cursor.prefix if cursor.key is None else cursor.key
    parameter = info.parameters.get(word)
    if cursor.in_text and cursor.key == "type":
        return f"```python\n{signature(info)}\n```\n`{info.dotted}`"
    if parameter is None:
        return None
    return f"```python\n{parameter_text(parameter)}\n```\nargument of `{parameter.origin}`"


def _actions(ls: ProvecfgServer, params: types.CodeActionParams) -> list[types.CodeAction]:
    uri = params.text_document.uri
    document = ls.document(uri)
    path = path_of(uri)
    wanted = params.context.only
    if uri in ls.open and ls.open[uri].version != document.version:
        ls.judge(uri)  # what was found last stands elsewhere by now

    def is_wanted(kind: str) -> bool:
        return not wanted or any(kind == only or kind.startswith(f"{only}.") for only in wanted)

    actions = []
    for finding in ls.open.get(uri, _Open()).findings:
        fix = finding.fix
        if fix is None or finding.filename != path or any(edit.filename != path for edit in fix.edits):
            continue
        if is_wanted(types.CodeActionKind.QuickFix) and touch(range_in(document, finding.span), params.range):
            actions.append(_quick_fix(ls, document, finding, fix))
    if is_wanted(FIX_ALL) and (wanted or actions):
        result = ls.fixed(uri)
        if path in result.files:
            whole = types.Range(types.Position(0, 0), types.Position(len(document.lines), 0))
            edit = types.WorkspaceEdit({uri: [types.TextEdit(whole, result.files[path][1])]})
            count = len(result.applied)
            title = f"Make {count} safe fix{'es' * (count != 1)}"
            actions.append(types.CodeAction(title, FIX_ALL, edit=edit))
    return actions


def _quick_fix(ls: ProvecfgServer, document: TextDocument, finding: Finding, fix: Fix) -> types.CodeAction:
    is_safe = fix.applicability is Applicability.SAFE
    edits = [types.TextEdit(range_in(document, edit.span), edit.text) for edit in fix.edits]
    return types.CodeAction(
        title=fix.message if is_safe else f"{fix.message} (may change what trains)",
        kind=types.CodeActionKind.QuickFix,
        diagnostics=[ls.diagnostic(document, finding)],
        is_preferred=is_safe,
        edit=types.WorkspaceEdit({document.uri: edits}),
    )


def _definition(ls: ProvecfgServer, uri: str, position: types.Position) -> list[types.Location]:
    """Of a base, its file; of a value that a base sets, the line that sets it."""
    document = ls.document(uri)
    view = ls.open.get(uri, _Open()).view
    if view is None:
        return []
    line = document.lines[position.line] if position.line < len(document.lines) else ""
    cursor = cursor_at(document.source, document.offset_at_position(position))
    named = [file for file in view.files[1:] if file.stem in line]
    if named and (cursor.in_text or "import" in line):
        return [types.Location(uri_of(max(named, key=lambda file: len(file.stem))), FILE_START)]
    if cursor.key is None:
        return []
    key = f"{cursor.dotted}.{cursor.key}".lstrip(".")
    for layer in view.layers[1:]:
        node = layer.root.dig(key)
        if node is not None and node.span is not None:
            return [types.Location(uri_of(layer.file), range_elsewhere(node.span))]
    return []


def _completions(ls: ProvecfgServer, uri: str, position: types.Position) -> list[types.CompletionItem]:
    document = ls.document(uri)
    path = path_of(uri)
    text = document.source
    if is_study(path, text):
        plain = document.position_from_client_units(position)
        offered: Iterable[Suggestion] = study_suggestions(text, plain.line, plain.character, ls.study_schema())
        kind, ending = types.CompletionItemKind.Field, ""
    elif path.suffix != ".py" or not is_config(path, text):
        return []
    else:
        cursor = cursor_at(text, document.offset_at_position(position))
        offered = suggestions(cursor, ls.open.get(uri, _Open()).view)
        is_name = cursor.in_text
        kind = types.CompletionItemKind.Class if is_name else types.CompletionItemKind.Field
        ending = "" if is_name else ("=" if cursor.path else " = ")
    items: dict[str, types.CompletionItem] = {}
    for suggestion in offered:
        items.setdefault(
            suggestion.text,
            types.CompletionItem(
                suggestion.text,
                kind=kind,
                detail=suggestion.detail or None,
                insert_text=suggestion.text + ending,
                sort_text=f"{int(not suggestion.is_required)}{suggestion.text}",
            ),
        )
    return list(items.values())
