"""What can be wrong with a config file itself, before any rule judges its content: the `CFG` codes.

One `Problem` per code: the table from which their documentation is made.
"""

from __future__ import annotations

from pathlib import Path

from provecfg.findings import Finding, Problem, Severity, Span
from provecfg.spelling import printable

_LONGEST_MESSAGE = 300


def file_finding(
    problem: Problem, message: str, file: Path, span: Span | None = None, *, key: str = "", hint: str | None = None
) -> Finding:
    """A finding of the reader, its message bounded and printable: a hostile file has its say in it.

    Where keys are lost and the config does not load, all else that is found in it may follow from that.
    """
    if len(message) > _LONGEST_MESSAGE:
        message = f"{message[:_LONGEST_MESSAGE]}..."
    covers = "" if problem in KEYS_LOST and problem.severity is Severity.ERROR else None
    return Finding(problem, printable(message), key, hint, file, span, covers=covers)


SYNTAX_ERROR = Problem(
    "CFG001",
    "syntax-error",
    "The file does not parse.",
    "Nothing in it can be read, by mmengine or by provecfg.",
    Severity.ERROR,
    "model = dict(type='EncoderDecoder'\n",
    "model = dict(type='EncoderDecoder')\n",
    "mmengine Config._validate_py_syntax",
)
MISSING_FILE = Problem(
    "CFG002",
    "missing-file",
    "The config file does not exist.",
    "Nothing was read under this name, so nothing about it was judged.",
    Severity.ERROR,
    "provecfg validate no_such_config.py",
    "provecfg validate config.py",
)
MISSING_BASE = Problem(
    "CFG003",
    "missing-base",
    "A base config does not exist.",
    "mmengine refuses to load the config. Paths in `_base_` are relative to the file that names them; "
    "`package::path` looks in the `.mim/configs` folder of an installed package.",
    Severity.ERROR,
    "_base_ = './no_such_base.py'\n",
    "model = dict(type='EncoderDecoder')\n",
    "mmengine Config._get_cfg_path",
)
BASE_CYCLE = Problem(
    "CFG004",
    "base-cycle",
    "A config inherits from itself, directly or through its bases.",
    "mmengine recurses until Python stops it.",
    Severity.ERROR,
    "_base_ = './config.py'\n",
    "_base_ = []\n",
)
DUPLICATE_BASE_KEY = Problem(
    "CFG005",
    "duplicate-base-key",
    "Two bases set the same top-level key.",
    "mmengine does not choose between them and refuses to load the config.",
    Severity.ERROR,
    "_base_ = ['a.py', 'b.py']\na.py:\nlog_level = 'INFO'\nb.py:\nlog_level = 'DEBUG'\n",
    "_base_ = ['a.py', 'b.py']\na.py:\nlog_level = 'INFO'\nb.py:\nload_from = None\n",
    "mmengine Config._file2dict",
)
CANNOT_MERGE = Problem(
    "CFG006",
    "cannot-merge",
    "A dict would be merged into something that is not a dict.",
    "mmengine merges dicts key by key and cannot merge one into a list or a number. Lists are replaced whole.",
    Severity.ERROR,
    "_base_ = 'a.py'\nmodel = dict(auxiliary_head=dict(num_classes=4))\n"
    "a.py:\nmodel = dict(auxiliary_head=[dict(num_classes=19)])\n",
    "_base_ = 'a.py'\nmodel = dict(auxiliary_head=[dict(num_classes=4)])\n"
    "a.py:\nmodel = dict(auxiliary_head=[dict(num_classes=19)])\n",
    "mmengine Config._merge_a_into_b",
)
UNREADABLE_TEXT = Problem(
    "CFG007",
    "unreadable-text",
    "The file is not UTF-8 text.",
    "mmengine opens configs as UTF-8; another encoding, a byte order mark or a null byte stops it.",
    Severity.ERROR,
    "model = dict()  # with a byte of Latin-1 in it: \\xe9",
    "model = dict()  # saved as UTF-8",
)
TOO_LARGE = Problem(
    "CFG008",
    "too-large",
    "The config is too large, too deep, or takes too much work to read.",
    "Configs are read under limits, far above any real config, so that a hostile or broken file cannot stop "
    "the reader. What lies beyond the limit was not judged.",
    Severity.ERROR,
    "x = [0] * 10**9\n",
    "x = [0] * 10\n",
)
UNREADABLE_FILE = Problem(
    "CFG009",
    "unreadable-file",
    "The path is not a file that can be read: a folder, a device, a pipe, or without permission.",
    "Only regular files are configs. Opening a device or a pipe could wait forever.",
    Severity.ERROR,
    "_base_ = '/dev/zero'\n",
    "_base_ = []\n",
)
UNSUPPORTED_TYPE = Problem(
    "CFG010",
    "unsupported-file-type",
    "The file is not a .py, .yaml, .yml or .json file.",
    "mmengine loads no other format.",
    Severity.ERROR,
    "_base_ = 'base.toml'\nbase.toml:\n\n",
    "_base_ = 'base.yaml'\nbase.yaml:\nlog_level: INFO\n",
    "mmengine Config._file2dict",
)
UNDEFINED_NAME = Problem(
    "CFG011",
    "undefined-name",
    "A name is used that nothing defines.",
    "mmengine executes the config, and this line raises NameError. A variable of a base is not defined in "
    "the child: it is `_base_.name` there.",
    Severity.ERROR,
    "train_dataloader = dict(batch_size=batch)\n",
    "batch = 4\ntrain_dataloader = dict(batch_size=batch)\n",
)
FAILING_EXPRESSION = Problem(
    "CFG012",
    "failing-expression",
    "An expression raises an error.",
    "mmengine executes the config and stops here.",
    Severity.ERROR,
    "crop = (512, 512)\nwidth = crop[2]\n",
    "crop = (512, 512)\nwidth = crop[1]\n",
)
UNREAD_STATEMENT = Problem(
    "CFG013",
    "unread-statement",
    "A statement needs the config to be run.",
    "provecfg reads configs as data and runs nothing. What this statement sets was not judged.",
    Severity.NOTE,
    "try:\n    import extra\nexcept ImportError:\n    extra = None\n",
    "extra = None\n",
)
UNREAD_VALUE = Problem(
    "CFG014",
    "unread-value",
    "A value needs the config to be run.",
    "provecfg reads configs as data and runs nothing. This value was not judged.",
    Severity.NOTE,
    "import os\ndata_root = os.getcwd()\n",
    "data_root = 'data/bdd100k'\n",
)
RESERVED_KEY = Problem(
    "CFG015",
    "reserved-key",
    "A top-level key has a name that mmengine keeps for itself.",
    "`filename`, `text`, `pretty_text` and `env_variables` are attributes of mmengine's Config, which refuses them.",
    Severity.ERROR,
    "filename = 'a.png'\n",
    "image_filename = 'a.png'\n",
    "mmengine Config.__init__, RESERVED_KEYS",
)
MISSING_VARIABLE = Problem(
    "CFG016",
    "missing-variable",
    "An environment variable is not set and has no default.",
    "mmengine raises KeyError when it loads the config. An empty value counts as not set.",
    Severity.ERROR,
    "data_root = '{{$PROVECFG_NO_SUCH_VARIABLE:}}'\n",
    "data_root = '{{$PROVECFG_NO_SUCH_VARIABLE:data/bdd100k}}'\n",
    "mmengine Config._substitute_env_variables",
)
MIXED_STYLES = Problem(
    "CFG017",
    "mixed-styles",
    "A config with `_base_` and one with `read_base()` or imports stand in one chain.",
    "mmengine reads the two styles differently and refuses to mix them.",
    Severity.ERROR,
    "_base_ = 'a.py'\na.py:\nfrom torch.optim import SGD\noptimizer = dict(type=SGD)\n",
    "_base_ = 'a.py'\na.py:\noptimizer = dict(type='SGD')\n",
    "mmengine Config._file2dict, Config._get_base_modules",
)
ILLEGAL_IMPORT = Problem(
    "CFG018",
    "illegal-import",
    "An import or `with` is of a kind that mmengine refuses in a config.",
    "Only `with read_base():` is allowed, and in it only `from base import ...`; outside it, no `import *` "
    "and one module to an import.",
    Severity.ERROR,
    "from torch.optim import *\n",
    "from torch.optim import SGD\n",
    "mmengine config/utils.py, ImportTransformer",
)
NOT_A_CONFIG = Problem(
    "CFG019",
    "not-a-config",
    "The file parses, and does not hold what a config holds.",
    "A .yaml or .json config is a mapping; `_base_` is a path or a list of paths.",
    Severity.ERROR,
    "_base_ = 1\n",
    "_base_ = []\n",
)
LATE_REFERENCE = Problem(
    "CFG020",
    "late-reference",
    "`{{_base_.x}}` stands where mmengine does not replace it.",
    "mmengine replaces it by a random placeholder string, runs the file, and puts the value in only where "
    "the placeholder is a whole item. Inside quotes, in an operation or as a key, the placeholder stays.",
    Severity.WARNING,
    "_base_ = 'a.py'\ntrain_root = '{{_base_.data_root}}/train'\na.py:\ndata_root = 'data'\n",
    "_base_ = 'a.py'\ntrain_root = _base_.data_root + '/train'\na.py:\ndata_root = 'data'\n",
    "mmengine Config._pre_substitute_base_vars",
)
DEPRECATED_CONFIG = Problem(
    "CFG021",
    "deprecated-config",
    "The config, or a base of it, says that it is deprecated.",
    "It sets `_deprecation_`; its author expects you to move to another file.",
    Severity.NOTE,
    "_deprecation_ = dict(expected='new.py')\nlog_level = 'INFO'\n",
    "log_level = 'INFO'\n",
    "mmengine Config._file2dict",
)
BAD_OPTION = Problem(
    "CFG022",
    "bad-option",
    "A --cfg-options value cannot be merged into the config.",
    "mmengine raises an error before training: the path leads into something that is neither a dict nor a "
    "list, or past the end of a list.",
    Severity.ERROR,
    "provecfg validate config.py --cfg-options log_level.x=1",
    "provecfg validate config.py --cfg-options log_level=INFO",
    "mmengine Config.merge_from_dict",
)

