-- Opens a config with a mistake in Neovim and waits for what `provecfg lsp` says of it:
-- nvim --headless -u NONE -l editors/check.lua, or in older ones nvim --headless -u NONE -c 'luafile editors/check.lua'.

local text = {
  'default_scope = "mmseg"',
  'model = dict(type="EncoderDecoder", decode_head=dict(type="FCNHead", num_clases=4))',
}
local function finish(message, failed)
  io.stdout:write(message .. "\n")
  vim.cmd(failed and "cquit 1" or "qall!")
end

vim.cmd("edit " .. vim.fn.tempname() .. ".py")
vim.bo.filetype = "python"
vim.api.nvim_buf_set_lines(0, 0, -1, false, text)
local id = vim.lsp.start_client({ name = "provecfg", cmd = { vim.env.PROVECFG or "provecfg", "lsp" } })
vim.lsp.buf_attach_client(0, id)

local function mistakes()
  return vim.tbl_filter(function(item) return item.code == "REG002" end, vim.diagnostic.get(0))
end
if not vim.wait(20000, function() return #mistakes() == 1 end, 50) then
  return finish("no diagnostics came: " .. vim.inspect(vim.diagnostic.get(0)), true)
end
local column = text[2]:find("num_clases") - 1
local found = mistakes()[1]
if found.lnum ~= 1 or found.col ~= column then
  return finish("placed wrongly: " .. vim.inspect(found), true)
end

local params = {
  textDocument = vim.lsp.util.make_text_document_params(),
  range = { start = { line = 1, character = column }, ["end"] = { line = 1, character = column } },
  context = { diagnostics = {}, only = { "source.fixAll.provecfg" } },
}
local answers = vim.lsp.buf_request_sync(0, "textDocument/codeAction", params, 20000)
local action = answers and answers[id] and answers[id].result and answers[id].result[1]
if not action then
  return finish("no code action came: " .. vim.inspect(answers), true)
end
vim.lsp.util.apply_workspace_edit(action.edit, "utf-16")
local mended = vim.api.nvim_buf_get_lines(0, 1, 2, false)[1]
if not mended:find("num_classes=4", 1, true) then
  return finish("not mended: " .. mended, true)
end
if not vim.wait(20000, function() return #mistakes() == 0 end, 50) then
  return finish("the mended text is still called wrong", true)
end
finish("Neovim: diagnostics came, the fix was made, and they went")
