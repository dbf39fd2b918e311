"""The command line: reads the settings, puts the parts together, runs them.

The only package that imports all others. Rules about devices, formats of messages and SQL do not
belong here.
"""
