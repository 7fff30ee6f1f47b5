"""One module per group of verbs; each has a `register` that adds its verbs to the command.

At the top they import the standard library, Typer and this package only: all of them are read for
every call, ``--help`` too.
"""
