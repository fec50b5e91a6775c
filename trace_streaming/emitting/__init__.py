"""What an orchestrator holds: emitters, tool calls, budgets and requests for approval.

Called by users' code, in any thread or loop. Nothing in it may touch the database or the network, or raise for
anything but a caller's mistake.
"""