PROBLEMS: tuple[Problem, ...] = (
    SYNTAX_ERROR,
    MISSING_FILE,
    MISSING_BASE,
    BASE_CYCLE,
    DUPLICATE_BASE_KEY,
    CANNOT_MERGE,
    UNREADABLE_TEXT,
    TOO_LARGE,
    UNREADABLE_FILE,
    UNSUPPORTED_TYPE,
    UNDEFINED_NAME,
    FAILING_EXPRESSION,
    UNREAD_STATEMENT,
    UNREAD_VALUE,
    RESERVED_KEY,
    MISSING_VARIABLE,
    MIXED_STYLES,
    ILLEGAL_IMPORT,
    NOT_A_CONFIG,
    LATE_REFERENCE,
    DEPRECATED_CONFIG,
    BAD_OPTION,
)
"""Every code of this family, in order."""

STYLES_OF_MMENGINE: frozenset[Problem] = frozenset({MIXED_STYLES, ILLEGAL_IMPORT})
"""What mmcv 1.x reads without a word."""

KEYS_LOST: frozenset[Problem] = frozenset(
    {
        SYNTAX_ERROR,
        MISSING_FILE,
        MISSING_BASE,
        BASE_CYCLE,
        DUPLICATE_BASE_KEY,
        CANNOT_MERGE,
        UNREADABLE_TEXT,
        TOO_LARGE,
        UNREADABLE_FILE,
        UNSUPPORTED_TYPE,
        UNREAD_STATEMENT,
        MIXED_STYLES,
        ILLEGAL_IMPORT,
        NOT_A_CONFIG,
    }
)
"""After these, keys may be missing that a file does set."""
