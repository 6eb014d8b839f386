# SPDX-License-Identifier: Apache-2.0
"""The commands of ``lseg``, one module each, and the options that they share.

The module of a command has HELP (one line), DESCRIPTION, add_arguments(parser) and
run(args) -> exit status. It imports slow packages such as torch only inside `run`, so that
``lseg --help`` is fast.
"""
