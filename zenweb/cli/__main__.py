"""`python -m zenweb.cli`."""

from zenweb.cli.main import main

main()
