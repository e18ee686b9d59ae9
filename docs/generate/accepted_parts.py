"""Follow every part of mmseg's own and of the generated configs, and keep which are accepted.

    python -m docs.generate.accepted_parts

After `python -m provecfg.registry.snapshot`, whose release it is about; see `provecfg.registry.accepted`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from docs.generate.zoo import installed_configs, leaf_configs
from provecfg.facts.facts import Facts
from provecfg.mmconfig import read_config
from provecfg.paths import write_atomically
from provecfg.registry import registry_for
from provecfg.registry.accepted import accepted_file, accepted_text, argument_name, forget
from provecfg.registry.release import installed_release


def main() -> int:
    """Write the file."""
    release = installed_release()
    file = accepted_file(release)
    forget(release)
    name, folder = installed_configs()
    generated = sorted((Path(__file__).parents[2] / "generated").glob("*.py"))
    parts: set[bytes] = set()
    misdescribed: set[str] = set()
    for path in [*leaf_configs(folder), *generated]:
        view = read_config(path)
        facts = Facts(view, registry_for(view, release=release))
        for refused in facts.refusals:
            print(f"{path.name}: {refused.node.key}: {refused.refusal.words}")
        parts |= {part for part, refusal in facts.class_cache.refusals.items() if refusal is None}
        misdescribed |= {argument_name(misfit.info.dotted, misfit.argument) for misfit in facts.misfits}
    write_atomically(file, accepted_text(f"{name}, provecfg's loss study", parts, misdescribed))
    print(f"{len(parts)} parts, {len(misdescribed)} misdescribed arguments: {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
