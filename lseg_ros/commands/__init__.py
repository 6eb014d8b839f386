# SPDX-License-Identifier: Apache-2.0
"""The commands of ``lseg``, one module each.

A module has HELP (one line), DESCRIPTION, add_arguments(parser) and run(args) -> exit status. It
imports slow packages such as torch only inside `run`, so that ``lseg --help`` is fast.
"""
