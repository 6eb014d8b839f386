# SPDX-License-Identifier: Apache-2.0
"""The commands of ``lseg``.

Each module has HELP (one line), DESCRIPTION, add_arguments(parser) and run(args) -> exit status,
and imports what is heavy (torch, the renderer) only inside run.
"""
