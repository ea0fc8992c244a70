"""The allocation: Service Units (SU) that were used, that will be, and what that allows. Without Pulumi.

Also a command line: ``python -m allocation --help``. Importing this loads neither pandas nor statsmodels.
"""
