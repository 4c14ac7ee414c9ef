"""What the user can mend."""


class UserError(Exception):
    """A condition that the user can mend.

    The message is one line: what is wrong, with the file or flag by name, and the way out. The scripts print it to
    standard error without a traceback and exit with code 2.
    """
