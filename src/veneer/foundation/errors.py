"""Errors that a user can mend. Each message gives in one sentence what was found, what was
expected, and the mend."""

import re


class VeneerError(Exception):
    """Something failed while working (exit code 1)."""

    exit_code = 1


class InputError(VeneerError):
    """Bad input or usage (exit code 2); raised before anything is written."""

    exit_code = 2


class SettingError(InputError):
    """A setting is out of its range. setting: the field of the settings object, which Python users
    give; the command line names the option instead. problem: the rest of the sentence."""

    def __init__(self, setting: str, problem: str):
        super().__init__(f"{setting} {problem}")
        self.setting, self.problem = setting, problem


class MissingExtra(InputError):
    """An optional dependency is not installed; the message carries the install line."""

    def __init__(self, package: str, extra: str, purpose: str):
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed; install it with: "
            f"pip install 'veneer[{extra}]'"
        )


def first_sentence(error: BaseException) -> str:
    """The first sentence of another library's error, on one line and without a full stop."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return re.split(r"[.!?]\s+(?=[A-Z])", lines[0].strip())[0].rstrip(".:")[:300]
