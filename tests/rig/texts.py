"""What a person reads, as regular expressions: the one place to follow a change of wording."""

# The first Enter of a name that is not confirmed yet, and the Enter after the approval.
PRESS_ENTER = r"(?i:press enter)[^\n]*"
URL = r"https://[^\s\"'<>]+"
CODE = r"\b[A-Z0-9]{4}-[A-Z0-9]{4}\b"

PASSWORD = r"(?i:password): *$"
# OpenSSH's own last word.
PERMISSION_DENIED = r"Permission denied|Too many authentication failures|Received disconnect"

# The half blocks a QR code is drawn with.
QR = r"[█▀▄]{10,}"

DO_NOT_APPROVE = r"(?i:did not start this)"


def wrong_person(signed_in_as, login_for):
    return rf"(?i:signed in as) {signed_in_as}\b.*\b{login_for}\b"
