"""Rules about names, codes REG: classes, scopes, imports, keys and arguments."""
